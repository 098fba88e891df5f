# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Variables of Keras as values: what code reads and changes beside those that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import jax

from foedus.errors import ArgumentError, place
from foedus.frontends._keras_backend import require_keras


def with_values(
    fn: Callable[[], Any], variables: Sequence[Any], values: Iterable[Any]
) -> tuple[Any, list[Any]]:
    """Runs code of Keras with other values of variables, and changes none of them.

    Args:
        fn: The code.
        variables: The variables.
        values: What they hold meanwhile.

    Returns:
        The result, and what the variables would hold afterwards.
    """
    keras = require_keras()

    class Values(keras.StatelessScope):  # One that is given a variable would keep it, and not its value.
        def add_update(self, update: Any) -> None:
            variable, value = update
            super().add_update((variable, value.value if isinstance(value, keras.Variable) else value))

    mapping = list(zip(variables, values, strict=True))
    with Values(state_mapping=mapping) as scope:
        result = fn()
    return result, [scope.get_current_value(variable) for variable in variables]


def touched_outside(fn: Callable[[], Any], variables: Sequence[Any]) -> list[Any]:
    """The variables that code of Keras reads or changes beside those that are its own.

    Args:
        fn: The code; run once.
        variables: Its own.

    Returns:
        The others, each once, in order.
    """
    own = {id(variable) for variable in variables}
    found: dict[int, Any] = {}

    class Watching(require_keras().StatelessScope):  # A scope is asked for each variable's value.
        def get_current_value(self, variable: Any) -> Any:
            if id(variable) not in own:
                found.setdefault(id(variable), variable)
            return super().get_current_value(variable)

        def add_update(self, update: Any) -> None:
            if id(update[0]) not in own:
                found.setdefault(id(update[0]), update[0])
            super().add_update(update)

    with Watching(state_mapping=[(variable, variable.value) for variable in variables]):
        fn()
    return list(found.values())


def require_own_variables(name: str, one: Any, other: Any) -> None:
    """Refuses a function that builds models which share anything.

    Args:
        name: What the function is called.
        one: What it built.
        other: What it built when it was called again.

    Raises:
        ArgumentError: If the two are one model, or have a variable in common.
    """
    hint = "move the lines that make it into the function"
    if one is other:
        raise ArgumentError(
            f"{name!r} returns the same Keras model each time",
            found=f"{type(one).__name__} {one.name!r}, built outside of it",
            expected="a new model in each call",
            at=place("build"),
            hint=hint,
        )
    known = {id(variable) for variable in other.variables}
    shared = next((variable for variable in one.variables if id(variable) in known), None)
    if shared is not None:
        raise ArgumentError(
            f"The models that {name!r} returns share a variable",
            found=f"{shared.path!r}, of a layer that was built outside of it",
            expected="layers and variables that are new in each call",
            at=place("build"),
            hint=hint,
        )


def require_closed(model: Any, x: Any) -> None:
    """Refuses a model that reads or changes variables that are not its own.

    Args:
        model: The model.
        x: A batch of features.

    Raises:
        ArgumentError: If it does.
    """
    on_jax = require_keras().config.backend() == "jax"
    run = partial(jax.eval_shape, model, x) if on_jax else partial(model, x)
    outside = touched_outside(run, model.variables)
    if not outside:
        return
    path = outside[0].path
    random = "seed" in path and "state" in path
    raise ArgumentError(
        f"The Keras model {model.name!r} uses a state from outside",
        found=f"the variable {path!r}, which belongs to none of its layers",
        expected="layers that are attributes of the model or of its layers, and weights made by add_weight",
        at=place("build"),
        hint="give it a keras.random.SeedGenerator as its seed, kept as an attribute of the layer"
        if random
        else "keep the layer or the variable as an attribute of a layer, made inside of build",
    )
