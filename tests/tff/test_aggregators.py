# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Aggregators: their trees and their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus.tff as tff

VALUE = tff.TensorType(np.float32, [2])
WEIGHT = tff.TensorType(np.float32)
VALUES = [np.array([1, 2], np.float32), np.array([3, 6], np.float32)]


def test_sum():
    process = tff.aggregators.SumFactory().create(VALUE)
    assert not process.is_weighted
    assert str(process.next.type_signature) == (
        "(<state=<>@SERVER,value={float32[2]}@CLIENTS> -> "
        "<state=<>@SERVER,result=float32[2]@SERVER,measurements=<>@SERVER>)"
    )
    np.testing.assert_array_equal(process.next(process.initialize(), VALUES).result, [4, 8])


def test_mean():
    process = tff.aggregators.MeanFactory().create(VALUE, WEIGHT)
    assert process.is_weighted
    assert str(process.initialize.type_signature) == (
        "( -> <value_sum_process=<>,weight_sum_process=<>>@SERVER)"
    )
    output = process.next(process.initialize(), VALUES, [1.0, 3.0])
    np.testing.assert_array_equal(output.result, [2.5, 5])
    assert output.measurements == {"mean_value": (), "mean_weight": ()}


@pytest.mark.parametrize(("no_nan_division", "found"), [(False, np.nan), (True, 0)])
def test_mean_of_nothing(no_nan_division: bool, found: float):
    process = tff.aggregators.MeanFactory(no_nan_division=no_nan_division).create(VALUE, WEIGHT)
    output = process.next(process.initialize(), VALUES, [0.0, 0.0])
    np.testing.assert_array_equal(output.result, [found, found])


def test_unweighted_mean():
    factory = tff.aggregators.UnweightedMeanFactory()
    process = factory.create(VALUE)
    assert process.initialize() == {"value_sum_process": (), "count_sum_process": ()}
    output = process.next(process.initialize(), VALUES)
    np.testing.assert_array_equal(output.result, [2, 4])
    assert output.measurements == {"mean_value": (), "mean_count": ()}
    weighted = tff.aggregators.as_weighted_aggregator(factory).create(VALUE, WEIGHT)
    assert weighted.is_weighted
    np.testing.assert_array_equal(weighted.next(weighted.initialize(), VALUES, [1.0, 9.0]).result, [2, 4])


class Halved(tff.aggregators.UnweightedAggregationFactory):
    """A factory as users write them: in computations of TFF around another one."""

    def __init__(self, inner: tff.aggregators.UnweightedAggregationFactory) -> None:
        self.inner = inner

    def create(self, value_type: Any) -> tff.templates.AggregationProcess:
        process = self.inner.create(value_type)

        @tff.federated_computation(process.initialize.type_signature.result, tff.type_at_clients(value_type))
        def next_fn(state, value):
            half = tff.jax_computation(lambda x: x / 2, value_type)
            output = process.next(state, tff.federated_map(half, value))
            return tff.templates.MeasuredProcessOutput(output.state, output.result, output.measurements)

        return tff.templates.AggregationProcess(process.initialize, next_fn)


def test_factories_of_users_nest():
    process = tff.aggregators.MeanFactory(value_sum_factory=Halved(tff.aggregators.SumFactory()))
    made = process.create(VALUE, WEIGHT)
    np.testing.assert_array_equal(made.next(made.initialize(), VALUES, [1.0, 3.0]).result, [1.25, 2.5])
