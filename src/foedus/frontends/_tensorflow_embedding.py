# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Functions of TensorFlow that local code in JAX calls, such as Keras models: the way in which they run.

The way is chosen when one is called for the first time, on the shapes that it has there: lowered where
TensorFlow compiles it with XLA, its gradient included, else natively. It is the same in every runtime, for
it is a part of the local code. Random numbers are drawn by whoever runs it, in both ways from the key alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import tensorflow as tf

from foedus.errors import TracingError, place
from foedus.foreign import Running, Way
from foedus.frontends._authorship import line_of
from foedus.frontends._embedded import note
from foedus.frontends._tensorflow_effects import Effects
from foedus.frontends._tensorflow_in_jax import (
    Flat,
    NativeCalls,
    flattened,
    gradients_of,
    is_inexact,
    lowered,
    native,
    specs_of,
)
from foedus.frontends._tensorflow_lowering import (
    PYTHON,
    Obstacle,
    obstacle_of_xla,
    one_of,
    refuse_lowering,
)
from foedus.frontends._tensorflow_translation import translated


@dataclass(frozen=True, slots=True)
class _Form:
    """The function for arguments of one structure."""

    call: Callable[[list[Any]], list[Any]]
    structures: list[Any]


@final
class TensorflowInJax:
    """A function over tensors as one over arrays of JAX, for ``jax.jit`` and ``jax.grad``.

    Args:
        fn: From containers of tensors to containers of tensors, each such that JAX knows it. It may change no
            variable and read none.
        name: What the user calls it.
        way: Which way it is to run; None for the one that suits.
        written_as: Where it comes from, to name its line; ``fn`` if not given.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        *,
        way: Way | None = None,
        written_as: Callable[..., Any] | None = None,
    ) -> None:
        self._fn = fn
        self._name = name
        self._told = way
        self._line = line_of(written_as or fn)
        self._forms: dict[Any, _Form] = {}
        self._obstacle: Obstacle | None = None
        self._is_translated = True
        self._calls = NativeCalls()

    @property
    def running(self) -> Running:
        """See ``Embedded.running``."""
        return Running(self._name, self._line, self._way(), self._reason())

    @property
    def native_calls(self) -> int:
        """See ``Embedded.native_calls``."""
        return self._calls.made

    def __call__(self, *arguments: Any) -> Any:
        flat, given = jax.tree.flatten(arguments)
        arrays = [jnp.asarray(array) for array in flat]
        if given not in self._forms:
            self._forms[given] = self._form(given, arrays)
        form = self._forms[given]
        note(self)
        found = form.call(arrays)
        return jax.tree.unflatten(form.structures[-1], found)

    def _way(self) -> Way:
        if self._told is not None:
            return self._told
        return Way.LOWERED if self._obstacle is None else Way.NATIVE

    def _reason(self) -> str:
        if self._told is Way.NATIVE:
            return "it was told to run natively"
        if self._told is Way.LOWERED:
            how = "JAX has its operations" if self._is_translated else "TensorFlow compiles it with XLA"
            return f"it was told to be lowered, and {how}"
        if self._is_translated:
            return "all its operations have counterparts in JAX"
        if self._obstacle is None:
            return "TensorFlow compiles it with XLA, gradients included"
        return str(self._obstacle)

    def _form(self, given: Any, arrays: list[Any]) -> _Form:
        apply, structures = flattened(self._fn, given)
        specs = specs_of(arrays)
        function = tf.function(apply, autograph=False).get_concrete_function(*specs)
        influence = Effects(function.graph.as_graph_def()).influence()
        if influence is not None:
            raise influence.error(self._name, function)
        _require_closed(self._name, function)
        if self._told is not Way.NATIVE and translated(apply, arrays) is None:
            self._is_translated = False
            self._obstacle = _obstacle(apply, specs, function)
        if self._told is Way.LOWERED and self._obstacle is not None:
            refuse_lowering(self._name, self._obstacle, function)
        call = lowered(apply) if self._way() is Way.LOWERED else native(apply, self._calls)
        return _Form(call, structures)


def _obstacle(apply: Flat, specs: list[Any], function: Any) -> Obstacle | None:
    """Why a function or its gradient cannot be lowered, or None if both can."""
    graph = function.graph.as_graph_def()
    python = Effects(graph).ops() & PYTHON
    if python:
        return Obstacle("it calls Python", one_of(python))
    found = obstacle_of_xla(apply, specs, graph)
    results = [tensor for tensor in function.outputs if is_inexact(tensor)]
    if found is not None or not results or not any(is_inexact(spec) for spec in specs):
        return found
    count = len(specs)

    def gradients(*tensors: Any) -> list[Any]:
        return gradients_of(apply, list(tensors[:count]), list(tensors[count:]))

    upstream = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in results]
    found = obstacle_of_xla(gradients, [*specs, *upstream], graph)
    return None if found is None else Obstacle(f"of its gradient: {found.reason}", found.operation)


def _require_closed(name: str, function: Any) -> None:
    """Refuses code that reads variables, whose values would differ from run to run."""
    variables = {id(variable.handle): f"the variable {variable.name!r}" for variable in function.variables}
    read = next((tensor for tensor in function.captured_inputs if tensor.dtype == tf.resource), None)
    if read is None:
        return
    raise TracingError(
        f"The TensorFlow code {name!r} reads a state from outside",
        found=variables.get(id(read), _TABLE),
        expected="code whose result follows from its arguments and the model's own weights",
        at=place(),
        hint=_INTO_DATA if id(read) not in variables else _INTO_MODEL,
    )


_TABLE = "a lookup table, or another resource"
_INTO_MODEL = "make it a weight of a layer, with add_weight, in the function that builds the model"
_INTO_DATA = "look values up in the clients' data, with dataset.map, in place of the layer that does it"


def in_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function over tensors of TensorFlow as one over arrays of JAX, for ``jax.jit`` and ``jax.grad``.

    Args:
        fn: See ``TensorflowInJax``.

    Returns:
        The same over arrays of JAX, run the way that suits.
    """
    return TensorflowInJax(fn, getattr(fn, "__name__", type(fn).__name__))
