# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow code inside JAX programs, in one of two ways.

Lowered, a graph whose operations have counterparts in JAX is translated; any other is compiled to XLA by
TensorFlow, and JAX embeds that: values are those of TensorFlow's kernels for XLA, and gradients are
TensorFlow's own. Natively, the compiled program calls TensorFlow back, which runs its graph as it always
does, and its own gradient.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from jax import custom_batching
from jax.experimental import jax2tf

from foedus.frontends._host_call import host_call
from foedus.frontends._tensorflow_translation import translated

Flat = Callable[..., list[Any]]
"""A function from flat arrays to flat arrays."""


def lowered(apply: Flat) -> Callable[[list[Any]], list[Any]]:
    """TensorFlow code that XLA compiles, as a function over arrays of JAX.

    Args:
        apply: From flat tensors to flat tensors.

    Returns:
        The function: ``jax.grad`` works, once, and ``jax.vmap`` loops, unless it is translated.
    """

    def embed(fn: Callable[..., Any]) -> Callable[..., Any]:
        called = jax2tf.call_tf(compiled(fn), has_side_effects=False)
        return custom_batching.sequential_vmap(lambda *arguments: called(*arguments))

    embedded = differentiable(apply, embed)
    forms: dict[Any, Callable[[list[Any]], list[Any]]] = {}

    def call(flat: list[Any]) -> list[Any]:
        given = tuple((array.shape, array.dtype) for array in flat)
        if given not in forms:
            forms[given] = translated(apply, flat) or embedded
        return forms[given](flat)

    return call


def differentiable(
    apply: Flat, embed: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[[list[Any]], list[Any]]:
    """A function of TensorFlow as one of JAX that has a gradient.

    Args:
        apply: From flat tensors to flat tensors.
        embed: Makes a function over tensors one over arrays of JAX.

    Returns:
        A function from a list of arrays to a list of arrays.
    """

    def gradients(flat: list[Any], cotangents: list[Any]) -> list[Any]:
        return gradients_of(apply, flat, cotangents)

    forward, backward = embed(lambda *flat: apply(*flat)), embed(gradients)

    @jax.custom_vjp
    def call(flat: list[Any]) -> list[Any]:
        return forward(*flat)

    def remember(flat: list[Any]) -> tuple[list[Any], list[Any]]:
        return call(flat), flat

    def pull(flat: list[Any], cotangents: list[Any]) -> tuple[list[Any]]:
        real = [i for i, array in enumerate(flat) if jnp.issubdtype(array.dtype, jnp.inexact)]
        found = [np.zeros(array.shape, jax.dtypes.float0) for array in flat]
        if real:
            given = [c for c in cotangents if c.dtype != jax.dtypes.float0]
            for i, gradient in zip(real, backward(flat, given), strict=True):
                found[i] = gradient
        return (found,)

    call.defvjp(remember, pull)
    return call


def gradients_of(apply: Flat, flat: list[Any], cotangents: list[Any]) -> list[Any]:
    """The gradients of code, as JAX wants them.

    Args:
        apply: From flat tensors to flat tensors.
        flat: Its arguments.
        cotangents: One for each result that is a real or complex number.

    Returns:
        One for each argument that is one.
    """
    variable = [tensor for tensor in flat if is_inexact(tensor)]
    with tf.GradientTape() as tape:
        tape.watch(variable)
        results = [result for result in apply(*flat) if is_inexact(result)]
    # JAX gives the derivative, TensorFlow its conjugate.
    given = [_conjugate(cotangent) for cotangent in cotangents]
    found = tape.gradient(results, variable, given, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # What runs through a loop has lost its shape.
    return [
        tf.ensure_shape(_conjugate(tf.convert_to_tensor(gradient)), tensor.shape)
        for gradient, tensor in zip(found, variable, strict=True)
    ]


def is_inexact(tensor: Any) -> bool:
    """Whether there are gradients with respect to a tensor."""
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _conjugate(tensor: Any) -> Any:
    return tf.math.conj(tensor) if tensor.dtype.is_complex else tensor


@final
class NativeCalls:
    """Counts how often compiled programs called TensorFlow back."""

    def __init__(self) -> None:
        self.made = 0
        self._lock = threading.Lock()

    def note(self) -> None:
        """Counts one."""
        with self._lock:
            self.made += 1


def native(apply: Flat, calls: NativeCalls) -> Callable[[list[Any]], list[Any]]:
    """TensorFlow code that TensorFlow runs, as a function over arrays of JAX.

    Args:
        apply: From flat tensors to flat tensors.
        calls: Where calls are counted.

    Returns:
        The function: ``jax.grad`` works, once, and ``jax.vmap`` loops.
    """
    return differentiable(apply, lambda fn: _called_back(fn, calls))


def _called_back(fn: Callable[..., Any], calls: NativeCalls) -> Callable[..., Any]:
    forms: dict[Any, CallBack] = {}

    def call(*arguments: Any) -> Any:
        flat, structure = jax.tree.flatten(arguments)
        key = (structure, *((array.shape, jnp.dtype(array.dtype)) for array in flat))
        if key not in forms:
            forms[key] = CallBack(fn, structure, [(a.shape, a.dtype) for a in flat], calls)
        form = forms[key]
        return host_call(form)(*flat)

    return call


@final
class CallBack:
    """One graph of TensorFlow, run on the arrays that a compiled program hands over.

    Args:
        fn: The function over tensors.
        structure: The structure of its arguments.
        given: Their shapes and dtypes, flat.
        calls: Where calls are counted.
    """

    def __init__(self, fn: Callable[..., Any], structure: Any, given: list[Any], calls: NativeCalls) -> None:
        def flat(*tensors: Any) -> list[Any]:
            return fn(*jax.tree.unflatten(structure, tensors))

        specs = [tf.TensorSpec(shape, tf.as_dtype(dtype)) for shape, dtype in given]
        self.function = tf.function(flat, autograph=False).get_concrete_function(*specs)
        self._calls = calls
        self.results = self._result_shapes(specs)

    def _result_shapes(self, specs: list[Any]) -> list[jax.ShapeDtypeStruct]:
        known = list(self.function.outputs)
        if any(not tensor.shape.is_fully_defined() for tensor in known):
            # What runs through a loop has lost its shape.
            known = self.function(*(tf.zeros(spec.shape, spec.dtype) for spec in specs))
        return [jax.ShapeDtypeStruct(tuple(t.shape), t.dtype.as_numpy_dtype) for t in known]

    def __call__(self, *arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        self._calls.note()
        return [np.asarray(result) for result in self.function(*map(tf.constant, arrays))]

    def content(self) -> bytes | None:
        """What it computes, as bytes; None where it captures what no graph holds."""
        from foedus.frontends._tensorflow_graph import content_of_function

        return content_of_function(
            self.function, len(self.function.inputs) - len(self.function.captured_inputs)
        )


def compiled(fn: Callable[..., Any]) -> Any:
    """A function that XLA compiles also where JAX calls it outside of a compiled program."""
    return tf.function(fn, autograph=False, jit_compile=True)


def flattened(fn: Callable[..., Any], given: Any) -> tuple[Flat, list[Any]]:
    """A function of flat tensors, and where it notes the structures of its results when it is traced.

    Args:
        fn: A function over containers of tensors.
        given: The structure of its arguments.
    """
    structures: list[Any] = []

    def apply(*tensors: Any) -> list[Any]:
        found, structure = jax.tree.flatten(fn(*jax.tree.unflatten(given, tensors)))
        structures.append(structure)
        return [tf.convert_to_tensor(tensor) for tensor in found]

    return apply, structures


def specs_of(flat: list[Any]) -> list[Any]:
    """The ``tf.TensorSpec`` of arrays."""
    return [tf.TensorSpec(array.shape, tf.as_dtype(array.dtype)) for array in flat]
