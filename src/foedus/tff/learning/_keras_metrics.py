# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of Keras: two that count, and functions of the values of a metric's variables."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, final

import jax

from foedus.frontends.keras import require_keras
from foedus.tff.learning._variable_model import BatchOutput


class Counts(Enum):
    """What a metric counts."""

    EXAMPLES = "num_examples"
    BATCHES = "num_batches"


_LOSS = "loss"


def rows_of(batch: Any) -> Any:
    """The number of rows of a tensor, or of containers of them."""
    return require_keras().ops.shape(jax.tree.leaves(batch)[0])[0]


@functools.cache
def _counter_class(counts: Counts) -> Any:
    keras = require_keras()

    class Counter(keras.metrics.Sum):
        """Counts, whatever weights there are."""

        def __init__(self, name: str, dtype: Any) -> None:
            super().__init__(name=name, dtype=dtype)

        def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
            super().update_state(1 if counts is Counts.BATCHES else rows_of(y_true))

    return Counter


def counter(counts: Counts, name: str | None = None, dtype: Any = "int64") -> Any:
    """A Keras metric that counts.

    Args:
        counts: What it counts.
        name: What it is called; as TFF calls it if not given.
        dtype: The dtype of the count.
    """
    return _counter_class(counts)(name or counts.value, dtype)


def counted_by(metric: Any) -> Counts | None:
    """What a metric counts, if it is of ``counter``."""
    if not _is_metric(metric):
        return None
    return next((counts for counts in Counts if isinstance(metric, _counter_class(counts))), None)


def with_counts(metrics: list[Any]) -> list[Any]:
    """Metrics, the mean loss, and counts of examples and batches unless they are among the metrics."""
    names = [getattr(metric, "name", None) for metric in metrics]
    mean = require_keras().metrics.Mean(name=_LOSS)
    return [*metrics, mean, *(counter(counts) for counts in Counts if counts.value not in names)]


def update_all(metrics: list[Any], labels: Any, predictions: Any, loss: Any) -> None:
    """Takes a batch into metrics of ``with_counts``."""
    for metric in metrics:
        if metric.name == _LOSS:
            metric.update_state(loss, sample_weight=rows_of(labels))
        else:
            metric.update_state(labels, predictions)


@final
class NumExamplesCounter:
    """A Keras metric that counts examples.

    Args:
        name: What it is reported as.
        dtype: The dtype of the count.
    """

    def __new__(cls, name: str = Counts.EXAMPLES.value, dtype: Any = "int64") -> Any:
        return counter(Counts.EXAMPLES, name, dtype)


@final
class NumBatchesCounter:
    """A Keras metric that counts batches.

    Args:
        name: What it is reported as.
        dtype: The dtype of the count.
    """

    def __new__(cls, name: str = Counts.BATCHES.value, dtype: Any = "int64") -> Any:
        return counter(Counts.BATCHES, name, dtype)


def _is_metric(value: Any) -> bool:
    return isinstance(value, require_keras().metrics.Metric)


def made_metric(given: Any) -> Any:
    """The metric that is given itself or by its constructor; anything else as it is."""
    if callable(given) and not _is_metric(given) and not hasattr(given, "accumulate"):
        return given()
    return given


def _required_metric(given: Any) -> Any:
    made = given() if callable(given) and not _is_metric(given) else given
    if not _is_metric(made):
        raise TypeError(f"Expected a Keras metric or a constructor of one, found {type(made)}.")
    return made


def finalizer_of(metric: Any) -> Callable[[Any], Any]:
    """From the values of a metric's variables to its number, over tensors of Keras' backend."""

    def finalize(unfinalized: Any) -> Any:
        return metric.stateless_result(list(unfinalized))

    return finalize


def create_keras_metric_finalizer(metric: Any) -> Callable[[Any], Any]:
    """A finalizer for the values of a Keras metric's variables.

    Args:
        metric: The metric, or a constructor of one.

    Returns:
        From the values, in the order of the variables, to the metric's number.

    Raises:
        TypeError: If it is none.
    """
    return finalizer_of(_required_metric(metric))


def create_functional_metric_fns(
    metrics_constructor: Any,
) -> tuple[Callable[[], Any], Callable[..., Any], Callable[[Any], Any]]:
    """Keras metrics as pure functions, for ``FunctionalModel``.

    Args:
        metrics_constructor: A function that makes a mapping from names to metrics, or a mapping from names
            to constructors.

    Returns:
        ``() -> state``; ``(state, labels, batch_output, sample_weight=None) -> state``; and from a state to
        the metrics by name.

    Raises:
        TypeError: If something is no metric.
    """
    given = metrics_constructor() if callable(metrics_constructor) else metrics_constructor
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected a mapping from names to Keras metrics, found {type(given)}.")
    metrics = OrderedDict((name, _required_metric(metric)) for name, metric in given.items())

    def initialize() -> Any:
        return OrderedDict(
            (name, [require_keras().ops.convert_to_numpy(v.value) for v in metric.variables])
            for name, metric in metrics.items()
        )

    def update(state: Any, labels: Any, batch_output: BatchOutput, sample_weight: Any = None) -> Any:
        predictions = batch_output.predictions
        return OrderedDict(
            (
                name,
                list(
                    m.stateless_update_state(
                        list(state[name]), labels, predictions, sample_weight=sample_weight
                    )
                ),
            )
            for name, m in metrics.items()
        )

    def finalize(state: Any) -> Any:
        return OrderedDict((name, m.stateless_result(list(state[name]))) for name, m in metrics.items())

    return initialize, update, finalize
