# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow leaves inside JAX programs: TensorFlow lowers its own graph to XLA, which JAX embeds.

The values are those of TensorFlow's own kernels for XLA, and gradients are TensorFlow's own. What XLA would
compute otherwise than TensorFlow does natively is not lowered. A loop has a gradient there only if its length
is known when it is traced (``maximum_iterations`` of ``tf.while_loop``, as recurrent layers have it); else
compiling the gradient fails and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from jax import custom_batching
from jax.experimental import jax2tf

from foedus.foreign import NoJax
from foedus.frontends._tensorflow_captures import Captures
from foedus.frontends._tensorflow_effects import Effects
from foedus.frontends._tensorflow_lines import complaint
from foedus.types import STRING, Function, Sequence, Struct, Tensor, Type, walk

_DIFFERENT = re.compile(r"Stateless(Random|Truncated|Multinomial|Parameterized|Shuffle)\w*")
"""Random numbers, which XLA draws from the same seed in another way."""
_BOUNDED = re.compile(r"[\[,]<=\d")
"""How XLA writes a length of which it knows a bound only."""
_SAMPLE = 3
"""The length that stands for unknown ones where a lowering is tried."""


def lowered(function: Any, type_: Function, graph: Any, captures: Captures) -> Callable[[Any], Any] | NoJax:
    """A leaf as a function that JAX traces.

    Args:
        function: The ``ConcreteFunction``, from flat tensors to flat tensors; it knows of gradients that its
            author defined, which its graph does not.
        type_: The leaf's type.
        graph: Its graph.
        captures: What it captures.

    Returns:
        The function, or why there is none.
    """
    variables = [kept for kept in captures.alive if isinstance(kept, tf.Variable)]

    def apply(*flat: Any) -> list[Any]:
        for variable in variables:
            variable.read_value()  # JAX asks the graph around it which variables there are.
        return function(*flat)

    reason = _reason(type_, graph) or _refusal_of_xla(apply, type_)
    if reason is not None:
        return NoJax(reason)
    call = _differentiable(apply)

    def plain_call(plain: Any) -> Any:
        flat = [jnp.asarray(array) for array in jax.tree.leaves(plain)]
        return _packed(iter(call(flat)), type_.result)

    return plain_call


def in_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function over tensors of TensorFlow as one over arrays of JAX, for ``jax.jit`` and ``jax.grad``.

    It is compiled by XLA wherever it is called, and traced anew for each set of shapes.

    Args:
        fn: From containers of tensors to containers of tensors, each such that JAX knows it. It may have no
            strings, change no variable, and use loops only of a length that it knows.

    Returns:
        The same over arrays of JAX.
    """

    forms: dict[Any, tuple[Callable[[list[Any]], list[Any]], list[Any]]] = {}

    def call(*arguments: Any) -> Any:
        flat, given = jax.tree.flatten(arguments)
        if given not in forms:
            forms[given] = _flat_form(fn, given)
        run, structures = forms[given]
        found = run([jnp.asarray(array) for array in flat])
        return jax.tree.unflatten(structures[-1], found)

    return call


def _flat_form(fn: Callable[..., Any], given: Any) -> tuple[Callable[[list[Any]], list[Any]], list[Any]]:
    """A function of flat arrays, and where it notes the structures of its results when it is traced."""
    structures: list[Any] = []

    def apply(*tensors: Any) -> list[Any]:
        found, structure = jax.tree.flatten(fn(*jax.tree.unflatten(given, tensors)))
        structures.append(structure)
        return [tf.convert_to_tensor(tensor) for tensor in found]

    return _differentiable(apply), structures


def _reason(type_: Function, graph: Any) -> str | None:
    """What can be told from the type and the operations."""
    ops = Effects(graph).ops()
    if ops & {"PyFunc", "PyFuncStateless", "EagerPyFunc"}:
        return "it calls Python"
    for part in [*([] if type_.parameter is None else walk(type_.parameter)), *walk(type_.result)]:
        if isinstance(part, Sequence):
            return "it takes or gives a sequence as a tf.data.Dataset, which XLA does not compile"
        if isinstance(part, Tensor) and part.dtype == STRING:
            return "there are strings"
        if isinstance(part, Tensor) and part.shape is None:
            return "there are tensors of unknown rank"
    drawn = sorted(op for op in ops if _DIFFERENT.fullmatch(op))
    if drawn:
        return f"XLA draws other random numbers than TensorFlow does natively ({drawn[0]})"
    checked = ops & {"Assert", "CheckNumerics", "CheckNumericsV2"}
    return "it checks its data with assertions, which XLA leaves out" if checked else None


def _refusal_of_xla(apply: Callable[..., list[Any]], type_: Function) -> str | None:
    """Why TensorFlow cannot lower a graph to XLA, found out by doing it once."""
    parameter = type_.parameter
    tensors = [] if parameter is None else [t for t in walk(parameter) if isinstance(t, Tensor)]
    shapes = [tuple(_SAMPLE if size is None else size for size in t.shape or ()) for t in tensors]
    specs = [tf.TensorSpec(shape, tf.as_dtype(t.dtype)) for shape, t in zip(shapes, tensors, strict=True)]
    try:
        text = _compiled(apply).experimental_get_compiler_ir(*specs)(stage="hlo")
    except Exception as error:
        said = complaint(error).removeprefix("Failed getting HLO text: '")
        return f"TensorFlow cannot compile it with XLA: {said.splitlines()[0][:200] if said else error}"
    if _BOUNDED.search(text):
        return "the shape of something in it depends on its data, which XLA only bounds"
    return None


def _differentiable(apply: Callable[..., list[Any]]) -> Callable[[list[Any]], list[Any]]:
    """A call that has a gradient and can be batched, one call after another."""

    def gradients(flat: list[Any], cotangents: list[Any]) -> list[Any]:
        variable = [tensor for tensor in flat if _is_inexact(tensor)]
        with tf.GradientTape() as tape:
            tape.watch(variable)
            results = [result for result in apply(*flat) if _is_inexact(result)]
        # JAX gives the derivative, TensorFlow its conjugate.
        given = [_conjugate(cotangent) for cotangent in cotangents]
        found = tape.gradient(results, variable, given, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # What runs through a loop has lost its shape.
        return [
            tf.ensure_shape(_conjugate(tf.convert_to_tensor(gradient)), tensor.shape)
            for gradient, tensor in zip(found, variable, strict=True)
        ]

    forward = jax2tf.call_tf(_compiled(apply), has_side_effects=False)
    backward = jax2tf.call_tf(_compiled(gradients), has_side_effects=False)
    looped = custom_batching.sequential_vmap(lambda *flat: forward(*flat))
    looped_backward = custom_batching.sequential_vmap(lambda flat, cotangents: backward(flat, cotangents))

    @jax.custom_vjp
    def call(flat: list[Any]) -> list[Any]:
        return looped(*flat)

    def remember(flat: list[Any]) -> tuple[list[Any], list[Any]]:
        return call(flat), flat

    def pull(flat: list[Any], cotangents: list[Any]) -> tuple[list[Any]]:
        real = [i for i, array in enumerate(flat) if jnp.issubdtype(array.dtype, jnp.inexact)]
        found = [np.zeros(array.shape, jax.dtypes.float0) for array in flat]
        if real:
            given = [c for c in cotangents if c.dtype != jax.dtypes.float0]
            for i, gradient in zip(real, looped_backward(flat, given), strict=True):
                found[i] = gradient
        return (found,)

    call.defvjp(remember, pull)
    return call


def _compiled(fn: Callable[..., Any]) -> Any:
    """A function that XLA compiles also where JAX calls it outside of a compiled program."""
    return tf.function(fn, autograph=False, jit_compile=True)


def _is_inexact(tensor: Any) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _conjugate(tensor: Any) -> Any:
    return tf.math.conj(tensor) if tensor.dtype.is_complex else tensor


def _packed(flat: Any, type_: Type) -> Any:
    if isinstance(type_, Struct):
        return tuple(_packed(flat, t) for _, t in type_.fields)
    return next(flat)
