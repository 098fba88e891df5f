# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every aggregator computes what it says, in every runtime."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import ZeroedWeight, clip, concat, mean, measured, quantile, sum, zero

from . import aggregator_laws as laws
from .aggregator_laws import Aggregation


def _sum(values: Any, weights: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sum(axis=0, dtype=np.float64), values)


def _mean(values: Any, weights: Any) -> Any:
    if not weights.sum():
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape[1:]), values)
    return jax.tree.map(lambda leaf: np.average(leaf.astype(np.float64), axis=0, weights=weights), values)


def _norms(values: Any, order: float) -> Any:
    """The norm of each client's whole value."""
    rows = [leaf.astype(np.float64).reshape(len(leaf), -1) for leaf in jax.tree.leaves(values)]
    return np.linalg.norm(np.concatenate(rows, axis=1), order, axis=1)


def _times(values: Any, factors: Any) -> Any:
    """Each client's value times a factor; a factor of zero gives zeros, whatever the value."""

    def scaled(leaf: Any) -> Any:
        by = factors.reshape(-1, *[1] * (leaf.ndim - 1))
        return np.where(by == 0, 0, leaf).astype(np.float64) * by

    return jax.tree.map(scaled, values)


def _clipped(limit: float) -> Any:
    def meaning(values: Any, weights: Any) -> Any:
        norms = _norms(values, 2)
        is_finite = np.isfinite(norms)
        by = np.where(is_finite & (norms > 0), norms, 1)
        factors = np.where(is_finite, np.minimum(1, limit / by), 0)
        return _mean(_times(values, factors), weights)

    return meaning


def _zeroed(limit: float, order: float, *, keeps_weights: bool) -> Any:
    def meaning(values: Any, weights: Any) -> Any:
        passes = (_norms(values, order) <= limit).astype(np.float64)
        return _mean(_times(values, passes), weights if keeps_weights else weights * passes)

    return meaning


def _robust(values: Any, weights: Any) -> Any:
    """The first step of adaptive zeroing around adaptive clipping."""
    passes = (_norms(values, math.inf) <= 2 * 1.0 + 1).astype(np.float64)
    return _clipped(2.5)(_times(values, passes), weights * passes)


ONE_DTYPE = {"w": np.zeros((2, 3), np.float32), "b": [np.zeros((), np.float32)]}
KEPT = ZeroedWeight.KEPT


def _learned(initial: float, target: float = 0.5) -> Any:
    return quantile(target, initial=initial)


def _total(value: Any) -> Any:
    return {"total": fd.federated_sum(value["w"])}


AGGREGATIONS = [
    Aggregation("sum", sum(), _sum, weighted=False),
    Aggregation("mean", mean(), _mean, weighted=False),
    Aggregation("weighted mean", mean(), _mean, weighted=True),
    Aggregation("weighted mean of given sums", mean(value_sum=sum(), weight_sum=sum()), _mean, weighted=True),
    Aggregation("clipped mean", clip(mean(), norm=2.5), _clipped(2.5), weighted=False),
    Aggregation("clipped weighted mean", clip(mean(), norm=2.5), _clipped(2.5), weighted=True),
    Aggregation("nothing clipped", clip(mean(), norm=math.inf), _clipped(math.inf), weighted=True),
    Aggregation("all clipped", clip(mean(), norm=0), _clipped(0), weighted=True),
    Aggregation("adaptively clipped", clip(mean(), norm=_learned(2.5)), _clipped(2.5), weighted=True),
    Aggregation(
        "zeroed mean", zero(mean(), norm=2.0), _zeroed(2, math.inf, keeps_weights=True), weighted=False
    ),
    Aggregation(
        "zeroed weighted mean", zero(mean(), norm=2), _zeroed(2, math.inf, keeps_weights=False), weighted=True
    ),
    Aggregation(
        "zeroed by sums",
        zero(mean(), norm=9.0, order=1),
        _zeroed(9, 1, keeps_weights=False),
        weighted=True,
    ),
    Aggregation(
        "zeroed by squares with weights kept",
        zero(mean(), norm=_learned(3.5), order=2, weight=KEPT),
        _zeroed(3.5, 2, keeps_weights=True),
        weighted=True,
    ),
    Aggregation(
        "robust mean",
        zero(clip(mean(), norm=_learned(2.5)), norm=_learned(1.0, 0.98).map(lambda c: 2 * c + 1)),
        _robust,
        weighted=True,
    ),
    Aggregation("vectors", concat(mean()), _mean, weighted=True, value=ONE_DTYPE),
    Aggregation("sum of vectors", concat(sum()), _sum, weighted=False, value=ONE_DTYPE),
    Aggregation(
        "clipped vectors", concat(clip(mean(), norm=2.5)), _clipped(2.5), weighted=True, value=ONE_DTYPE
    ),
    Aggregation(
        "measured sum", measured(sum(), of_values=_total, of_result=lambda r: r["b"]), _sum, weighted=False
    ),
]
RUNTIMES = {"reference": runtime.reference, "local": runtime.local}

each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
each_aggregation = pytest.mark.parametrize("aggregation", AGGREGATIONS, ids=lambda a: a.name)


@each_aggregation
def test_its_process_has_the_right_type(aggregation: Aggregation):
    assert laws.has_the_type_of_aggregators(aggregation) == []


@each_runtime
@each_aggregation
@pytest.mark.parametrize("count", [1, 2, 40])
def test_it_equals_its_meaning(make: Any, aggregation: Aggregation, count: int):
    assert laws.equals_its_meaning(make, aggregation, count) == []


@each_runtime
@each_aggregation
@pytest.mark.parametrize("odd", [math.nan, -math.inf])
def test_odd_numbers_do_what_it_says(make: Any, aggregation: Aggregation, odd: float):
    assert laws.does_with_odd_numbers_what_it_says(make, aggregation, odd) == []


@each_runtime
@each_aggregation
def test_no_clients_give_zeros(make: Any, aggregation: Aggregation):
    assert laws.needs_no_clients(make, aggregation) == []


@each_runtime
@pytest.mark.parametrize("aggregation", [a for a in AGGREGATIONS if a.weighted], ids=lambda a: a.name)
def test_weight_zero_counts_for_nothing(make: Any, aggregation: Aggregation):
    assert laws.takes_zero_weights(make, aggregation) == []


@each_runtime
@each_aggregation
def test_a_state_leads_to_the_next(make: Any, aggregation: Aggregation):
    assert laws.keeps_its_state_type(make, aggregation) == []


@each_aggregation
def test_it_agrees_with_the_reference(aggregation: Aggregation):
    assert laws.agrees(runtime.local, aggregation) == []


@each_runtime
@each_aggregation
def test_the_order_of_clients_changes_nothing(make: Any, aggregation: Aggregation):
    assert laws.ignores_order(make, aggregation) == []
