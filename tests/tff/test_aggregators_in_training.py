# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of a Keras model with the robust aggregator, beside NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import facts_of

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(Path(__file__).with_name("robust_program.py"), tmp_path_factory.mktemp("no data"))


def in_numpy(data: list[Any], number: int) -> list[dict[str, Any]]:
    """One step of gradient descent on the mean squared error a client and round, and a robust mean of them
    (Andrew et al., 2021), whose weights stay those of all clients."""
    weights, clip_at, seen, found = np.zeros(2), 1.0, 10.0, []
    sizes = np.array([len(y) for _, y in data])
    for _ in range(number):
        updates = np.array([-0.1 * 2 * np.transpose(x) @ (x @ weights - y) / len(y) for x, y in data])
        largest = np.abs(updates).max(axis=1)
        too_large = largest > 2 * seen + 1
        updates[too_large] = 0
        norms = np.sqrt((updates**2).sum(axis=1))
        clipped = updates * np.minimum(1, clip_at / np.where(norms > 0, norms, 1))[:, None]
        weights = weights + sizes @ clipped / sizes.sum()
        found.append(
            {
                "weights": weights,
                "zeroing_norm": 2 * seen + 1,
                "zeroed": np.sum(too_large),
                "clipping_norm": clip_at,
                "clipped": np.sum(norms > clip_at),
                "mass": sizes.sum(),
            }
        )
        clip_at *= math.exp(-0.2 * (np.mean(norms <= clip_at) - 0.8))
        seen *= math.exp(-math.log(10) * (np.mean(largest <= seen) - 0.98))
    return found


def test_a_robust_mean_in_training(facts: dict[str, Any]):
    expected = in_numpy(facts["data"], len(facts["rounds"]))
    assert [e["zeroed"] for e in expected] == [1, 1, 1], "the broken client, and nobody else"
    for found, meant in zip(facts["rounds"], expected, strict=True):
        # Some dozen roundings of float32 a round.
        np.testing.assert_allclose(found.pop("weights"), meant.pop("weights"), rtol=1e-5)
        assert found == pytest.approx(meant, rel=1e-5)
        assert 0 < found["clipped"] < len(facts["data"]), "some are clipped"


def test_the_trees_in_training(facts: dict[str, Any]):
    numbers = "current_estimate=float32,target_quantile=float32,learning_rate=float32"
    query = f"<<{numbers},below_estimate_state=<>>,<>>"
    assert facts["state"] == (
        f"<zeroing_norm={query},inner_agg=<clipping_norm={query},inner_agg=<value_sum_process=<>,"
        "weight_sum_process=<>>,clipped_count_agg=<>>,zeroed_count_agg=<>>"
    )
    assert facts["metrics"] == (
        "<zeroing=<clipping=<mean_value=<>,mean_weight=<>,mass=float32>,clipping_norm=float32,"
        "clipped_count=int32>,zeroing_norm=float32,zeroed_count=int32>"
    )
