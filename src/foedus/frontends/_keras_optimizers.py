# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras optimizers as pure functions: their variables are the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, SimpleNamespace
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.errors import ArgumentError, place
from foedus.foreign import Way
from foedus.frontends._keras_backend import first_line, in_jax, require_keras
from foedus.frontends._keras_state import touched_outside, with_values

_SCALING = "LossScaleOptimizer"
_CHOOSING = "MultiOptimizer"
_BRANCHING = "_backend_apply_gradients"
"""The method whose branches accumulate gradients, or overwrite weights by their averages, every few steps."""


@final
@dataclass(frozen=True, slots=True)
class _ForWeights:
    """An optimizer that was built for weights of some shapes.

    Args:
        state: What its variables hold at the beginning; a number for the weight that one is a copy of.
        step: From its state, gradients and weights, all as lists, to the new weights and the new state.
    """

    state: list[np.ndarray[Any, Any] | int]
    step: Callable[..., tuple[list[Any], list[Any]]]


@final
class KerasOptimizer:
    """A Keras optimizer as pure functions over structures of weights.

    Args:
        optimizer: The optimizer; it is copied.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.
        copies_weights: Whether its state begins with a copy of the weights.
    """

    def __init__(self, optimizer: Any, way: Way | None, *, copies_weights: bool) -> None:
        self.copies_weights = copies_weights
        self._optimizer = optimizer
        self._way = way
        self._built: dict[Any, _ForWeights] = {}

    def init(self, weights: Any) -> list[Any]:
        """The state for weights."""
        flat = [jnp.asarray(weight) for weight in jax.tree.leaves(weights)]
        start = self._for(flat).state
        return [flat[value] if isinstance(value, int) else jnp.asarray(value) for value in start]

    def step(self, state: list[Any], gradients: Any, weights: Any) -> tuple[Any, list[Any]]:
        """New weights and the new state.

        Args:
            state: The state.
            gradients: A gradient for each weight.
            weights: The weights.
        """
        flat, structure = jax.tree.flatten(weights)
        given = jax.tree.leaves(gradients)
        new, after = self._for(flat).step(list(state), given, flat)
        return jax.tree.unflatten(structure, new), list(after)

    def _for(self, flat: list[Any]) -> _ForWeights:
        shapes = tuple((tuple(w.shape), jnp.dtype(w.dtype).name) for w in flat)
        if shapes not in self._built:
            # What Keras makes here is made now, also where JAX is tracing.
            with jax.ensure_compile_time_eval():
                self._built[shapes] = _built(self._optimizer, shapes, self._way)
        return self._built[shapes]


def open_optimizer(optimizer: Any, *, way: Way | None = None) -> KerasOptimizer:
    """Makes functions of a Keras optimizer.

    Args:
        optimizer: A ``keras.optimizers.Optimizer``, a constructor of one, or its name.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.

    Returns:
        The optimizer as functions.

    Raises:
        ArgumentError: If it is none, or takes a step only together with Keras' own training loop.
    """
    keras = require_keras()
    made: Any = keras.optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer
    made = made() if callable(made) and not isinstance(made, keras.optimizers.Optimizer) else made
    if not isinstance(made, keras.optimizers.Optimizer):
        raise ArgumentError(
            "This is no Keras optimizer",
            found=repr(optimizer),
            expected="keras.optimizers.Optimizer, a constructor of one, or its name",
            at=place("optimizer"),
        )
    _require_alone(made)
    try:
        tried = _built(made, (((2, 2), "float32"), ((2,), "float32")), None)
    except Exception as error:
        raise ArgumentError(
            f"The Keras optimizer {made.name!r} cannot take a step outside of Keras' own training loop",
            found=first_line(error),
            expected="an optimizer that takes gradients and weights, whatever layers they belong to",
            at=place("optimizer"),
        ) from error
    return KerasOptimizer(made, way, copies_weights=any(isinstance(value, int) for value in tried.state))


def _require_alone(optimizer: Any) -> None:
    """Refuses an optimizer around others that needs to know more than weights and gradients."""
    name, classes = optimizer.name, {cls.__name__ for cls in type(optimizer).__mro__}
    if _SCALING in classes:
        raise ArgumentError(
            f"The Keras optimizer {name!r} scales the loss, which only Keras' own training loop does",
            found=type(optimizer).__name__,
            expected="an optimizer that takes gradients as they are",
            at=place("optimizer"),
            hint="give the optimizer inside of it",
        )
    if _CHOOSING in classes:
        raise ArgumentError(
            f"The Keras optimizer {name!r} chooses among others by the paths of variables",
            found=type(optimizer).__name__,
            expected="one optimizer for all weights, which have no paths here",
            at=place("optimizer"),
            hint="use optax.multi_transform over optimizers of optax, which chooses by the weights' names",
        )


def _built(optimizer: Any, shapes: tuple[Any, ...], way: Way | None) -> _ForWeights:
    """A copy of an optimizer, built for weights of these shapes."""
    keras = require_keras()
    choice = _Choice()
    copied = _on_values(type(optimizer), choice).from_config(optimizer.get_config())
    generator = np.random.default_rng(0)
    drawn = [generator.uniform(1, 2, shape).astype(dtype) for shape, dtype in shapes]
    weights = [keras.Variable(value, dtype=value.dtype, name="weight") for value in drawn]
    copied.build(weights)

    def try_once() -> None:
        copied.apply([keras.ops.ones_like(value) for value in drawn], weights)

    # Some keep state in variables that they do not list.
    hidden = touched_outside(try_once, [*copied.variables, *weights])
    state = [*copied.variables, *hidden]
    choice.variables = [*state, *weights]

    def step(values: list[Any], gradients: list[Any], given: list[Any]) -> tuple[list[Any], list[Any]]:
        def apply() -> None:
            copied.apply(gradients, weights)

        _, after = with_values(apply, [*state, *weights], [*values, *given])
        return after[len(state) :], after[: len(state)]

    return _ForWeights(
        [_start(np.asarray(variable.value), drawn) for variable in state],
        in_jax(step, optimizer.name, way=way, written_as=type(optimizer)),
    )


def _start(value: np.ndarray[Any, Any], weights: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any] | int:
    """What a variable holds at the beginning, or the number of the weight that it is a copy of."""
    copied = (
        i for i, w in enumerate(weights) if w.size and w.shape == value.shape and np.array_equal(w, value)
    )
    return next(copied, value)


@final
class _Choice:
    """Keras' ``cond`` for branches that change variables, where these stand for tensors.

    Both branches run, and what each of them leaves in a variable is chosen from; nothing of them but that is
    used. Before the variables are known, it runs both to see which they are.
    """

    def __init__(self) -> None:
        self.variables: list[Any] | None = None

    def __call__(self, condition: Any, *branches: Callable[[], Any]) -> None:
        if self.variables is None:
            for branch in branches:
                branch()
            return
        now = [variable.value for variable in self.variables]
        ends = [with_values(branch, self.variables, now)[1] for branch in branches]
        for variable, one, other in zip(self.variables, *ends, strict=True):
            if one is not other:
                variable.assign(require_keras().ops.where(condition, one, other))


def _choosing(method: Any, choice: _Choice) -> Any:
    """A method of Keras that calls ``ops.cond``, with another one."""
    ops = SimpleNamespace(**{**vars(method.__globals__["ops"]), "cond": choice})
    return FunctionType(method.__code__, {**method.__globals__, "ops": ops}, method.__name__)


def _on_values(cls: Any, choice: _Choice) -> Any:
    """The class of an optimizer without what Keras on TensorFlow adds: steps on variables of TensorFlow.

    What it adds is covered right where it stands, so that the optimizers whose own methods call it by
    ``super`` come to the plain ones too.
    """
    added, plain = (
        next((c for c in cls.__mro__ if c.__name__ == name), None)
        for name in ("TFOptimizer", "BaseOptimizer")
    )
    if added is None or plain is None:
        return cls
    names = [name for name in vars(added) if name in vars(plain) and not name.startswith("__")]
    own = {name: vars(plain)[name] for name in names}
    own[_BRANCHING] = _choosing(vars(plain)[_BRANCHING], choice)
    cover = type(plain.__name__, (added,), own)
    return type(cls.__name__, (cls, cover), {})
