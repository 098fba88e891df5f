# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every loss, metric and optimizer of Keras, on whatever backend it is: what ours gives, and what Keras does.

``test_keras_tables`` asks on JAX, ``keras_tables_program`` in a process of its own, on TensorFlow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
import optax
import pytest

from foedus.learning import models

keras: Any = pytest.importorskip("keras")
L, losses, measures, optimizers = keras.layers, keras.losses, keras.metrics, keras.optimizers
ROWS, CLASSES, STEPS = 7, 3, 5
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


Pair = tuple[Any, Any]
"""What ours gives, and what Keras gives."""
BOUNDS: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
"""Sums of seven float32 in another order, and weights of about one to which five updates are added, each
rounded once more than by Keras."""


def model_with(label: Any, loss: Any) -> Any:
    """A model with a loss, on labels of a kind."""
    return models.from_keras(chances, example={"x": ("float32", (4,)), "y": label}, loss=loss)


def losses_of_examples(name: str) -> Pair:
    """The losses of the examples of a batch, and of each of them in a batch of its own."""
    label, make = LOSSES[name]
    model = model_with(label, make())
    assert not model.coupled
    _, y = drawn(label)
    x = np.random.default_rng(4).normal(size=(ROWS, 4)).astype(np.float32)
    with jax.enable_x64(True):
        found = model.forward(
            model.initialize(None), {"x": x, "y": y}, np.zeros(2, np.uint32), models.Mode.EVALUATE
        )
    predictions = np.asarray(found.predictions)
    alone = [float(make()(y[i : i + 1], predictions[i : i + 1])) for i in range(ROWS)]
    return found.losses, alone


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


def metric_of_two_clients(name: str) -> Pair:
    """A metric of the statistics of two clients added up, and of all their examples."""
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
        return metric.report(jax.tree.map(lambda a, b: a + b, one, other)), np.asarray(whole.result())


_PLAIN = (
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD ScheduleFreeAdamW"
)
OPTIMIZERS = _PLAIN.split()
WRAPPED: dict[str, Callable[[], Any]] = {
    "LossScaleOptimizer": lambda: optimizers.LossScaleOptimizer(optimizers.SGD()),
}
NOT_MADE = {"Optimizer", "MultiOptimizer", "OptimizerMap"}
"""The abstract one, and those that choose among others by the layers that weights belong to."""


OPTIONS: dict[str, Callable[[], Any]] = {
    "options": lambda: optimizers.SGD(
        0.1, momentum=0.9, nesterov=True, weight_decay=0.01, global_clipnorm=0.5
    ),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), amsgrad=True),
    "moving average": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "accumulation": lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "accumulation and averages": lambda: optimizers.AdamW(
        0.1, weight_decay=0.01, clipnorm=1.0, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.5
    ),
    "clipped values": lambda: optimizers.Nadam(0.1, clipvalue=0.3),
}
TAKEN: dict[str, Callable[[], Any]] = {name: getattr(optimizers, name) for name in OPTIMIZERS} | OPTIONS
"""All that take steps."""


def started() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    generator = np.random.default_rng(5)
    shapes = {"a": (3, 2), "b": (2,)}

    def tree() -> dict[str, Any]:
        return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    return tree(), [tree() for _ in range(STEPS)]


def steps_of(make: Callable[[], Any], given: Any = None) -> Pair:
    """Weights after some steps of an optimizer as one of optax, and of Keras on variables of its own."""
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
            tensors = [keras.ops.convert_to_tensor(gradient[name]) for name in "ab"]
            optimizer.apply_gradients(list(zip(tensors, theirs, strict=True)))
    return [weights[name] for name in "ab"], [np.asarray(variable.value) for variable in theirs]
