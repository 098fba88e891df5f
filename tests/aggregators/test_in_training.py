# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging with an aggregator that bounds what a client can do, beside NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optax
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import clip, mean, quantile, zero
from foedus.explain import Protection
from foedus.learning import Batches, LearningProcess, models
from foedus.learning.algorithms import fed_avg
from foedus.passes import to_map_reduce

RATE, ROUNDS = 0.1, 3
TRUTH = np.array([1.0, -2.0])
SIZES = {"a": 3, "b": 12, "c": 6, "broken": 4}


def client(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(ord(name[0]))
    x = rng.normal(size=(SIZES[name], 2)).astype(np.float32)
    y = (x @ TRUTH + rng.normal(size=len(x))).astype(np.float32)
    return {"x": x, "y": y * 1000 if name == "broken" else y}


def model() -> models.Model:
    return models.from_jax(
        lambda weights, x: x @ weights,
        init=np.zeros(2, np.float32),
        loss=optax.l2_loss,
        example={"x": ("float32", (2,)), "y": "float32"},
    )


def in_numpy() -> tuple[np.ndarray, float, float]:
    """One step of gradient descent a client and round; what is far too large counts for nothing, what is
    large is clipped (Andrew et al., 2021)."""
    weights, clip_at, seen = np.zeros(2), 0.4, 1.0
    for _ in range(ROUNDS):
        total, mass, norms, largest = np.zeros(2), 0.0, [], []
        for name, size in SIZES.items():
            data = client(name)
            x, y = data["x"].astype(np.float64), data["y"].astype(np.float64)
            update = -RATE * x.T @ (x @ weights - y) / size
            largest.append(np.max(np.abs(update)))
            passes = largest[-1] <= 2 * seen + 1
            update = update if passes else np.zeros(2)
            norms.append(np.linalg.norm(update))
            total += passes * size * update * min(1.0, clip_at / max(norms[-1], 1e-30))
            mass += passes * size
        weights = weights + total / mass
        clip_at *= math.exp(-0.2 * (np.mean(np.array(norms) <= clip_at) - 0.8))
        seen *= math.exp(-0.2 * (np.mean(np.array(largest) <= seen) - 0.98))
    return weights, clip_at, seen


def training() -> LearningProcess:
    return fed_avg(
        model(),
        client_optimizer=optax.sgd(RATE),
        batches=Batches(size=100, shuffle=False),
        aggregator=zero(
            clip(mean(), norm=quantile(0.8, initial=0.4)),
            norm=quantile(0.98, initial=1.0).map(lambda c: 2 * c + 1),
        ),
    )


@pytest.mark.parametrize("make", [runtime.reference, runtime.local])
def test_a_robust_mean(make: Any):
    process = training()
    clients, measured = {name: client(name) for name in SIZES}, []
    with fd.use(make()):
        state = process.initialize()
        for _ in range(ROUNDS):
            step = process.next(state, clients)
            state = step.state
            measured.append(step.measurements["aggregator"])
    weights, clip_at, seen = in_numpy()
    # Some dozen roundings of float32 a round.
    np.testing.assert_allclose(state.weights.trainable, weights, rtol=1e-5)
    assert state.aggregator["inner"]["norm"] == pytest.approx(clip_at, rel=1e-6)
    assert state.aggregator["norm"] == pytest.approx(seen, rel=1e-6)
    assert [m["zeroed_count"] for m in measured] == [1, 1, 1], "the broken client"


def test_a_round_goes_down_and_up_once():
    """What norms are learned from travels with the updates, so that a round has a map-reduce form."""
    program = training().process.next
    to_map_reduce(program.node)
    up = [c for c in fd.explain(program).crossings if c.destination == "SERVER"]
    assert {c.protection for c in up} == {Protection.SUM}
