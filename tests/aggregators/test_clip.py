# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping: to what norm, with what numbers, and what crosses. That it clips is a law, in ``tests/laws``."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import clip, mean, measured, quantile, sum
from foedus.explain import Protection
from foedus.process import Output, Process
from foedus.types import to_type

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
UPDATE = to_type({"w": ("float32", (3,)), "b": "float32"})
ROUNDS = [{"a": 5, "b": 40, "c": 1}, {"a": 9, "d": 3}, {"b": 2, "c": 8, "d": 30, "e": 4}]
"""Whose updates come in each round, and with what weight."""


def update(client: str, round_: int) -> np.ndarray:
    """Four numbers; the clients differ in size by powers of ten."""
    rng = np.random.default_rng([ord(client), round_])
    return (rng.normal(size=4) * 10.0 ** ("abcde".index(client) - 2)).astype(np.float32)


def in_numpy(*, initial: float, target: float, rate: float) -> list[dict[str, Any]]:
    """The rounds from the definition alone (Andrew et al., 2021, algorithm 1, without noise)."""
    limit, found = initial, []
    for round_, weights in enumerate(ROUNDS):
        updates = {c: update(c, round_).astype(np.float64) for c in weights}
        norms = {c: float(np.sqrt((u**2).sum())) for c, u in updates.items()}
        clipped = {c: u * min(1.0, limit / norms[c]) for c, u in updates.items()}
        total = np.sum([weights[c] * u for c, u in clipped.items()], axis=0)
        below = np.mean([norm <= limit for norm in norms.values()])
        count = np.sum([norm > limit for norm in norms.values()])
        found.append({"mean": total / np.sum(list(weights.values())), "limit": limit, "count": count})
        limit *= math.exp(-rate * (below - target))
    return [*found, {"limit": limit}]


@each_runtime
def test_a_norm_that_is_learned(make: Any):
    process = clip(mean(), norm=quantile(0.8, initial=0.7, learning_rate=0.9)).create(UPDATE, fd.float32)
    expected = in_numpy(initial=0.7, target=0.8, rate=0.9)
    assert all(0 < e["count"] < len(w) for e, w in zip(expected, ROUNDS, strict=False)), "some are clipped"
    with fd.use(make()):
        state = process.initialize()
        for round_, weights in enumerate(ROUNDS):
            numbers = {c: update(c, round_) for c in weights}
            given = {c: {"w": u[:3], "b": u[3]} for c, u in numbers.items()}
            step = process.next(state, given, {c: np.float32(w) for c, w in weights.items()})
            state, meant = step.state, expected[round_]
            # Some roundings of float32, each of half a unit in the last place.
            np.testing.assert_allclose([*step.result["w"], step.result["b"]], meant["mean"], rtol=1e-6)
            assert step.measurements["norm"] == pytest.approx(meant["limit"], rel=1e-6)
            assert step.measurements["clipped_count"] == meant["count"]
            assert state["norm"] == pytest.approx(expected[round_ + 1]["limit"], rel=1e-6)


def one_step(process: Process, values: list[Any], *, weights: list[Any] | None = None) -> Output:
    return process.next(process.initialize(), values, weights or [()] * len(values))


@each_runtime
def test_a_value_of_exactly_the_norm_stays_as_it_is(make: Any):
    process = clip(sum(), norm=5.0).create(to_type(("float32", (2,))))
    with fd.use(make()):
        step = one_step(process, [np.array([3, 4], np.float32)])
    np.testing.assert_array_equal(step.result, np.array([3, 4], np.float32))
    assert step.measurements["clipped_count"] == 0


@each_runtime
def test_numbers_whose_squares_are_too_large_for_float32(make: Any):
    process = clip(sum(), norm=5.0).create(to_type(("float32", (2,))))
    with fd.use(make()):
        step = one_step(process, [np.array([3e30, 4e30], np.float32), np.array([3e38, 0], np.float32)])
    np.testing.assert_allclose(step.result, [8, 4], rtol=1e-6)
    assert step.measurements["clipped_count"] == 2


@each_runtime
def test_leaves_of_several_dtypes_are_scaled_together(make: Any):
    value = {
        "half": ml_dtypes.bfloat16(2),
        "wide": np.float64(4),
        "complex": np.complex64(3 + 4j),
        "none": np.zeros((0,), np.float32),
    }
    process = clip(sum(), norm=np.sqrt(45) / 2).create(fd.types.type_of(value))
    with fd.use(make()):
        result = one_step(process, [value]).result
    assert [result[name].dtype for name in value] == [np.asarray(v).dtype for v in value.values()]
    assert float(result["half"]) == 1
    # The norm is a float32, as all norms are.
    np.testing.assert_allclose([result["wide"], result["complex"]], [2, 1.5 + 2j], rtol=1e-7)
    assert result["none"].shape == (0,)


@each_runtime
def test_a_learned_norm_below_zero_lets_nothing_through(make: Any):
    process = clip(sum(), norm=quantile(0.5, initial=1.0).map(lambda c: -c)).create(fd.float32)
    with fd.use(make()):
        step = one_step(process, [np.float32(3), np.float32(0)])
    assert (step.result, step.measurements["clipped_count"]) == (0, 2)


def test_counting_can_be_given():
    process = clip(sum(), norm=1.0, clipped_count_sum=measured(sum(), of_result=_same)).create(fd.float32)
    step = one_step(process, [np.float32(3), np.float32(0), np.float32(-2)])
    assert (step.result, step.measurements["clipped_count"]) == (0, 2)
    explained = fd.explain(process.next)
    assert [str(c.type) for c in explained.crossings if c.destination == "SERVER"] == ["float32", "int32"]


def _same(total: Any) -> Any:
    return total


def test_what_crosses():
    process = clip(mean(), norm=1.0).create(UPDATE, fd.float32)
    explanation = fd.explain(process.next)
    found = [(c.origin, c.destination, str(c.type), c.protection) for c in explanation.crossings]
    assert found == [
        ("SERVER", "CLIENTS", "float32", Protection.NONE),
        ("CLIENTS", "SERVER", "<b=float32,w=float32[3]>", Protection.SUM),
        ("CLIENTS", "SERVER", "float32", Protection.SUM),
        ("CLIENTS", "SERVER", "int32", Protection.SUM),
    ]
    assert (explanation.bytes_down(), explanation.bytes_up()) == (4, 16 + 4 + 4)


def test_what_crosses_for_a_norm_that_is_learned():
    process = clip(mean(), norm=quantile(0.8, initial=1.0)).create(UPDATE, fd.float32)
    explanation = fd.explain(process.next)
    reference = runtime.reference()
    with fd.use(reference):
        one_step(process, [{"w": np.ones(3, np.float32), "b": np.float32(1)}], weights=[np.float32(1)])
    assert reference.crossings == explanation.crossings
    up = [str(c.type) for c in explanation.crossings if c.destination == "SERVER"]
    assert up == ["<b=float32,w=float32[3]>", "float32", "int32", "<below=int32,clients=int32>"]
    assert all(c.protection is Protection.SUM for c in explanation.crossings if c.destination == "SERVER")
