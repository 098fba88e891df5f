# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every optimizer of Keras in training with Keras on TensorFlow: it takes the steps that Keras takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import facts_of

pytest.importorskip("tensorflow")
keras: Any = pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

PROGRAM = Path(__file__).with_name("keras_optimizers_program.py")
NOT_MADE = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "ScheduleFreeAdamW"}
"""The abstract one, those that need Keras' own training loop, and one whose state begins with the weights."""
START = [1.0, 1.0, 1.0, 0.0]
BOUNDS: dict[str, Any] = {"rtol": 0, "atol": 2e-6}
"""Five steps of 0.1 on weights of about one, each rounded to 6e-8; some divide by small roots."""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(PROGRAM, tmp_path_factory.mktemp("none"))


def test_every_optimizer_is_here(facts: dict[str, Any]):
    assert facts["backend"] == "tensorflow"
    classes = {name for name, value in vars(keras.optimizers).items() if isinstance(value, type)}
    assert classes - NOT_MADE <= set(facts["names"])


def test_clients_of_tff_take_the_steps_of_keras(facts: dict[str, Any]):
    for name, expected in facts["by keras"].items():
        np.testing.assert_allclose(facts["by tff"][name], expected, **BOUNDS, err_msg=name)
        # All weights moved, by far more than the bound; Adadelta and Adafactor begin with small steps.
        assert np.min(np.abs(np.subtract(expected, START))) > 2e-5, name


@pytest.mark.parametrize("name", ["Nadam", "Lamb", "averages"])
def test_clients_of_our_own_do_too(name: str, facts: dict[str, Any]):
    np.testing.assert_allclose(facts["by foedus"][name], facts["by keras"][name], **BOUNDS)


def test_a_server_of_tff_takes_a_step_of_keras(facts: dict[str, Any]):
    found, expected = facts["at the server"]
    np.testing.assert_allclose(found, expected, **BOUNDS)


def test_a_state_that_begins_with_the_weights_is_refused(facts: dict[str, Any]):
    assert facts["refused"] == (
        "foedus.tff does not take tf.keras.optimizers.ScheduleFreeAdamW: its state begins with a copy of the "
        "weights, and TFF makes a state from their shapes alone. Use one of tff.learning.optimizers, or "
        "foedus.learning."
    )
