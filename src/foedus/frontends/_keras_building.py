# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Builds Keras models, with one program for all their initial weights.

On JAX, Keras compiles a program for every shape of every initializer, and optimizes it as if it were to run
for long: a second for a small convolutional network. Here variables wait until the model is built, which
Keras has for models that are built while a function is traced; then one program draws the values of those
that nothing was assigned to, and is compiled quickly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from foedus.frontends._compiled_quickly import compiled_quickly
from foedus.frontends._keras_backend import require_keras


def build_model(build: Callable[[], Any]) -> Any:
    """Calls a function that builds a model.

    The model is as if the function were called directly, and has the same weights up to rounding.

    Args:
        build: The function. It is called directly if it does what has no time to wait, such as to make a
            variable of an array, and where Keras is not on JAX.

    Returns:
        What it returns.
    """
    keras = require_keras()
    if keras.config.backend() != "jax":
        return build()
    seeds = random.getstate()  # Of which Keras takes the seeds of its initializers.
    try:
        with _waiting() as assigned:
            model = build()
            waiting = [variable for variable in model.variables if _waits(variable)]
    except Exception:  # If it is the function that fails, it does so again.
        random.setstate(seeds)
        return build()
    values = {key: value for key, (_, value) in assigned.items()}
    values |= _drawn([variable for variable in waiting if id(variable) not in values])
    for variable in waiting:
        if id(variable) in values:
            variable._initializer = _Given(values[id(variable)])
    with keras.StatelessScope():
        pass  # As it ends, Keras initializes all variables that wait.
    for variable, value in assigned.values():
        variable.assign(value)
    return model


def _waiting() -> Any:
    """A scope in which variables are not initialized; it gives what is assigned to any, by their identity."""
    keras = require_keras()

    class Waiting(keras.StatelessScope):
        def __enter__(self) -> dict[int, tuple[Any, Any]]:
            super().__enter__()
            self.assigned: dict[int, tuple[Any, Any]] = {}
            return self.assigned

        def add_update(self, update: Any) -> None:
            variable, given = update
            value = given.value if isinstance(given, keras.Variable) else given
            self.assigned[id(variable)] = (variable, value)
            super().add_update((variable, value))

    return Waiting(initialize_variables=False)


def _waits(variable: Any) -> bool:
    return getattr(variable, "_initializer", None) is not None


def _drawn(variables: list[Any]) -> dict[int, Any]:
    """Values of variables that wait, by their identity; none if only Keras can tell them.

    Keras draws them in the order in which variables were made. That matters where initializers have a seed
    generator in common.
    """
    if not variables:
        return {}
    try:
        with _waiting() as assigned:
            values = compiled_quickly(lambda: [variable.value for variable in variables])()
    except Exception:  # An initializer that does more than compute with arrays.
        return {}
    return {} if assigned else {id(v): value for v, value in zip(variables, values, strict=True)}


class _Given:
    """An initializer that gives a value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return self._value
