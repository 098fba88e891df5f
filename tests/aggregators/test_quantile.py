# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Quantiles that are learned from how many clients are below."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import quantile
from foedus.errors import ArgumentError
from foedus.explain import Protection

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)


@each_runtime
def test_steps_are_those_of_the_paper(make: Any):
    process = quantile(0.7, initial=2.0, learning_rate=0.5)
    rng, estimate = np.random.default_rng(0), 2.0
    with fd.use(make()):
        state = process.initialize()
        assert process.report(state) == 2
        for count in (1, 5, 12, 3):
            numbers = rng.exponential(3.0, count).astype(np.float32)
            state = process.next(state, list(numbers))
            estimate *= math.exp(-0.5 * (np.mean(numbers <= estimate) - 0.7))
            # A rounding to float32 a step.
            assert process.report(state) == pytest.approx(estimate, rel=1e-6)


@pytest.mark.parametrize("target", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("initial", [1e-3, 1e4])
def test_it_finds_the_quantile(target: float, initial: float):
    """Among 1 to 100 it ends between the numbers that have the fraction below them, up to two steps of its
    rate."""
    process = quantile(target, initial=initial, learning_rate=0.2)
    numbers = [np.float32(i) for i in range(1, 101)]
    with fd.use(runtime.local()):
        state = process.initialize()
        for _ in range(600):
            state = process.next(state, numbers)
    step = math.exp(2 * 0.2 * 0.01)
    assert 100 * target / step <= process.report(state) <= (100 * target + 1) * step


@each_runtime
def test_nobody_teaches_it_nothing(make: Any):
    process = quantile(0.5, initial=2.5)
    with fd.use(make()):
        assert process.next(process.initialize(), []) == np.float32(2.5)


@each_runtime
@pytest.mark.parametrize(
    ("numbers", "below"), [([math.nan, 1.0], 0.5), ([math.inf, 1.0], 0.5), ([2.0, -math.inf], 1.0)]
)
def test_odd_numbers_are_above_unless_they_are_below(make: Any, numbers: list[float], below: float):
    process = quantile(0.5, initial=2.0, learning_rate=1.0)
    with fd.use(make()):
        found = process.next(process.initialize(), [np.float32(n) for n in numbers])
    assert found == pytest.approx(2 * math.exp(0.5 - below), rel=1e-6)


@each_runtime
@pytest.mark.parametrize(("initial", "number"), [(3e38, math.inf), (2e-38, 0.0)])
def test_it_stays_a_positive_number(make: Any, initial: float, number: float):
    process = quantile(0.5, initial=initial, learning_rate=100.0)
    with fd.use(make()):
        state = process.next(process.initialize(), [np.float32(number)])
    limits = np.finfo(np.float32)
    assert state == (limits.max if number else limits.tiny)


def test_only_counts_leave_the_clients():
    up = [c for c in fd.explain(quantile(0.5, initial=1.0).next).crossings if c.destination == "SERVER"]
    assert [(str(c.type), c.protection) for c in up] == [("<below=int32,clients=int32>", Protection.SUM)]


def test_types():
    process = quantile(0.5, initial=1.0)
    assert str(process.initialize.type) == "( -> float32@SERVER)"
    assert str(process.next.type) == "(<estimate=float32@SERVER,value={float32}@CLIENTS> -> float32@SERVER)"
    assert str(process.report.type) == "(float32@SERVER -> float32@SERVER)"


def test_a_target_is_a_fraction(refused: Any):
    with refused(
        ArgumentError,
        """
        The target of a quantile is out of its range
          found     80
          expected  a number from 0 to 1
          at        target, HERE
        """,
    ):
        quantile(80, initial=1.0)


def test_an_estimate_is_positive(refused: Any):
    with refused(
        ArgumentError,
        """
        The initial of a quantile is out of its range
          found     0.0
          expected  a positive number
          at        initial, HERE
        """,
    ):
        quantile(0.8, initial=0.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_is_positive(rate: float):
    with pytest.raises(ArgumentError, match="The learning_rate of a quantile is out of its range"):
        quantile(0.8, initial=1.0, learning_rate=rate)
