# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements beside those of an aggregator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import mean, measured
from foedus.errors import ArgumentError, CompositionError
from foedus.types import to_type

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)


def extremes(value: Any, weight: Any) -> Any:
    return {"least": fd.federated_min(value), "weight": {"most": fd.federated_max(weight)}}


def square(result: Any) -> Any:
    return fd.federated_map(lambda r: r * r, result)


@each_runtime
def test_of_values_weights_and_the_result(make: Any):
    process = measured(mean(), of_values=extremes, of_result=square).create(fd.float32, fd.float32)
    assert process.measurements_type == fd.at_server(
        to_type(
            {
                "inner": {"value_sum": (), "weight_sum": ()},
                "values": {"least": "float32", "weight": {"most": "float32"}},
                "result": "float32",
            }
        )
    )
    assert process.state_type == mean().create(fd.float32, fd.float32).state_type
    with fd.use(make()):
        step = process.next(process.initialize(), [1.0, 4.0], [1.0, 2.0])
    assert step.result == 3
    assert step.measurements == {
        "inner": {"value_sum": (), "weight_sum": ()},
        "values": {"least": np.float32(1), "weight": {"most": np.float32(2)}},
        "result": np.float32(9),
    }


@each_runtime
def test_without_weights_only_values_are_given(make: Any):
    process = measured(mean(), of_values=fd.federated_sum).create(fd.float32)
    with fd.use(make()):
        step = process.next(process.initialize(), [1.0, 4.0], [(), ()])
    assert (step.result, step.measurements["values"]) == (2.5, 5)


def test_something_is_measured(refused: Any):
    with refused(
        ArgumentError,
        """
        There is nothing to measure
          expected  of_values, of_result or both
          at        measured, HERE
        """,
    ):
        measured(mean())


def test_weights_are_given_where_there_are_some(refused: Any):
    aggregator = measured(mean(), of_values=lambda value: fd.federated_sum(value))
    with refused(
        ArgumentError,
        """
        of_values takes other arguments than it gets
          found     a function of value
          expected  a function of the values and their weights
          at        of_values, HERE
        """,
    ):
        aggregator.create(fd.float32, fd.float32)


def test_a_result_is_one_thing(refused: Any):
    of_two: Any = extremes
    with refused(
        ArgumentError,
        """
        of_result takes other arguments than it gets
          found     a function of value, weight
          expected  a function of the result
          at        of_result, HERE
        """,
    ):
        measured(mean(), of_result=of_two)


def test_measurements_are_at_the_server(refused: Any):
    aggregator = measured(mean(), of_values=lambda value: value)
    with refused(
        CompositionError,
        """
        Measurements are at the server
          found     {float32}@CLIENTS
          expected  M@SERVER
          at        what of_values returns, HERE
          hint      bring those of clients there, with federated_sum for example
        """,
    ):
        aggregator.create(fd.float32)
