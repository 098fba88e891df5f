# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of losses, metrics and optimizers with Keras on TensorFlow, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .keras_cases import (
    BOUNDS,
    LOSSES,
    METRICS,
    REFUSED_LOSSES,
    REFUSED_METRICS,
    TAKEN,
    WRAPPED,
    steps_of,
)
from .test_keras_on_tensorflow import program_on

pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

PROGRAM = Path(__file__).with_name("keras_tables_program.py")
READS_AFTER_WRITING = "ScheduleFreeAdamW"
"""Keras on TensorFlow reads a variable after it has changed it, where it wants what was there before."""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return program_on("tensorflow", PROGRAM)


def assert_as_keras(pair: Any) -> None:
    assert not isinstance(pair, str), pair
    np.testing.assert_allclose(*pair, **BOUNDS)


def test_keras_is_on_tensorflow(found: dict[str, Any]):
    assert found["backend"] == "tensorflow"


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_each_example_alone(name: str, found: dict[str, Any]):
    assert_as_keras(found["losses"][name])


def test_a_loss_that_compares_examples_couples_them(found: dict[str, Any]):
    assert found["coupled"]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_two_clients_is_that_of_their_examples(name: str, found: dict[str, Any]):
    assert_as_keras(found["metrics"][name])


@pytest.mark.parametrize("name", [name for name in TAKEN if name != READS_AFTER_WRITING])
def test_an_optimizer_takes_the_steps_that_it_takes_in_keras(name: str, found: dict[str, Any]):
    assert_as_keras(found["optimizers"][name])


def test_where_keras_differs_by_its_backend_ours_is_as_published(found: dict[str, Any]):
    """Defazio et al., "The Road Less Scheduled", 2024: a step recovers x from y and the z before it."""
    ours, keras_on_tensorflow = found["optimizers"][READS_AFTER_WRITING]
    _, keras_on_jax = steps_of(TAKEN[READS_AFTER_WRITING])
    expected = np.concatenate([np.ravel(weight) for weight in keras_on_jax])
    np.testing.assert_allclose(ours, expected, **BOUNDS)
    assert np.max(np.abs(expected - keras_on_tensorflow)) > 1e-4  # Once Keras mends it, this case can go.


@pytest.mark.parametrize("name", REFUSED_LOSSES)
def test_other_losses_are_refused_when_they_are_given(name: str, found: dict[str, Any]):
    assert found["refused"][name].startswith(REFUSED_LOSSES[name][2])


@pytest.mark.parametrize("name", REFUSED_METRICS)
def test_other_metrics_are_refused_when_they_are_given(name: str, found: dict[str, Any]):
    said = f"The metric {name.lower()!r} cannot be measured on the predictions and labels of this model\n"
    assert found["refused"][name].startswith(said)


def test_an_optimizer_that_scales_the_loss_is_refused(found: dict[str, Any]):
    for name in WRAPPED:
        first, *_, at, _ = found["refused"][name].splitlines()
        assert first.startswith(
            "The Keras optimizer 'loss_scale_optimizer' scales the loss, which only Keras'"
        )
        assert "keras_tables_program.py" in at


def test_a_layer_that_draws_without_a_seed_generator_is_refused(found: dict[str, Any]):
    said = found["refused"]["noisy"].splitlines()
    line = said.pop(3)
    assert line.startswith("  at        keras_tables_program.py:")
    assert line.endswith(": return x + tf.random.normal(tf.shape(x))")
    assert said == [
        "The TensorFlow code 'noisy' draws random numbers that no key determines",
        "  found     RandomStandardNormal",
        "  expected  a pure function: the same whenever it is run, and wherever",
        "  hint      use tf.random.stateless_uniform and its kin, with a key as seed: "
        "tf.bitcast(key, tf.int32) of one that federated_key gives; give a data set that is shuffled a seed, "
        "and a layer of Keras a SeedGenerator",
    ]
