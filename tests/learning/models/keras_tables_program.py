# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Goes through the tables of ``keras_cases`` on the backend that Keras is on, and prints JSON.

It is run in a process of its own, since Keras has one backend a process.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras
import keras_cases as cases
import numpy as np

from foedus.errors import FoedusError
from foedus.learning import models


def told(fn: Callable[[], Any]) -> Any:
    """What a function gives, or what its error says."""
    try:
        return fn()
    except FoedusError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}, which is not ours: {error}"


def numbers(values: Any) -> list[float]:
    """All numbers of some arrays."""
    return [float(number) for leaf in jax.tree.leaves(values) for number in np.ravel(leaf)]


def pairs(names: Iterable[str], of: Callable[[str], Any]) -> dict[str, Any]:
    """For each name what ours gives and what Keras gives, or what the error says."""
    return {name: told(lambda name=name: list(map(numbers, of(name)))) for name in names}


def noisy() -> Any:
    """A model with a layer that draws from TensorFlow's own state."""
    tf: Any = importlib.import_module("tensorflow")

    class Noisy(cases.L.Layer):
        def call(self, x: Any) -> Any:
            return x + tf.random.normal(tf.shape(x))

    layers = [keras.Input((4,)), Noisy(), cases.L.Dense(cases.CLASSES)]
    return keras.Sequential(layers, name="noisy")


def refused() -> dict[str, str]:
    """What is said of those that are refused."""
    label_and_loss = {name: case[:2] for name, case in cases.REFUSED_LOSSES.items()}
    said = {
        name: told(lambda label=label, make=make: cases.model_with(label, make()))
        for name, (label, make) in label_and_loss.items()
    }
    for name in cases.REFUSED_METRICS:
        said[name] = told(lambda name=name: cases.measured(cases.CHANCES, getattr(cases.measures, name)()))
    for name, make in cases.WRAPPED.items():
        said[name] = told(lambda make=make: models.optimizer_from_keras(make()))
    example = {"x": ("float32", (4,)), "y": cases.INDEX}
    loss = cases.losses.SparseCategoricalCrossentropy()
    said["noisy"] = told(lambda: models.from_keras(noisy, example=example, loss=loss))
    return said


def main() -> None:
    """Prints all of it."""
    found = {
        "backend": keras.config.backend(),
        "losses": pairs(cases.LOSSES, cases.losses_of_examples),
        "metrics": pairs(cases.METRICS, cases.metric_of_two_clients),
        "optimizers": pairs(cases.TAKEN, lambda name: cases.steps_of(cases.TAKEN[name])),
        "coupled": cases.model_with(cases.INDEX, cases.losses.Circle()).coupled,
        "refused": refused(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
