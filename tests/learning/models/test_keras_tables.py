# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every loss, metric and optimizer of Keras: it works, or it is refused with a reason when it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
import optax
import pytest

from foedus.errors import ArgumentError, FoedusError
from foedus.learning import models

keras: Any = pytest.importorskip("keras")
pytestmark = pytest.mark.keras
L, losses, measures, optimizers = keras.layers, keras.losses, keras.metrics, keras.optimizers
ROWS, CLASSES = 7, 3
CHANCES, INDEX, BIT = ("float32", (CLASSES,)), "int32", ("float32", (1,))
"""Labels: a number for each class, the number of a class, or yes and no."""


def classes_of(module: ModuleType) -> set[str]:
    return {name for name, value in vars(module).items() if inspect.isclass(value)}


def chances() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(CLASSES, activation="softmax")])


def bit() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(1, activation="sigmoid")])


def drawn(label: Any) -> tuple[Any, Any]:
    """Predictions and labels of some rows."""
    generator = np.random.default_rng(3)
    columns = 1 if label == BIT else CLASSES
    predictions = generator.uniform(0.1, 0.9, (ROWS, columns)).astype(np.float32)
    if label == INDEX:
        return predictions, generator.integers(0, CLASSES, ROWS, dtype=np.int32)
    if label == BIT:
        return predictions, generator.integers(0, 2, (ROWS, 1)).astype(np.float32)
    return predictions, np.eye(CLASSES, dtype=np.float32)[generator.integers(0, CLASSES, ROWS)]


LOSSES: dict[str, tuple[Any, Callable[[], Any]]] = {
    "BinaryCrossentropy": (CHANCES, losses.BinaryCrossentropy),
    "BinaryFocalCrossentropy": (CHANCES, losses.BinaryFocalCrossentropy),
    "CategoricalCrossentropy": (CHANCES, losses.CategoricalCrossentropy),
    "CategoricalFocalCrossentropy": (CHANCES, losses.CategoricalFocalCrossentropy),
    "CategoricalGeneralizedCrossEntropy": (INDEX, losses.CategoricalGeneralizedCrossEntropy),
    "CategoricalHinge": (CHANCES, losses.CategoricalHinge),
    "CosineSimilarity": (CHANCES, losses.CosineSimilarity),
    "Dice": (CHANCES, lambda: losses.Dice(axis=(1,))),
    "Hinge": (CHANCES, losses.Hinge),
    "Huber": (CHANCES, losses.Huber),
    "KLDivergence": (CHANCES, losses.KLDivergence),
    "LogCosh": (CHANCES, losses.LogCosh),
    "MeanAbsoluteError": (CHANCES, losses.MeanAbsoluteError),
    "MeanAbsolutePercentageError": (CHANCES, losses.MeanAbsolutePercentageError),
    "MeanSquaredError": (CHANCES, losses.MeanSquaredError),
    "MeanSquaredLogarithmicError": (CHANCES, losses.MeanSquaredLogarithmicError),
    "Poisson": (CHANCES, losses.Poisson),
    "SparseCategoricalCrossentropy": (INDEX, losses.SparseCategoricalCrossentropy),
    "SquaredHinge": (CHANCES, losses.SquaredHinge),
    "Tversky": (CHANCES, lambda: losses.Tversky(axis=(1,))),
}
REFUSED_LOSSES: dict[str, tuple[Any, Callable[[], Any], str]] = {
    "CTC": (CHANCES, losses.CTC, "The model fails on a batch of 8 examples"),
    "Dice": (CHANCES, losses.Dice, "The loss is not one number an example"),
    "Loss": (CHANCES, losses.Loss, "The model fails on a batch of 8 examples"),
    "Tversky": (CHANCES, losses.Tversky, "The loss is not one number an example"),
}


def test_every_loss_is_here():
    assert {*LOSSES, *REFUSED_LOSSES, "Circle"} == classes_of(losses)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_each_example_alone(name: str):
    label, make = LOSSES[name]
    model = models.from_keras(chances, example={"x": ("float32", (4,)), "y": label}, loss=make())
    assert not model.coupled
    _, y = drawn(label)
    x = np.random.default_rng(4).normal(size=(ROWS, 4)).astype(np.float32)
    found = model.forward(
        model.initialize(None), {"x": x, "y": y}, np.zeros(2, np.uint32), models.Mode.EVALUATE
    )
    predictions = np.asarray(found.predictions)
    alone = [float(make()(y[i : i + 1], predictions[i : i + 1])) for i in range(ROWS)]
    # One float32 or two, rounded.
    np.testing.assert_allclose(found.losses, alone, rtol=1e-5, atol=1e-6)


def test_a_loss_that_compares_examples_couples_them():
    loss = losses.Circle()
    assert models.from_keras(chances, example={"x": ("float32", (4,)), "y": INDEX}, loss=loss).coupled


@pytest.mark.parametrize("name", REFUSED_LOSSES)
def test_other_losses_are_refused_when_they_are_given(name: str):
    label, make, why = REFUSED_LOSSES[name]
    with pytest.raises(FoedusError, match=why):
        models.from_keras(chances, example={"x": ("float32", (4,)), "y": label}, loss=make())


_OF_CHANCES = """
AUC Accuracy BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy CategoricalHinge
ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge KLDivergence
LogCoshError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError
PearsonCorrelation Poisson Precision R2Score Recall RootMeanSquaredError SquaredHinge TopKCategoricalAccuracy
TrueNegatives TruePositives
"""
_OF_INDEX = "SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy"
METRICS: dict[str, tuple[Any, Callable[[], Any]]] = {
    **{name: (CHANCES, getattr(measures, name)) for name in _OF_CHANCES.split()},
    **{name: (INDEX, getattr(measures, name)) for name in _OF_INDEX.split()},
    "BinaryIoU": (BIT, measures.BinaryIoU),
    "IoU": (BIT, lambda: measures.IoU(num_classes=2, target_class_ids=[0])),
    "MeanIoU": (BIT, lambda: measures.MeanIoU(num_classes=2)),
    "MeanMetricWrapper": (CHANCES, lambda: measures.MeanMetricWrapper(losses.mean_squared_error)),
    "OneHotIoU": (CHANCES, lambda: measures.OneHotIoU(num_classes=CLASSES, target_class_ids=[0])),
    "OneHotMeanIoU": (CHANCES, lambda: measures.OneHotMeanIoU(num_classes=CLASSES)),
    "PrecisionAtRecall": (CHANCES, lambda: measures.PrecisionAtRecall(0.5)),
    "RecallAtPrecision": (CHANCES, lambda: measures.RecallAtPrecision(0.5)),
    "SensitivityAtSpecificity": (CHANCES, lambda: measures.SensitivityAtSpecificity(0.5)),
    "SpecificityAtSensitivity": (CHANCES, lambda: measures.SpecificityAtSensitivity(0.5)),
}
REFUSED_METRICS = ("Mean", "Metric", "Sum")
"""They have no labels, or are abstract."""


def measured(label: Any, metric: Any) -> Any:
    """The metric of a model with such labels."""
    model = models.from_keras(
        bit if label == BIT else chances,
        example={"x": ("float32", (4,)), "y": label},
        loss=lambda y, p: keras.ops.sum(p, axis=-1),
        metrics=[metric],
        coupled=False,
    )
    return model.metrics[0]


def test_every_metric_is_here():
    assert {*METRICS, *REFUSED_METRICS} == classes_of(measures)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_two_clients_is_that_of_their_examples(name: str):
    label, make = METRICS[name]
    with jax.enable_x64(True):
        metric = measured(label, make())
        predictions, y = drawn(label)
        whole = make()
        whole.update_state(y, predictions)
        mask = np.ones(4, bool)
        one = metric.accumulate(metric.zero(), predictions[:4], y[:4], mask)
        # The second client's batch is padded to four rows with one of the first's, which does not count.
        rows = [*range(4, ROWS), 0]
        other = metric.accumulate(metric.zero(), predictions[rows], y[rows], mask & (np.arange(4) < 3))
        found = metric.report(jax.tree.map(lambda a, b: a + b, one, other))
        # Sums of seven float32 in another order.
        np.testing.assert_allclose(found, np.asarray(whole.result()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", REFUSED_METRICS)
def test_other_metrics_are_refused_when_they_are_given(name: str):
    with pytest.raises(ArgumentError, match="cannot be measured on the predictions and labels of this model"):
        measured(CHANCES, getattr(measures, name)())


_PLAIN = (
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD ScheduleFreeAdamW"
)
OPTIMIZERS = _PLAIN.split()
WRAPPED: dict[str, Callable[[], Any]] = {
    "LossScaleOptimizer": lambda: optimizers.LossScaleOptimizer(optimizers.SGD()),
}
NOT_MADE = {"Optimizer", "MultiOptimizer", "OptimizerMap"}
"""The abstract one, and those that choose among others by the layers that weights belong to."""


def test_every_optimizer_is_here():
    assert {*OPTIMIZERS, *WRAPPED, *NOT_MADE} == classes_of(optimizers)


def started() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    generator = np.random.default_rng(5)
    shapes = {"a": (3, 2), "b": (2,)}

    def tree() -> dict[str, Any]:
        return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    return tree(), [tree() for _ in range(3)]


def assert_same_steps(make: Callable[[], Any], given: Any = None) -> None:
    """Three steps as one of optax are three steps of Keras on variables of its own."""
    start, gradients = started()
    weights: Any = start
    theirs = [keras.Variable(weights[name]) for name in "ab"]
    optimizer = make()
    ours = models.optimizer_from_keras(make() if given is None else given)
    with jax.enable_x64(True):
        state = ours.init(weights)
        for gradient in gradients:
            updates, state = jax.jit(ours.update)(gradient, state, weights)
            weights = optax.apply_updates(weights, updates)
            optimizer.apply_gradients(list(zip([gradient[name] for name in "ab"], theirs, strict=True)))
    for name, variable in zip("ab", theirs, strict=True):
        # Weights of about one, and an update that is added is rounded once more.
        np.testing.assert_allclose(weights[name], np.asarray(variable.value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_takes_the_steps_that_it_takes_in_keras(name: str):
    assert_same_steps(getattr(optimizers, name))


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01, global_clipnorm=0.5),
        lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), amsgrad=True),
        lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
        lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2),
    ],
    ids=["options", "schedule", "moving average", "accumulation"],
)
def test_the_options_of_optimizers_are_those_of_keras(make: Callable[[], Any]):
    assert_same_steps(make)


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
