# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of aggregators, as functions that return what breaks them: nothing, where a law holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

import foedus as fd
from foedus import aggregators, runtime
from foedus.process import Output, Process
from foedus.types import (
    EMPTY,
    SERVER,
    Federated,
    Function,
    Type,
    at_clients,
    at_server,
    float32,
    struct,
    type_of,
)

from .runtime_laws import Make, differences

VALUE = {"w": np.zeros((2, 3), np.float32), "b": [np.zeros((), np.float64)]}
"""One client's value: arrays in containers, of two dtypes."""


@dataclass(frozen=True)
class Aggregation:
    """An aggregator and what it should compute.

    Args:
        name: What it is called in tests.
        aggregator: The aggregator.
        meaning: From a value with leaves ``[clients, ...]`` and weights ``[clients]`` (ones where it takes
            none) to the result, in NumPy.
        weighted: Whether it takes weights.
        value: One client's value.
    """

    name: str
    aggregator: aggregators.Aggregator
    meaning: Callable[[Any, Any], Any]
    weighted: bool
    value: Any = field(default_factory=lambda: VALUE)

    @property
    def weight_type(self) -> Type:
        return float32 if self.weighted else EMPTY

    @cached_property
    def process(self) -> Process:
        """The process for the value, made once for all laws."""
        return self.aggregator.create(type_of(self.value), self.weight_type)

    @cached_property
    def _runtimes(self) -> dict[Make, Any]:
        return {}

    def runtime(self, make: Make) -> Any:
        """A runtime that keeps what it has compiled from law to law."""
        return self._runtimes.setdefault(make, make())


def draw(aggregation: Aggregation, count: int) -> tuple[Any, Any]:
    """Values of clients, stacked, whose norms differ, and their weights."""
    rng = np.random.default_rng(count)
    size = rng.uniform(0.2, 3.0, count)

    def leaf(template: Any) -> Any:
        drawn = rng.uniform(0.5, 1.5, (count, *template.shape))
        return (drawn * size.reshape(-1, *[1] * template.ndim)).astype(template.dtype)

    weights = rng.integers(1, 9, count).astype(np.float32)
    return jax.tree.map(leaf, aggregation.value), weights if aggregation.weighted else np.ones_like(weights)


def with_member(values: Any, client: int, number: float) -> Any:
    """Stacked values in which one client has the same number everywhere."""

    def changed(leaf: Any) -> Any:
        copy = leaf.copy()
        copy[client] = number
        return copy

    return jax.tree.map(changed, values)


def steps(
    make: Make, aggregation: Aggregation, values: Any, weights: Any, *, number: int = 1
) -> list[Output]:
    """Steps of an aggregator, from its first state and always on the same stacked values."""
    count = len(weights)
    process = aggregation.process
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], values) for i in range(count)]
    outputs: list[Output] = []
    with fd.use(aggregation.runtime(make)):
        state = process.initialize()
        for _ in range(number):
            outputs.append(process.next(state, each, list(weights) if aggregation.weighted else [()] * count))
            state = outputs[-1].state
    return outputs


def has_the_type_of_aggregators(aggregation: Aggregation) -> list[str]:
    """A step goes from a state, values and weights to the state, a result and measurements at the server."""
    process = aggregation.process
    state = at_server(process.state_type)
    parameter = struct(
        state=state,
        value=at_clients(type_of(aggregation.value)),
        weight=at_clients(aggregation.weight_type),
    )
    found, result = process.next.type, process.result_type
    failures = [] if found.parameter == parameter else [f"{found.parameter}, not {parameter}"]
    if process.initialize.type != Function(None, state):
        failures.append(f"initialize is {process.initialize.type}")
    if result != at_server(type_of(aggregation.value)):
        failures.append(f"the result is {result}")
    placed = process.measurements_type
    is_placed = isinstance(placed, Federated) and placed.placement == SERVER
    return failures if is_placed else [*failures, f"the measurements are {placed}"]


def equals_its_meaning(make: Make, aggregation: Aggregation, count: int) -> list[str]:
    """It computes what it says, in the structure and the dtypes of one value."""
    values, weights = draw(aggregation, count)
    (found,) = steps(make, aggregation, values, weights)
    return list(differences(_meant(aggregation, values, weights), found.result))


def does_with_odd_numbers_what_it_says(make: Make, aggregation: Aggregation, odd: float) -> list[str]:
    """NaN or infinity at a client has the effect that its documentation says."""
    values, weights = draw(aggregation, 5)
    values = with_member(values, 3, odd)
    (found,) = steps(make, aggregation, values, weights)
    return list(differences(_meant(aggregation, values, weights), found.result))


def needs_no_clients(make: Make, aggregation: Aggregation) -> list[str]:
    """Of no clients it gives zeros, step after step."""
    found = steps(make, aggregation, *draw(aggregation, 0), number=2)
    return [d for step in found for d in differences(aggregation.value, step.result, exact=True)]


def takes_zero_weights(make: Make, aggregation: Aggregation) -> list[str]:
    """Where all weights are zero it gives zeros; a client of weight zero counts for nothing."""
    values, weights = draw(aggregation, 5)
    (nothing,) = steps(make, aggregation, values, weights * 0)
    failures = list(differences(aggregation.value, nothing.result, exact=True))
    weights[2] = 0
    (one,), (other,) = (steps(make, aggregation, v, weights) for v in (values, with_member(values, 2, 9.0)))
    return failures + list(differences(one.result, other.result, exact=True))


def keeps_its_state_type(make: Make, aggregation: Aggregation) -> list[str]:
    """The state that a step gives can be taken by the next one, step after step."""
    states = [step.state for step in steps(make, aggregation, *draw(aggregation, 3), number=3)]
    wanted = aggregation.process.state_type
    return [f"{type_of(state)}, not {wanted}" for state in states if type_of(state) != wanted]


def agrees(make: Make, aggregation: Aggregation) -> list[str]:
    """States, results and measurements of three steps are those of the reference runtime."""
    values, weights = draw(aggregation, 7)
    expected = steps(runtime.reference, aggregation, values, weights, number=3)
    return list(differences(expected, steps(make, aggregation, values, weights, number=3)))


def ignores_order(make: Make, aggregation: Aggregation) -> list[str]:
    """The order in which clients with names are given changes no bit of two steps."""
    values, weights = draw(aggregation, 7)
    process = aggregation.process

    def run(order: Any) -> list[Output]:
        outputs: list[Output] = []
        state = process.initialize()
        for _ in range(2):
            each = {f"client {i}": jax.tree.map(lambda leaf, i=i: leaf[i], values) for i in order}
            given = {f"client {i}": weights[i] if aggregation.weighted else () for i in order}
            outputs.append(process.next(state, each, given))
            state = outputs[-1].state
        return outputs

    with fd.use(aggregation.runtime(make)):
        return list(differences(run(range(7)), run([4, 2, 6, 0, 5, 1, 3]), exact=True))


def _meant(aggregation: Aggregation, values: Any, weights: Any) -> Any:
    meant = aggregation.meaning(values, weights)
    return jax.tree.map(lambda leaf, found: np.asarray(found, leaf.dtype), aggregation.value, meant)
