# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every loss, metric and optimizer of Keras: it works, or it is refused with a reason when it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foedus.errors import ArgumentError, FoedusError
from foedus.learning import models

from .keras_cases import (
    BOUNDS,
    CHANCES,
    INDEX,
    LOSSES,
    METRICS,
    NOT_MADE,
    OPTIMIZERS,
    REFUSED_LOSSES,
    REFUSED_METRICS,
    TAKEN,
    WRAPPED,
    classes_of,
    losses,
    losses_of_examples,
    measured,
    measures,
    metric_of_two_clients,
    model_with,
    optimizers,
    steps_of,
)

pytestmark = pytest.mark.keras


def test_every_loss_is_here():
    assert {*LOSSES, *REFUSED_LOSSES, "Circle"} == classes_of(losses)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_each_example_alone(name: str):
    np.testing.assert_allclose(*losses_of_examples(name), **BOUNDS)


def test_a_loss_that_compares_examples_couples_them():
    assert model_with(INDEX, losses.Circle()).coupled


@pytest.mark.parametrize("name", REFUSED_LOSSES)
def test_other_losses_are_refused_when_they_are_given(name: str):
    label, make, why = REFUSED_LOSSES[name]
    with pytest.raises(FoedusError, match=why):
        model_with(label, make())


def test_every_metric_is_here():
    assert {*METRICS, *REFUSED_METRICS} == classes_of(measures)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_two_clients_is_that_of_their_examples(name: str):
    np.testing.assert_allclose(*metric_of_two_clients(name), **BOUNDS)


@pytest.mark.parametrize("name", REFUSED_METRICS)
def test_other_metrics_are_refused_when_they_are_given(name: str):
    with pytest.raises(ArgumentError, match="cannot be measured on the predictions and labels of this model"):
        measured(CHANCES, getattr(measures, name)())


def test_every_optimizer_is_here():
    assert {*OPTIMIZERS, *WRAPPED, *NOT_MADE} == classes_of(optimizers)


def assert_same_steps(make: Any, given: Any = None) -> None:
    for found, expected in zip(*steps_of(make, given), strict=True):
        np.testing.assert_allclose(found, expected, **BOUNDS)


@pytest.mark.parametrize("name", TAKEN)
def test_an_optimizer_takes_the_steps_that_it_takes_in_keras(name: str):
    assert_same_steps(TAKEN[name])


@pytest.mark.parametrize("given", ["adam", optimizers.Adam])
def test_an_optimizer_is_an_object_a_name_or_a_constructor(given: Any):
    assert_same_steps(optimizers.Adam, given)


def test_an_optimizer_that_scales_the_loss_is_refused(refused: Any):
    with refused(
        ArgumentError,
        """
        The Keras optimizer 'loss_scale_optimizer' scales the loss, which only Keras' own training loop does
          found     LossScaleOptimizer
          expected  an optimizer that takes gradients as they are
          at        optimizer, HERE
          hint      give the optimizer inside of it
        """,
    ):
        models.optimizer_from_keras(WRAPPED["LossScaleOptimizer"]())


def test_an_optimizer_that_chooses_among_others_is_refused(refused: Any):
    chosen = optimizers.OptimizerMap(optimizers.Adam(), {"encoder/.*": optimizers.SGD()})
    with refused(
        ArgumentError,
        """
        The Keras optimizer 'multi_optimizer' chooses among others by the paths of variables
          found     MultiOptimizer
          expected  one optimizer for all weights, which have no paths here
          at        optimizer, HERE
          hint      use optax.multi_transform over optimizers of optax, which chooses by the weights' names
        """,
    ):
        models.optimizer_from_keras(optimizers.MultiOptimizer(chosen))


def test_the_abstract_optimizer_is_refused(refused: Any):
    with refused(
        ArgumentError,
        """
        The Keras optimizer 'optimizer' cannot take a step outside of Keras' own training loop
          found     NotImplementedError
          expected  an optimizer that takes gradients and weights, whatever layers they belong to
          at        optimizer, HERE
        """,
    ):
        models.optimizer_from_keras(optimizers.Optimizer(0.1))


def test_what_is_no_optimizer_is_refused(refused: Any):
    with refused(
        ArgumentError,
        """
        This is no Keras optimizer
          found     0.1
          expected  keras.optimizers.Optimizer, a constructor of one, or its name
          at        optimizer, HERE
        """,
    ):
        models.optimizer_from_keras(0.1)
