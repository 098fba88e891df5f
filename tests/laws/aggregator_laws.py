# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of aggregators, as functions that return what breaks them: nothing, where a law holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import foedus as fd
from foedus import aggregators
from foedus.process import Output
from foedus.types import EMPTY, Type, type_of

from .runtime_laws import Make, differences


@dataclass(frozen=True)
class Aggregation:
    """An aggregator and what it should compute.

    Args:
        name: What it is called in tests.
        aggregator: The aggregator.
        meaning: From arrays ``[clients, ...]`` and weights ``[clients]`` to the result, in NumPy.
        weighted: Whether it takes weights.
    """

    name: str
    aggregator: aggregators.Aggregator
    meaning: Callable[[Any, Any], Any]
    weighted: bool


VALUE = {"w": np.zeros((2, 3), np.float32), "b": [np.zeros((), np.float64)]}
"""One client's value: arrays in containers, of two dtypes."""


def draw(count: int) -> tuple[Any, Any]:
    """Values of clients, stacked, and their weights."""
    rng = np.random.default_rng(count)
    values = jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, (count, *leaf.shape)).astype(leaf.dtype), VALUE)
    return values, rng.integers(1, 9, count).astype(np.float32)


def step(make: Make, aggregation: Aggregation, values: Any, weights: Any) -> Output:
    """One step of an aggregator from its first state on stacked values."""
    count = len(weights)
    weight_type: Type = type_of(np.float32(0)) if aggregation.weighted else EMPTY
    process = aggregation.aggregator.create(type_of(VALUE), weight_type)
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], values) for i in range(count)]
    with fd.use(make(clients=count)):
        state = process.initialize()
        return process.next(state, each, list(weights) if aggregation.weighted else [()] * count)


def equals_its_meaning(make: Make, aggregation: Aggregation, count: int) -> list[str]:
    """It computes what it says, in the structure and the dtypes of one value."""
    values, weights = draw(count)
    found = step(make, aggregation, values, weights)
    return list(differences(_meant(aggregation, values, weights), found.result))


def needs_no_clients(make: Make, aggregation: Aggregation) -> list[str]:
    """Of no clients it gives zeros."""
    found = step(make, aggregation, *draw(0))
    return list(differences(VALUE, found.result, exact=True))


def takes_zero_weights(make: Make, aggregation: Aggregation) -> list[str]:
    """Where all weights are zero it gives zeros; a client of weight zero counts for nothing."""
    values, weights = draw(5)
    failures = list(differences(VALUE, step(make, aggregation, values, weights * 0).result, exact=True))
    weights[2] = 0
    changed = jax.tree.map(
        lambda leaf: np.where(np.arange(5).reshape(-1, *[1] * (leaf.ndim - 1)) == 2, 9, leaf), values
    )
    changed = jax.tree.map(lambda new, old: new.astype(old.dtype), changed, values)
    one, other = (step(make, aggregation, v, weights).result for v in (values, changed))
    return failures + list(differences(one, other, exact=True))


def keeps_its_state_type(make: Make, aggregation: Aggregation) -> list[str]:
    """The state that a step gives can be taken by the next one."""
    values, weights = draw(3)
    weight_type: Type = type_of(np.float32(0)) if aggregation.weighted else EMPTY
    process = aggregation.aggregator.create(type_of(VALUE), weight_type)
    state = step(make, aggregation, values, weights).state
    return [] if type_of(state) == process.state_type else [f"{type_of(state)}, not {process.state_type}"]


def _meant(aggregation: Aggregation, values: Any, weights: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(aggregation.meaning(leaf, weights), leaf.dtype), values)
