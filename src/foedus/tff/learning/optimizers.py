# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.optimizers``: optimizers as pairs of pure functions, with TFF's trees of state.

Hyperparameters are in the state, so that a round can be done with others (``set_hparams``).
"""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, TypeAlias, final

import jax
import jax.numpy as jnp

from foedus.frontends.tf_data import whole_gradients
from foedus.types import to_dtype

__all__ = [
    "LEARNING_RATE_KEY",
    "Optimizer",
    "build_adafactor",
    "build_adagrad",
    "build_adam",
    "build_adamw",
    "build_rmsprop",
    "build_sgdm",
    "build_yogi",
    "check_weights_gradients_match",
    "handle_indexed_slices_gradients",
    "schedule_learning_rate",
]

LEARNING_RATE_KEY = "learning_rate"
"""Under which the learning rate is in the hyperparameters."""

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
    return jnp.full(tuple(spec.shape) if shape is None else shape, value, to_dtype(spec.dtype))


ShapeOf: TypeAlias = Callable[[str, tuple[int, ...]], tuple[int, ...]]
"""``(slot, shape of the weight) -> shape of the slot``."""


def _as_the_weight(slot: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


Step: TypeAlias = Callable[[Mapping[str, Any], Any, Any, Any], tuple[Any, Mapping[str, Any]]]
"""``(state, weight, gradient, slots of the weight) -> (new weight, new slots)``."""


@final
class _Named(Optimizer):
    """An optimizer of hyperparameters, perhaps a count of steps, and a few slots for each weight.

    Args:
        hparams: The hyperparameters.
        slots: For each slot, what it is filled with.
        step: What is done for each weight.
        counts: Whether there is a count of steps.
        shape_of: What shape a slot has.
    """

    def __init__(
        self,
        hparams: Mapping[str, float],
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
        state: OrderedDict[str, Any] = OrderedDict(
            (name, jnp.float32(value)) for name, value in self._hparams.items()
        )
        if self._counts:
            state["step"] = jnp.int32(0)
        for name, start in self._slots.items():
            state[name] = jax.tree.map(partial(self._slot, name, start), specs)
        return state

    def _slot(self, name: str, start: float, spec: Any) -> Any:
        return filled(spec, start, self._shape_of(name, tuple(spec.shape)))

    def next(self, state: State, weights: Tree, gradients: Tree) -> tuple[State, Tree]:
        check_weights_gradients_match(weights, gradients)
        new = OrderedDict(state)
        if self._counts:
            new["step"] = state["step"] + 1
        leaves, structure = jax.tree.flatten(weights)
        slots = {name: jax.tree.leaves(state[name]) for name in self._slots}
        found = [
            self._step(new, w, g, {name: slots[name][i] for name in slots})
            for i, (w, g) in enumerate(zip(leaves, jax.tree.leaves(gradients), strict=True))
        ]
        for name in slots:
            new[name] = jax.tree.unflatten(structure, [after[name] for _, after in found])
        return new, jax.tree.unflatten(structure, [weight for weight, _ in found])

    def get_hparams(self, state: State) -> OrderedDict[str, Any]:
        return OrderedDict((name, state[name]) for name in self._hparams)

    def set_hparams(self, state: State, hparams: Mapping[str, Any]) -> State:
        return OrderedDict(state) | {name: hparams[name] for name in self._hparams if name in hparams}


def check_weights_gradients_match(weights: Tree, gradients: Tree) -> None:
    """Raises ``ValueError`` unless weights and gradients have one structure."""
    found, expected = jax.tree.structure(gradients), jax.tree.structure(weights)
    if found != expected:
        raise ValueError(f"Expected gradients of the structure of the weights, {expected}, found {found}.")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"Expected `{name}` to be non-negative, found {value}.")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"Expected `{name}` to be between 0 and 1, found {value}.")


def build_sgdm(
    learning_rate: float = 0.01, momentum: float | None = None, nesterov: bool = False
) -> Optimizer:
    """Stochastic gradient descent, with momentum or without.

    Args:
        learning_rate: The learning rate.
        momentum: The share of the last steps' gradients that stays; None or 0 for none.
        nesterov: Whether gradients are looked at one step ahead.
    """
    _not_negative("learning_rate", learning_rate)
    if not momentum:
        return _Named(
            {LEARNING_RATE_KEY: learning_rate}, {}, lambda h, w, g, _: (w - h["learning_rate"] * g, {})
        )
    _share("momentum", momentum)

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        kept = h["momentum"] * slots["accumulator"] + g
        direction = h["momentum"] * kept + g if nesterov else kept
        return w - h["learning_rate"] * direction, {"accumulator": kept}

    return _Named({LEARNING_RATE_KEY: learning_rate, "momentum": momentum}, {"accumulator": 0.0}, step)


def build_adagrad(
    learning_rate: float, initial_preconditioner_value: float = 0.1, epsilon: float = 1e-7
) -> Optimizer:
    """Adagrad (Duchi et al., 2011).

    Args:
        learning_rate: The learning rate.
        initial_preconditioner_value: Where the sums of squares begin.
        epsilon: Keeps from dividing by zero.
    """
    _not_negative("learning_rate", learning_rate)

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p = slots["preconditioner"] + g * g
        return w - h["learning_rate"] * g / (jnp.sqrt(p) + h["epsilon"]), {"preconditioner": p}

    hparams = {LEARNING_RATE_KEY: learning_rate, "epsilon": epsilon}
    return _Named(hparams, {"preconditioner": initial_preconditioner_value}, step)


def build_rmsprop(learning_rate: float, decay: float = 0.9, epsilon: float = 1e-7) -> Optimizer:
    """RMSProp (Hinton, 2012).

    Args:
        learning_rate: The learning rate.
        decay: The share of the mean of squares that stays.
        epsilon: Keeps from dividing by zero.
    """
    _not_negative("learning_rate", learning_rate)
    _share("decay", decay)

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p = h["decay"] * slots["preconditioner"] + (1 - h["decay"]) * g * g
        return w - h["learning_rate"] * g / (jnp.sqrt(p) + h["epsilon"]), {"preconditioner": p}

    hparams = {LEARNING_RATE_KEY: learning_rate, "decay": decay, "epsilon": epsilon}
    return _Named(hparams, {"preconditioner": 0.0}, step)


def _adam_step(h: Mapping[str, Any], w: Any, g: Any, accumulator: Any, preconditioner: Any) -> Any:
    """The weight after a step of Adam (Kingma et al., 2015), in the form before its section 2.1 ends."""
    t = h["step"].astype(jnp.float32)
    rate = h["learning_rate"] * jnp.sqrt(1 - h["beta_2"] ** t) / (1 - h["beta_1"] ** t)
    return w - rate * accumulator / (jnp.sqrt(preconditioner) + h["epsilon"])


def _adam_hparams(learning_rate: float, beta_1: float, beta_2: float, epsilon: float) -> dict[str, float]:
    _not_negative("learning_rate", learning_rate)
    _share("beta_1", beta_1)
    _share("beta_2", beta_2)
    return {LEARNING_RATE_KEY: learning_rate, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}


def _adam_slots(h: Mapping[str, Any], g: Any, slots: Any) -> dict[str, Any]:
    return {
        "accumulator": h["beta_1"] * slots["accumulator"] + (1 - h["beta_1"]) * g,
        "preconditioner": h["beta_2"] * slots["preconditioner"] + (1 - h["beta_2"]) * g * g,
    }


_ADAM_SLOTS = {"accumulator": 0.0, "preconditioner": 0.0}


def build_adam(
    learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
) -> Optimizer:
    """Adam (Kingma et al., 2015).

    Args:
        learning_rate: The learning rate.
        beta_1: The share of the mean of gradients that stays.
        beta_2: The share of the mean of their squares that stays.
        epsilon: Keeps from dividing by zero.
    """

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        new = _adam_slots(h, g, slots)
        return _adam_step(h, w, g, new["accumulator"], new["preconditioner"]), new

    return _Named(_adam_hparams(learning_rate, beta_1, beta_2, epsilon), _ADAM_SLOTS, step, counts=True)


def build_adamw(
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.004,
) -> Optimizer:
    """Adam with decoupled decay of weights (Loshchilov and Hutter, 2019).

    Args:
        learning_rate: The learning rate.
        beta_1: The share of the mean of gradients that stays.
        beta_2: The share of the mean of their squares that stays.
        epsilon: Keeps from dividing by zero.
        weight_decay: The share of each weight that is taken off it, times the learning rate.
    """
    _not_negative("weight_decay", weight_decay)

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        new = _adam_slots(h, g, slots)
        moved = _adam_step(h, w, g, new["accumulator"], new["preconditioner"])
        return moved - h["learning_rate"] * h["weight_decay"] * w, new

    hparams = _adam_hparams(learning_rate, beta_1, beta_2, epsilon) | {"weight_decay": weight_decay}
    return _Named(hparams, _ADAM_SLOTS, step, counts=True)


def build_yogi(
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-3,
    initial_preconditioner_value: float = 1e-6,
) -> Optimizer:
    """Yogi (Zaheer et al., 2018).

    Args:
        learning_rate: The learning rate.
        beta_1: The share of the mean of gradients that stays.
        beta_2: How slowly the mean of their squares changes.
        epsilon: Keeps from dividing by zero.
        initial_preconditioner_value: Where the mean of squares begins.
    """

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p, square = slots["preconditioner"], g * g
        new = _adam_slots(h, g, slots) | {
            "preconditioner": p + (1 - h["beta_2"]) * jnp.sign(square - p) * square
        }
        return _adam_step(h, w, g, new["accumulator"], new["preconditioner"]), new

    hparams = _adam_hparams(learning_rate, beta_1, beta_2, epsilon)
    slots = {"accumulator": 0.0, "preconditioner": initial_preconditioner_value}
    return _Named(hparams, slots, step, counts=True)


def build_adafactor(
    learning_rate: float,
    *,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
) -> Optimizer:
    """Adafactor (Shazeer and Stern, 2018, algorithms 4 and 5).

    Of a weight with two dimensions or more only the sums of squares over its last dimension and over the one
    before are kept.

    Args:
        learning_rate: The learning rate; with ``relative_step``, the most that it is.
        beta_2_decay: How the mean of squares forgets: beta_2 is ``1 - t ** beta_2_decay`` in step t.
        epsilon_1: Is added to squares of gradients.
        epsilon_2: The least size of a weight, of which a step is a share.
        clip_threshold: The largest root mean square of an update.
        relative_step: Whether the learning rate is at most ``1 / sqrt(t)``.
    """
    _not_negative("learning_rate", learning_rate)
    _not_negative("epsilon_1", epsilon_1)
    _not_negative("epsilon_2", epsilon_2)
    if beta_2_decay > 0 or clip_threshold < 1:
        raise ValueError(
            "Expected `beta_2_decay` to be at most 0 and `clip_threshold` at least 1, "
            f"found {beta_2_decay} and {clip_threshold}."
        )

    def step(h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        t = h["step"].astype(jnp.float32)
        rate = jnp.minimum(h["learning_rate"], 1 / jnp.sqrt(t)) if relative_step else h["learning_rate"]
        kept, square = 1 - t ** h["beta_2_decay"], g * g + h["epsilon_1"]

        def after(name: str, mean: Any) -> Any:
            return kept * slots[name] + (1 - kept) * mean

        if w.ndim < 2:
            new, v = {**slots, "v": after("v", square)}, after("v", square)
        else:
            r, c = after("r", square.mean(-1)), after("c", square.mean(-2))
            new = {**slots, "r": r, "c": c}
            v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        update = g / jnp.sqrt(v)
        update = update / jnp.maximum(1, _root_mean_square(update) / h["clip_threshold"])
        size = jnp.maximum(h["epsilon_2"], _root_mean_square(w))
        return w - size * rate * update, new

    hparams = {
        LEARNING_RATE_KEY: learning_rate,
        "beta_2_decay": beta_2_decay,
        "epsilon_1": epsilon_1,
        "epsilon_2": epsilon_2,
        "clip_threshold": clip_threshold,
    }
    return _Named(hparams, {"r": 0.0, "c": 0.0, "v": 0.0}, step, counts=True, shape_of=_adafactor_shape)


def _root_mean_square(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(x * x))


def _adafactor_shape(slot: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) < 2:
        return shape if slot == "v" else ()
    return {"r": shape[:-1], "c": (*shape[:-2], shape[-1]), "v": ()}[slot]


def handle_indexed_slices_gradients(optimizer_next_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Gives an optimizer's ``next`` whole gradients where TensorFlow gives those of some rows only.

    Args:
        optimizer_next_fn: A method ``(self, state, weights, gradients)``.

    Returns:
        The method, for use as a decorator.
    """

    @wraps(optimizer_next_fn)
    def next_(optimizer: Any, state: State, weights: Tree, gradients: Tree) -> Any:
        return optimizer_next_fn(optimizer, state, weights, whole_gradients(gradients))

    return next_


@final
class _Scheduled(Optimizer):
    """An optimizer whose learning rate is a function of the number of its steps."""

    def __init__(self, optimizer: Optimizer, schedule_fn: Callable[[Any], Any]) -> None:
        self._optimizer = optimizer
        self._schedule = schedule_fn

    def initialize(self, specs: Tree) -> State:
        inner = self._optimizer.initialize(specs)
        rate = {LEARNING_RATE_KEY: jnp.asarray(self._schedule(jnp.int32(0)), jnp.float32)}
        return OrderedDict(round_number=jnp.int32(0), optimizer=self._optimizer.set_hparams(inner, rate))

    def next(self, state: State, weights: Tree, gradients: Tree) -> tuple[State, Tree]:
        inner, moved = self._optimizer.next(state["optimizer"], weights, gradients)
        count = state["round_number"] + 1
        rate = {LEARNING_RATE_KEY: jnp.asarray(self._schedule(count), jnp.float32)}
        return OrderedDict(round_number=count, optimizer=self._optimizer.set_hparams(inner, rate)), moved


def schedule_learning_rate(optimizer: Optimizer, schedule_fn: Callable[[Any], Any]) -> Optimizer:
    """An optimizer whose learning rate follows a schedule.

    Args:
        optimizer: An optimizer with a learning rate among its hyperparameters.
        schedule_fn: From the number of steps done (int32) to the learning rate, in operations of JAX.
    """
    return _Scheduled(optimizer, schedule_fn)
