# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an optimizer is, and those that apply one rule to each weight.

Rules are written once, and run on arrays of JAX and on tensors of TensorFlow: ``next`` gives what it was
given. They compute in float32 at least, and give each weight and slot the dtype that it had.
"""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, final

import jax.numpy as jnp

from foedus.frontends.arithmetic import Arithmetic, arithmetic_here, arithmetic_of
from foedus.types import to_dtype

Tree: TypeAlias = Any
State: TypeAlias = Any


class Optimizer(abc.ABC):
    """From weights and gradients to new weights."""

    @abc.abstractmethod
    def initialize(self, specs: Tree) -> State:
        """The first state.

        Args:
            specs: What has a shape and a dtype, for each of the weights.
        """

    @abc.abstractmethod
    def next(self, state: State, weights: Tree, gradients: Tree) -> tuple[State, Tree]:
        """One step.

        Args:
            state: The state.
            weights: The weights.
            gradients: Their gradients.

        Returns:
            The new state and the new weights.
        """

    def get_hparams(self, state: State) -> OrderedDict[str, Any]:
        """The hyperparameters in a state; none unless a class says otherwise."""
        return OrderedDict()

    def set_hparams(self, state: State, hparams: Mapping[str, Any]) -> State:
        """The state with other hyperparameters."""
        return state


def filled(spec: Any, value: float, shape: tuple[int, ...] | None = None) -> Any:
    """An array as a specification says, whether of TensorFlow or of JAX, with one value everywhere.

    Args:
        spec: What has a shape and a dtype.
        value: The value.
        shape: Another shape.
    """
    return arithmetic_here().full(tuple(spec.shape) if shape is None else shape, value, spec.dtype)


ShapeOf: TypeAlias = Callable[[str, tuple[int, ...]], tuple[int, ...]]
"""``(slot, shape of the weight) -> shape of the slot``."""


def _as_the_weight(slot: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


Step: TypeAlias = Callable[[Arithmetic, Mapping[str, Any], Any, Any, Any], tuple[Any, Mapping[str, Any]]]
"""``(arithmetic, hyperparameters and step, weight, gradient, its slots) -> (new weight, new slots)``."""


@final
class Named(Optimizer):
    """An optimizer of hyperparameters, perhaps a count of steps, and a few slots for each weight.

    Args:
        hparams: The hyperparameters.
        slots: For each slot, what it is filled with.
        step: What is done for each weight; all that it takes has one dtype.
        counts: Whether there is a count of steps.
        shape_of: What shape a slot has.
    """

    def __init__(
        self,
        hparams: Mapping[str, Any],
        slots: Mapping[str, float],
        step: Step,
        *,
        counts: bool = False,
        shape_of: ShapeOf = _as_the_weight,
    ) -> None:
        self._hparams = hparams
        self._slots = slots
        self._step = step
        self._counts = counts
        self._shape_of = shape_of

    def initialize(self, specs: Tree) -> State:
        here, given = arithmetic_here(), arithmetic_of(specs)
        state: OrderedDict[str, Any] = OrderedDict(
            (name, here.cast(here.array(value), "float32")) for name, value in self._hparams.items()
        )
        if self._counts:
            state["step"] = here.full((), 0, "int32")
        for name, start in self._slots.items():
            made = [self._slot(name, start, spec) for spec in given.flatten(specs)]
            state[name] = given.packed(specs, made)
        return state

    def _slot(self, name: str, start: float, spec: Any) -> Any:
        return filled(spec, start, self._shape_of(name, tuple(spec.shape)))

    def next(self, state: State, weights: Tree, gradients: Tree) -> tuple[State, Tree]:
        check_weights_gradients_match(weights, gradients)
        a = arithmetic_of(weights, gradients, state)
        new = OrderedDict(state)
        for name in self._hparams:
            new[name] = a.cast(a.array(state[name]), "float32")
        if self._counts:
            new["step"] = a.array(state["step"]) + 1
        slots = {name: a.flatten(state[name]) for name in self._slots}
        found = [
            self._moved(a, new, w, g, {name: slots[name][i] for name in slots})
            for i, (w, g) in enumerate(zip(a.flatten(weights), a.flatten(gradients), strict=True))
        ]
        for name in slots:
            new[name] = a.packed(weights, [after[name] for _, after in found])
        return new, a.packed(weights, [weight for weight, _ in found])

    def _moved(self, a: Arithmetic, new: Mapping[str, Any], w: Any, g: Any, slots: Mapping[str, Any]) -> Any:
        """A weight and its slots after a step."""
        w, slots = a.array(w), {name: a.array(slot) for name, slot in slots.items()}
        if g is None:
            return w, slots  # What the loss does not depend on stays.
        wide = _wide(w.dtype)
        names = [*self._hparams, "step"] if self._counts else self._hparams
        h = {name: a.cast(new[name], wide) for name in names}
        own = {name: a.cast(slot, wide) for name, slot in slots.items()}
        moved, after = self._step(a, h, a.cast(w, wide), a.cast(a.array(g), wide), own)
        return a.cast(moved, w.dtype), {name: a.cast(after[name], slots[name].dtype) for name in slots}

    def get_hparams(self, state: State) -> OrderedDict[str, Any]:
        return OrderedDict((name, state[name]) for name in self._hparams)

    def set_hparams(self, state: State, hparams: Mapping[str, Any]) -> State:
        return OrderedDict(state) | {name: hparams[name] for name in self._hparams if name in hparams}


def _wide(dtype: Any) -> Any:
    own = to_dtype(dtype)
    assert own is not None, f"a weight of the dtype {dtype}; please report"
    return jnp.promote_types(own, jnp.float32)


def check_weights_gradients_match(weights: Tree, gradients: Tree) -> None:
    """Raises ``ValueError`` unless weights and gradients have one structure."""
    a = arithmetic_of(weights, gradients)
    found, expected = a.structure(gradients), a.structure(weights)
    if found != expected:
        raise ValueError(f"Expected gradients of the structure of the weights, {expected}, found {found}.")
