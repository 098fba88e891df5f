# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every aggregator computes what it says, in every runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foedus import runtime
from foedus.aggregators import mean, sum

from . import aggregator_laws as laws
from .aggregator_laws import Aggregation


def _weighted(values: Any, weights: Any) -> Any:
    return np.average(values.astype(np.float64), axis=0, weights=weights)


def _sum(values: Any, weights: Any) -> Any:
    return values.sum(axis=0, dtype=np.float64)


def _mean(values: Any, weights: Any) -> Any:
    return values.mean(axis=0, dtype=np.float64)


AGGREGATIONS = [
    Aggregation("sum", sum(), _sum, weighted=False),
    Aggregation("mean", mean(), _mean, weighted=False),
    Aggregation("weighted mean", mean(), _weighted, weighted=True),
    Aggregation(
        "weighted mean of given sums", mean(value_sum=sum(), weight_sum=sum()), _weighted, weighted=True
    ),
]
RUNTIMES = {"reference": runtime.reference, "local": runtime.local}

each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
each_aggregation = pytest.mark.parametrize("aggregation", AGGREGATIONS, ids=lambda a: a.name)


@each_runtime
@each_aggregation
@pytest.mark.parametrize("count", [1, 2, 40])
def test_it_equals_its_meaning(make: Any, aggregation: Aggregation, count: int):
    assert laws.equals_its_meaning(make, aggregation, count) == []


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
