# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras' optimizers, as TFF took them until 2025, as pure functions with the state that they had there.

The state is the number of steps, and then Keras' slots for each weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.tff.learning._keras_2 import built
from foedus.tff.learning._keras_steps import KerasSteps
from foedus.tff.learning._optimizer import Optimizer, filled

_PLAIN = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "amsgrad": False,
    "centered": False,
}
"""Options with whose values an optimizer has the state of TFF's; with others it has that of Keras."""


def optimizer_of(given: Any, name: str) -> Optimizer:
    """The optimizer that was given to a builder.

    Args:
        given: An ``Optimizer`` of TFF, or a function without arguments that returns one of Keras.
        name: The argument, for the error's text.

    Raises:
        TypeError: If it is an instance of a Keras optimizer, uses Keras 2, or is nothing of the kind.
        NotImplementedError: If its state begins with the weights.
    """
    if isinstance(given, Optimizer):
        return given
    if _is_keras_optimizer(given):
        raise TypeError(
            f"Expected `{name}` to be a function that makes an optimizer, found an optimizer that is made. "
            f"Make it inside: {name}=lambda: tf.keras.optimizers.{type(given).__name__}(...)"
        )
    made = built(given, name) if callable(given) else None
    if isinstance(made, Optimizer):
        return made
    if not _is_keras_optimizer(made):
        raise TypeError(
            f"Expected `{name}` to be a tff.learning.optimizers.Optimizer, or a function without arguments "
            f"that returns a tf.keras.optimizers.Optimizer, found {given!r}"
            + (f" that returns {made!r}." if callable(given) else ".")
        )
    return _of_keras(made)


def _is_keras_optimizer(value: Any) -> bool:
    return any(
        cls.__name__ == "Optimizer" and cls.__module__.split(".")[0] in ("keras", "tf_keras")
        for cls in type(value).__mro__
    )


def _of_keras(optimizer: Any) -> Optimizer:
    name = type(optimizer).__name__
    config: dict[str, Any] = optimizer.get_config()
    make = _KNOWN.get(name)
    plain = _PLAIN if name != "AdamW" else {k: v for k, v in _PLAIN.items() if k != "weight_decay"}
    odd = next((k for k, v in plain.items() if config.get(k, v) != v), None)
    if make is None or odd is not None or not isinstance(config["learning_rate"], float):
        return KerasSteps(optimizer)
    return make(config)


Step = Callable[[Any, Any, Any, list[Any]], tuple[Any, list[Any]]]
"""``(steps done with this one, weight, gradient, slots) -> (new weight, new slots)``."""


@final
class _KerasOptimizer(Optimizer):
    """A count of steps and slots."""

    def __init__(self, starts: list[float], step: Step) -> None:
        self._starts = starts
        self._step = step

    def initialize(self, specs: Any) -> list[Any]:
        leaves = jax.tree.leaves(specs)
        return [np.int64(0)] + [filled(spec, start) for start in self._starts for spec in leaves]

    def next(self, state: list[Any], weights: Any, gradients: Any) -> tuple[list[Any], Any]:
        leaves, structure = jax.tree.flatten(weights)
        count = state[0] + 1
        slots = [state[1 + i :: len(leaves)] for i in range(len(leaves))]
        found = [
            self._step(count.astype(w.dtype), w, g, own)
            for w, g, own in zip(leaves, jax.tree.leaves(gradients), slots, strict=True)
        ]
        kept = [found[i][1][slot] for slot in range(len(self._starts)) for i in range(len(leaves))]
        return [count, *kept], jax.tree.unflatten(structure, [weight for weight, _ in found])


def _sgd(config: Mapping[str, Any]) -> Optimizer:
    rate, momentum, nesterov = config["learning_rate"], config["momentum"], config["nesterov"]
    if not momentum:
        return _KerasOptimizer([], lambda t, w, g, slots: (w - rate * g, []))

    def step(t: Any, w: Any, g: Any, slots: list[Any]) -> Any:
        velocity = momentum * slots[0] - rate * g
        return w + (momentum * velocity - rate * g if nesterov else velocity), [velocity]

    return _KerasOptimizer([0.0], step)


def _adam(config: Mapping[str, Any]) -> Optimizer:
    rate, one, two = config["learning_rate"], config["beta_1"], config["beta_2"]
    decay = config["weight_decay"] or 0.0

    def step(t: Any, w: Any, g: Any, slots: list[Any]) -> Any:
        mean = slots[0] + (g - slots[0]) * (1 - one)
        square = slots[1] + (g * g - slots[1]) * (1 - two)
        alpha = rate * jnp.sqrt(1 - two**t) / (1 - one**t)
        decayed = w - rate * decay * w
        return decayed - alpha * mean / (jnp.sqrt(square) + config["epsilon"]), [mean, square]

    return _KerasOptimizer([0.0, 0.0], step)


def _adagrad(config: Mapping[str, Any]) -> Optimizer:
    def step(t: Any, w: Any, g: Any, slots: list[Any]) -> Any:
        total = slots[0] + g * g
        return w - config["learning_rate"] * g / jnp.sqrt(total + config["epsilon"]), [total]

    return _KerasOptimizer([config["initial_accumulator_value"]], step)


def _rmsprop(config: Mapping[str, Any]) -> Optimizer:
    rate, rho, momentum = config["learning_rate"], config["rho"], config["momentum"]

    def step(t: Any, w: Any, g: Any, slots: list[Any]) -> Any:
        square = rho * slots[0] + (1 - rho) * g * g
        increment = rate * g / jnp.sqrt(square + config["epsilon"])
        if not momentum:
            return w - increment, [square]
        kept = momentum * slots[1] + increment
        return w - kept, [square, kept]

    return _KerasOptimizer([0.0, 0.0] if momentum else [0.0], step)


_KNOWN: dict[str, Callable[[Mapping[str, Any]], Optimizer]] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "Adagrad": _adagrad,
    "RMSprop": _rmsprop,
}
