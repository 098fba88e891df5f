# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.optimizers``: optimizers as pairs of pure functions, with TFF's trees of state.

They run where they are called: in code of TensorFlow on tensors, elsewhere on arrays of JAX.
Hyperparameters are in the state, so that a round can be done with others (``set_hparams``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, final

import numpy as np

from foedus.frontends.arithmetic import Arithmetic, arithmetic_here, arithmetic_of
from foedus.frontends.tf_data import whole_gradients
from foedus.tff.learning._optimizer import (
    Named,
    Optimizer,
    State,
    Tree,
    check_weights_gradients_match,
)

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


def _not_negative(name: str, value: float) -> None:
    if _is_number(value) and not value >= 0:
        raise ValueError(f"Expected `{name}` to be non-negative, found {value}.")


def _share(name: str, value: float) -> None:
    if _is_number(value) and not 0 <= value <= 1:
        raise ValueError(f"Expected `{name}` to be between 0 and 1, found {value}.")


def _is_number(value: Any) -> bool:
    """Whether a hyperparameter can be looked at: one that is computed is a tensor."""
    return isinstance(value, int | float | np.number)


def build_sgdm(
    learning_rate: float = 0.01, momentum: float | None = None, nesterov: bool = False
) -> Optimizer:
    """Stochastic gradient descent, with momentum or without.

    Args:
        learning_rate: The learning rate.
        momentum: The share of the last steps' gradients that stays; None or 0 for none.
        nesterov: Whether gradients are looked at one step ahead, which takes a momentum.
    """
    _not_negative("learning_rate", learning_rate)
    if momentum is None or (_is_number(momentum) and momentum == 0):
        if nesterov:
            raise ValueError(f"Expected `momentum` to be positive with `nesterov`, found {momentum}.")
        return Named(
            {LEARNING_RATE_KEY: learning_rate}, {}, lambda a, h, w, g, _: (w - h["learning_rate"] * g, {})
        )
    _share("momentum", momentum)

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        kept = h["momentum"] * slots["accumulator"] + g
        direction = h["momentum"] * kept + g if nesterov else kept
        return w - h["learning_rate"] * direction, {"accumulator": kept}

    return Named({LEARNING_RATE_KEY: learning_rate, "momentum": momentum}, {"accumulator": 0.0}, step)


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

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p = slots["preconditioner"] + g * g
        return w - h["learning_rate"] * g / (a.sqrt(p) + h["epsilon"]), {"preconditioner": p}

    hparams = {LEARNING_RATE_KEY: learning_rate, "epsilon": epsilon}
    return Named(hparams, {"preconditioner": initial_preconditioner_value}, step)


def build_rmsprop(learning_rate: float, decay: float = 0.9, epsilon: float = 1e-7) -> Optimizer:
    """RMSProp (Hinton, 2012).

    Args:
        learning_rate: The learning rate.
        decay: The share of the mean of squares that stays.
        epsilon: Keeps from dividing by zero.
    """
    _not_negative("learning_rate", learning_rate)
    _share("decay", decay)

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p = h["decay"] * slots["preconditioner"] + (1 - h["decay"]) * g * g
        return w - h["learning_rate"] * g / (a.sqrt(p) + h["epsilon"]), {"preconditioner": p}

    hparams = {LEARNING_RATE_KEY: learning_rate, "decay": decay, "epsilon": epsilon}
    return Named(hparams, {"preconditioner": 0.0}, step)


def _adam_step(a: Arithmetic, h: Mapping[str, Any], w: Any, slots: Mapping[str, Any]) -> Any:
    """The weight after a step of Adam (Kingma et al., 2015), in the form before its section 2.1 ends."""
    t = h["step"]
    rate = h["learning_rate"] * a.sqrt(1 - h["beta_2"] ** t) / (1 - h["beta_1"] ** t)
    return w - rate * slots["accumulator"] / (a.sqrt(slots["preconditioner"]) + h["epsilon"])


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

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        new = _adam_slots(h, g, slots)
        return _adam_step(a, h, w, new), new

    return Named(_adam_hparams(learning_rate, beta_1, beta_2, epsilon), _ADAM_SLOTS, step, counts=True)


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

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        new = _adam_slots(h, g, slots)
        moved = _adam_step(a, h, w, new)
        return moved - h["learning_rate"] * h["weight_decay"] * w, new

    hparams = _adam_hparams(learning_rate, beta_1, beta_2, epsilon) | {"weight_decay": weight_decay}
    return Named(hparams, _ADAM_SLOTS, step, counts=True)


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

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        p, square = slots["preconditioner"], g * g
        new = _adam_slots(h, g, slots) | {
            "preconditioner": p + (1 - h["beta_2"]) * a.sign(square - p) * square
        }
        return _adam_step(a, h, w, new), new

    hparams = _adam_hparams(learning_rate, beta_1, beta_2, epsilon)
    slots = {"accumulator": 0.0, "preconditioner": initial_preconditioner_value}
    return Named(hparams, slots, step, counts=True)


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

    def step(a: Arithmetic, h: Mapping[str, Any], w: Any, g: Any, slots: Any) -> Any:
        t = h["step"]
        rate = a.minimum(h["learning_rate"], 1 / a.sqrt(t)) if relative_step else h["learning_rate"]
        kept, square = 1 - t ** h["beta_2_decay"], g * g + h["epsilon_1"]

        def after(name: str, mean: Any) -> Any:
            return kept * slots[name] + (1 - kept) * mean

        if len(w.shape) < 2:
            new, v = {**slots, "v": after("v", square)}, after("v", square)
        else:
            r, c = after("r", a.mean(square, -1)), after("c", a.mean(square, -2))
            new = {**slots, "r": r, "c": c}
            v = (r / a.mean(r, -1, keeps_axis=True))[..., None] * c[..., None, :]
        update = g / a.sqrt(v)
        update = update / a.maximum(_root_mean_square(a, update) / h["clip_threshold"], 1.0)
        size = a.maximum(h["epsilon_2"], _root_mean_square(a, w))
        return w - size * rate * update, new

    hparams = {
        LEARNING_RATE_KEY: learning_rate,
        "beta_2_decay": beta_2_decay,
        "epsilon_1": epsilon_1,
        "epsilon_2": epsilon_2,
        "clip_threshold": clip_threshold,
    }
    return Named(hparams, {"r": 0.0, "c": 0.0, "v": 0.0}, step, counts=True, shape_of=_adafactor_shape)


def _root_mean_square(a: Arithmetic, x: Any) -> Any:
    return a.sqrt(a.mean(x * x))


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
        count = arithmetic_here().full((), 0, "int32")
        return OrderedDict(round_num=count, optimizer=self._with_rate(inner, count))

    def next(self, state: State, weights: Tree, gradients: Tree) -> tuple[State, Tree]:
        inner, moved = self._optimizer.next(state["optimizer"], weights, gradients)
        count = arithmetic_of(state, moved).array(state["round_num"]) + 1
        return OrderedDict(round_num=count, optimizer=self._with_rate(inner, count)), moved

    def _with_rate(self, state: State, count: Any) -> State:
        a, rate = arithmetic_of(count), self._schedule(count)
        return self._optimizer.set_hparams(state, {LEARNING_RATE_KEY: a.cast(a.array(rate), "float32")})


def schedule_learning_rate(optimizer: Optimizer, schedule_fn: Callable[[Any], Any]) -> Optimizer:
    """An optimizer whose learning rate follows a schedule.

    Args:
        optimizer: An optimizer with a learning rate among its hyperparameters.
        schedule_fn: From the number of steps done (int32) to the learning rate; in operations of TensorFlow
            where that calls the optimizer, else in those of JAX. The operators of Python are both.
    """
    return _Scheduled(optimizer, schedule_fn)
