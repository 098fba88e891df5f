# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What clients gather without training: statistics that add up, and gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus import learning
from foedus.learning import Batches, gather_statistics, gradient_locally, no_statistics, report
from foedus.learning.models import from_jax

SIZES = {"a": 5, "b": 2, "c": 0}
RNG = np.random.default_rng(0)
DATA = {
    c: {"x": RNG.normal(size=(n, 3)).astype(np.float32), "y": RNG.normal(size=n).astype(np.float32)}
    for c, n in SIZES.items()
}
MODEL = from_jax(
    lambda w, x: x @ w,
    init=np.ones(3, np.float32),
    loss=lambda p, y: (p - y) ** 2,
    example={"x": ("float32", (3,)), "y": "float32"},
    metrics=[learning.metrics.mean_squared_error()],
)
CLIENTS = fd.at_clients(fd.sequence(MODEL.element_type))
WEIGHTS = MODEL.initialize(jnp.zeros(2, jnp.uint32))


def test_statistics_add_up_over_rounds():
    gathered = gather_statistics(MODEL, batches=Batches(size=2))
    once = gathered(WEIGHTS, DATA)
    shown = fd.computation(gathered.type.result)(
        lambda statistics: fd.federated_apply(lambda total: report(MODEL, total), statistics)
    )
    metrics = shown(jax.tree.map(np.add, once, once))
    error = np.concatenate([d["x"].sum(axis=1) - d["y"] for d in DATA.values()])
    assert metrics["examples"] == 14
    for name in ("loss", "mean_squared_error"):
        assert metrics[name] == pytest.approx(np.mean(error**2), rel=1e-6)
    nothing = fd.computation(lambda: report(MODEL, no_statistics(MODEL)))()
    assert (nothing["loss"], nothing["examples"]) == (0, 0)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_gradients_do_not_depend_on_batches(size: int):
    process = gradient_locally(MODEL, batches=Batches(size=size))

    @fd.computation(fd.at_server(MODEL.weights_type), CLIENTS)
    def updates(weights: Any, data: Any) -> Any:
        key = fd.federated_value(np.zeros(2, np.uint32), fd.SERVER)
        output = process.next(process.initialize(), key, fd.federated_broadcast(weights), data)
        return output.result, output.measurements

    found, metrics = updates(WEIGHTS, DATA)
    for client, data in zip(found, DATA.values(), strict=True):
        count = len(data["y"])
        slope = 2 * data["x"].T @ (data["x"].sum(axis=1) - data["y"]) / max(count, 1)
        np.testing.assert_allclose(client["update"], -slope, rtol=1e-5, atol=1e-6)
        assert client["weight"] == count
    assert (metrics["examples"], metrics["dropped_clients"]) == (7, 0)


def test_a_gradient_that_is_not_finite_is_dropped():
    process = gradient_locally(MODEL, batches=Batches(size=2))

    @fd.computation(fd.at_server(MODEL.weights_type), CLIENTS)
    def updates(weights: Any, data: Any) -> Any:
        key = fd.federated_value(np.zeros(2, np.uint32), fd.SERVER)
        output = process.next(process.initialize(), key, fd.federated_broadcast(weights), data)
        return output.result, output.measurements

    broken = {"x": np.full((2, 3), np.inf, np.float32), "y": np.zeros(2, np.float32)}
    found, metrics = updates(WEIGHTS, {"a": broken})
    assert found[0]["weight"] == 0
    np.testing.assert_array_equal(found[0]["update"], np.zeros(3))
    assert metrics["dropped_clients"] == 1
