# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values as one vector."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import Aggregator, concat, mean, measured, sum
from foedus.errors import CompositionError
from foedus.process import Process
from foedus.types import EMPTY, Type, to_type, type_of

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)


class Pair(NamedTuple):
    z: Any
    a: Any


def value(start: float) -> Any:
    """Eleven numbers in order, in every container, none and scalars among the leaves."""
    n = np.arange(start, start + 11, dtype=np.float32)
    return {
        "b": Pair(n[1:5].reshape(2, 2), [n[5], n[:0]]),
        "a": n[0],
        "c": OrderedDict(z=n[6:9], a=(n[9:10].reshape(1, 1, 1), n[10])),
    }


@each_runtime
def test_the_vector_is_in_the_order_of_the_type(make: Any):
    """As dictionaries are sorted: a, then b, then c."""
    process = concat(measured(sum(), of_result=lambda vector: vector)).create(type_of(value(0)))
    with fd.use(make()):
        step = process.next(process.initialize(), [value(0), value(100)], [(), ()])
    vector = 2 * np.arange(11, dtype=np.float32) + 100
    np.testing.assert_array_equal(step.measurements["result"], vector)
    expected = value(0)
    assert type_of(step.result) == type_of(expected)
    assert isinstance(step.result["b"], Pair)
    assert isinstance(step.result["c"], OrderedDict)
    np.testing.assert_array_equal(step.result["b"].z, vector[1:5].reshape(2, 2))
    np.testing.assert_array_equal(step.result["c"]["z"], vector[6:9])
    np.testing.assert_array_equal([step.result["b"].a[0], step.result["c"]["a"][1]], vector[[5, 10]])


def test_what_crosses_is_one_vector():
    explanation = fd.explain(concat(mean()).create(type_of(value(0)), fd.float32).next)
    assert [str(c.type) for c in explanation.crossings] == ["float32[11]", "float32"]


def test_state_and_measurements_are_those_inside():
    inner = mean().create(to_type(("float32", (3,))))
    process = concat(mean()).create(to_type(["float32", ("float32", (2,))]))
    assert process.state_type == inner.state_type
    assert process.measurements_type == inner.measurements_type


@each_runtime
def test_integers(make: Any):
    process = concat(sum()).create(to_type(["int32", ("int32", (2,))]))
    with fd.use(make()):
        result = process.next(process.initialize(), [[1, np.array([2, 3], np.int32)]] * 2, [(), ()]).result
    assert result[0] == 2
    np.testing.assert_array_equal(result[1], [4, 6])


def test_a_vector_has_one_dtype(refused: Any):
    aggregator, given = concat(sum()), to_type({"a": "float32", "b": ["float32", "float64", "int32"]})
    with refused(
        CompositionError,
        """
        A vector has one dtype
          found     float64
          expected  float32, as in .a
          at        .b[1] of the value, HERE
          hint      convert before, or aggregate the parts of each dtype on their own
        """,
    ):
        aggregator.create(given)


@pytest.mark.parametrize("leaf", [str, ("float32", (None,)), ("float32", None), fd.sequence("float32")])
def test_a_vector_is_of_numbers_whose_number_is_known(leaf: Any):
    with pytest.raises(
        CompositionError, match="A vector is made of numbers, and of how many is known"
    ) as error:
        concat(sum()).create(to_type([leaf, "float32"]))
    assert "at        [0] of the value" in str(error.value)


def test_a_vector_is_of_something(refused: Any):
    aggregator = concat(sum())
    with refused(
        CompositionError,
        """
        There is nothing to make a vector of
          found     <<>>
          at        the value, HERE
        """,
    ):
        aggregator.create(to_type([()]))


class Shortened(Aggregator):
    """Aggregates something else than it is given."""

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        return sum().create(to_type(("float32", (1,))))


def test_what_is_inside_keeps_the_length(refused: Any):
    aggregator = concat(Shortened())
    with refused(
        CompositionError,
        """
        The aggregator inside concat does not give a vector of the length that it takes
          found     float32[1]@SERVER
          expected  float32[2]@SERVER
          at        the result, HERE
        """,
    ):
        aggregator.create(to_type(["float32", "float32"]))
