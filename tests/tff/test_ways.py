# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One federated averaging through JAX, Keras on JAX, and Keras on TensorFlow, natively and lowered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

PROGRAM = Path(__file__).with_name("ways_program.py")
TRAINED = ["softmax", "cnn", "batch_norm", "lstm"]
STEPPED = ["cnn_dropout", "gru", "masked", "two_inputs", "two_outputs", "subclassed", "custom_layer"]
BATCHES = 3 * sum(-(-rows // 4) for rows in (1, 2, 3, 4, 5, 6, 7, 9, 11, 12))
"""Steps of all clients in three rounds."""
BOUND = 2e-6
"""Of the greatest weight. A step of a tenth of the gradient adds a rounding of float32, 6e-8, and a tenth of
what the sums of a few dozen products in it lose, some 1e-6; what is averaged took nine steps at most."""


def trained(backend: str, hows: list[str], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights and the facts that the program gives with Keras on a backend."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(PROGRAM), str(folder / "weights.npz"), *hows]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts.pop("backend") == backend
    with np.load(folder / "weights.npz") as arrays:
        return dict(arrays), facts


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    return trained("tensorflow", ["native", "lowered"], tmp_path_factory.mktemp("tensorflow"))


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    return trained("jax", ["jax", "free"], tmp_path_factory.mktemp("jax"))


def weights_of(arrays: dict[str, Any], how: str, name: str) -> list[Any]:
    """The weights of one training, in order: what is trained, and what the model changes itself."""
    count = sum(key.startswith(f"{how}/{name}/") for key in arrays)
    return [arrays[f"{how}/{name}/{i}"] for i in range(count)]


def assert_equal(found: list[Any], expected: list[Any]) -> None:
    assert [array.shape for array in found] == [array.shape for array in expected]
    assert len(expected) >= 2
    greatest = max(np.max(np.abs(array)) for array in expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=BOUND * greatest)


@pytest.mark.parametrize("name", [*TRAINED, *STEPPED])
def test_both_ways_learn_the_same(name: str, on_tensorflow: Any):
    """Gradients are in it: three steps in a client's local code, or three rounds."""
    assert_equal(weights_of(on_tensorflow[0], "native", name), weights_of(on_tensorflow[0], "lowered", name))


@pytest.mark.parametrize("name", TRAINED)
def test_all_four_learn_the_same(name: str, on_tensorflow: Any, on_jax: Any):
    expected = weights_of(on_jax[0], "jax", name)
    for arrays, how in ((on_jax[0], "free"), (on_tensorflow[0], "native"), (on_tensorflow[0], "lowered")):
        # The averages of batch normalisation come behind, and the network in JAX has none.
        assert_equal(weights_of(arrays, how, name)[: len(expected)], expected)


def test_each_ran_the_way_it_was_told(on_tensorflow: Any, on_jax: Any):
    facts = on_tensorflow[1]
    assert set(facts) == {f"{how}/{name}" for how in ("native", "lowered") for name in [*TRAINED, *STEPPED]}
    for name, fact in facts.items():
        if name.startswith("lowered"):
            assert fact == {"ways": ["lowered"], "calls": 0}
            continue
        # In each step TensorFlow runs the model and two gradients, of the model and of the loss.
        steps = BATCHES if name.rpartition("/")[2] in TRAINED else 3
        assert fact["ways"] == ["natively"]
        assert fact["calls"] >= 3 * steps
    assert all(fact == {"ways": [], "calls": 0} for fact in on_jax[1].values())
