# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What aggregators refuse when they are created. What they compute is a law, in ``tests/laws``."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import clip, mean, sum, zero
from foedus.errors import ArgumentError, CompositionError
from foedus.process import EstimationProcess
from foedus.types import EMPTY, to_type


def test_a_sum_has_no_weights(refused: Any):
    aggregator, value = sum(), to_type("float32")
    with refused(
        CompositionError,
        """
        A sum has no weights
          found     float32
          expected  <>
          at        HERE
        """,
    ):
        aggregator.create(value, fd.float32)


def test_a_mean_is_of_floats(refused: Any):
    aggregator, value = mean(), to_type({"a": "float32", "b": ["bool", "int32"]})
    with refused(
        CompositionError,
        """
        A mean needs floating point or complex numbers
          found     bool
          at        .b[0] of the value, HERE
        """,
    ):
        aggregator.create(value)


@pytest.mark.parametrize("spec", ["bool", ("float32", (1,)), {"w": "float32"}, "complex64", str])
def test_a_weight_is_one_number(spec: Any):
    with pytest.raises(CompositionError, match="A weight is one number"):
        mean().create(to_type("float32"), to_type(spec))


def test_text_has_no_mean():
    with pytest.raises(CompositionError, match="A mean needs floating point or complex numbers"):
        mean().create(to_type(str))


def test_halves_are_divided_by_exact_counts():
    """In bfloat16 there is no 257: counted in it, 257 clients would be 256."""
    process = mean().create(fd.bfloat16, EMPTY)
    with fd.use(runtime.local()):
        values = [ml_dtypes.bfloat16(4 if i == 0 else 0) for i in range(257)]
        result = process.next(process.initialize(), values, [()] * 257).result
    assert float(result) == float(ml_dtypes.bfloat16(4 / 257))


@pytest.mark.parametrize(("make", "what"), [(clip, "Clipping"), (zero, "Zeroing")])
def test_a_norm_is_of_floats(make: Any, what: str):
    with pytest.raises(CompositionError, match=f"{what} needs floating point or complex numbers"):
        make(sum(), norm=1.0).create(to_type("int32"))


def test_a_norm_is_not_negative(refused: Any):
    with refused(
        ArgumentError,
        """
        A norm is a number of at least zero
          found     -1.0
          expected  a number, or an estimation process such as quantile(0.8, initial=1.0)
          at        the norm of clip, HERE
        """,
    ):
        clip(mean(), norm=-1.0)


@pytest.mark.parametrize("norm", [float("nan"), True, "1.0", None])
def test_a_norm_is_a_number(norm: Any):
    with pytest.raises(ArgumentError, match="A norm is a number of at least zero"):
        zero(mean(), norm=norm)


def test_an_order_is_one_of_three(refused: Any):
    with refused(
        ArgumentError,
        """
        There is no such order of a norm
          found     3
          expected  1, 2 or math.inf
          at        the order of zero, HERE
        """,
    ):
        zero(mean(), norm=1.0, order=3)


def estimation(*, of: Any = fd.float32, reports: Any = 1.0) -> EstimationProcess:
    @fd.computation
    def initialize() -> Any:
        return fd.federated_value((), fd.SERVER)

    @fd.computation(fd.at_server(EMPTY), fd.at_clients(of))
    def next_(state: Any, value: Any) -> Any:
        return state

    @fd.computation(fd.at_server(EMPTY))
    def report(state: Any) -> Any:
        return fd.federated_value(reports, fd.SERVER)

    return EstimationProcess(initialize, next_, report)


def test_a_norm_learns_from_norms(refused: Any):
    norm = estimation(of=fd.int32)
    with refused(
        CompositionError,
        """
        The estimation process does not learn from the clients' norms
          found     (<state=<>@SERVER,value={int32}@CLIENTS> -> <>@SERVER)
          expected  (<state=<>@SERVER,value={float32}@CLIENTS> -> <>@SERVER)
          at        the norm of clip, HERE
        """,
    ):
        clip(mean(), norm=norm)


def test_a_norm_reports_a_norm(refused: Any):
    norm = estimation(reports=np.float64(1))
    with refused(
        CompositionError,
        """
        The estimation process does not report a norm
          found     float64@SERVER
          expected  float32@SERVER
          at        the norm of zero, HERE
        """,
    ):
        zero(mean(), norm=norm)


def test_a_norm_takes_nothing_else():
    @fd.computation(fd.at_server(EMPTY))
    def alone(state: Any) -> Any:
        return state

    given = estimation()
    norm = EstimationProcess(given.initialize, alone, given.report)
    with pytest.raises(CompositionError, match="does not learn from the clients' norms"):
        clip(mean(), norm=norm)


def test_the_mean_of_nothing():
    process = mean(of_nothing=float("nan")).create(fd.float32, fd.float32)
    assert np.isnan(process.next(process.initialize(), [1.0, 2.0], [0.0, 0.0]).result)
    assert process.next(process.initialize(), [1.0, 2.0], [0.0, 1.0]).result == 2
