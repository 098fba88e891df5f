# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras on TensorFlow: models, losses and metrics give what they give on JAX."""

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

PROGRAM = Path(__file__).with_name("keras_program.py")
MODELS = ["conv", "batch_norm", "masked", "two_inputs"]
BOUND = 2e-6
"""Of the greatest weight: some dozen steps of float32, each rounded otherwise, give 1e-7."""


def program_on(backend: str, program: Path, *arguments: str) -> dict[str, Any]:
    """What a program prints on its last line, as JSON, with Keras on a backend."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_tensorflow() -> dict[str, Any]:
    return program_on("tensorflow", PROGRAM, *MODELS, "dropout")


@pytest.fixture(scope="module")
def on_jax() -> dict[str, Any]:
    return program_on("jax", PROGRAM, *MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_federated_averaging_is_the_same_on_both_backends(
    name: str, on_tensorflow: dict[str, Any], on_jax: dict[str, Any]
):
    assert (on_tensorflow["backend"], on_jax["backend"]) == ("tensorflow", "jax")
    found, expected = on_tensorflow[name], on_jax[name]
    assert found["coupled"] == expected["coupled"]
    assert list(found["weights"]) == list(expected["weights"])
    greatest = max(np.max(np.abs(np.asarray(w))) for w in expected["weights"].values())
    for key, weight in expected["weights"].items():
        np.testing.assert_allclose(found["weights"][key], weight, rtol=0, atol=BOUND * greatest)
    assert found["metrics"] == pytest.approx(expected["metrics"], rel=BOUND)
    assert found["metrics"]["accuracy"] == expected["metrics"]["accuracy"]


def test_equal_models_are_equal_programs(on_tensorflow: dict[str, Any]):
    """So that a run can be resumed in another process; another model is another program."""
    fingerprints = [found["fingerprint"] for found in on_tensorflow["twice"]]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_way_back_into_keras(on_tensorflow: dict[str, Any]):
    for name in MODELS:
        weights = on_tensorflow[name]["weights"].values()
        assert sorted(map(str, on_tensorflow[name]["user"])) == sorted(map(str, weights))


def test_dropout_is_drawn_from_keys(on_tensorflow: dict[str, Any]):
    """Both runtimes drop the same: the seed of a step is a client's, and XLA draws from it in both."""
    found, expected = on_tensorflow["dropout"], on_tensorflow["reference"]
    for key, weight in expected["weights"].items():
        np.testing.assert_allclose(found["weights"][key], weight, rtol=1e-5, atol=1e-6)


def test_what_was_trained_is_saved_and_loaded(on_tensorflow: dict[str, Any], on_jax: dict[str, Any]):
    for found in (on_tensorflow["saved"], on_jax["saved"]):
        trained, loaded = found["predictions"]
        assert trained == loaded
        # One is compiled by Keras, the other by Foedus.
        np.testing.assert_allclose(found["ours"], trained, rtol=0, atol=1e-5 * np.max(np.abs(trained)))


def test_averages_and_optimizers_of_keras_are_the_same_on_both_backends(
    on_tensorflow: dict[str, Any], on_jax: dict[str, Any]
):
    found, expected = on_tensorflow["saved"], on_jax["saved"]
    for part in ("weights", "others"):
        for key, weight in expected[part].items():
            atol = BOUND * np.max(np.abs(weight))
            np.testing.assert_allclose(found[part][key], weight, rtol=0, atol=atol)


def test_what_clients_keep_is_the_same_on_both_backends(
    on_tensorflow: dict[str, Any], on_jax: dict[str, Any]
):
    found, expected = on_tensorflow["kept"], on_jax["kept"]
    means = {str(kept) for kept in expected["weights"].values()}
    assert len(means) == len(expected["weights"])
    for client, kept in expected["weights"].items():
        for key, weight in kept.items():
            atol = BOUND * np.max(np.abs(weight))
            np.testing.assert_allclose(found["weights"][client][key], weight, rtol=0, atol=atol)
    for backend in (found, expected):
        assert backend["user"] == list(backend["weights"]["d"].values())
