# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras metrics whose statistics add up over clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.errors import ArgumentError, place
from foedus.foreign import Way
from foedus.frontends._keras_backend import first_line, in_jax, require_keras
from foedus.frontends._keras_state import with_values

_TOLERANCE = 1e-4
"""Sums of a few float32 in another order differ by far less."""


@final
@dataclass(frozen=True, slots=True)
class KerasMetric:
    """A Keras metric as a monoid whose statistics are its variables; they merge by addition.

    Args:
        metric: The metric.
        update: Its statistics, predictions, labels and weights to its statistics after them.
        result: Its statistics to its number.
    """

    metric: Any
    update: Callable[..., Any]
    result: Callable[..., Any]

    def zero(self) -> tuple[Any, ...]:
        """The statistics of no examples."""
        return tuple(jnp.zeros(tuple(v.shape), v.dtype) for v in self.metric.variables)

    def accumulate(self, statistics: Any, predictions: Any, labels: Any, mask: Any) -> tuple[Any, ...]:
        """Takes a batch in; rows where ``mask`` is False count for nothing."""
        return tuple(
            self.update(list(statistics), predictions, labels, mask.astype(_weight_dtype(self.metric)))
        )

    def report(self, statistics: Any) -> Any:
        """The metric's number."""
        return jnp.asarray(self.result(list(statistics)))


def open_metric(metric: Any, *, way: Way | None = None, sample: tuple[Any, Any] | None = None) -> KerasMetric:
    """Makes functions of a Keras metric.

    Args:
        metric: A ``keras.metrics.Metric``, or a constructor of one.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.
        sample: A batch of predictions and labels on which it is tried, an even number of rows; not tried if
            not given.

    Returns:
        The metric as functions.

    Raises:
        ArgumentError: If it is none, cannot be measured on such predictions and labels, or its variables
            cannot be merged by adding them.
    """
    keras = require_keras()
    made = metric() if isinstance(metric, type) else metric
    if not isinstance(made, keras.metrics.Metric):
        raise ArgumentError(
            "This is no Keras metric",
            found=repr(metric),
            expected="keras.metrics.Metric",
            at=place("metrics"),
        )
    _require_zeros(made)
    if sample is not None:
        _build(made, *sample)
        _require_zeros(made)

    def update(statistics: Any, predictions: Any, labels: Any, weight: Any) -> Any:
        return made.stateless_update_state(statistics, labels, predictions, sample_weight=weight)

    def result(statistics: Any) -> Any:
        def number() -> Any:
            # Some return their variable, which has another value outside.
            return jax.tree.map(keras.ops.convert_to_tensor, made.result())

        return with_values(number, made.variables, statistics)[0]

    if sample is not None:
        _require_sums(made, update, result, *sample)
    return KerasMetric(
        made,
        in_jax(update, made.name, way=way, written_as=type(made)),
        in_jax(result, made.name, way=way, written_as=type(made)),
    )


def _require_zeros(metric: Any) -> None:
    started = [variable.path for variable in metric.variables if np.any(np.asarray(variable.value))]
    if started:
        raise ArgumentError(
            f"The statistics of the metric {metric.name!r} do not begin at zero, and so do not add up",
            found=started[0],
            at=place("metrics"),
        )


def _build(metric: Any, predictions: Any, labels: Any) -> None:
    """Lets a metric make its variables, which some do when they see data."""
    weight = np.ones(_rows(labels), _weight_dtype(metric))
    try:
        metric.update_state(labels, predictions, sample_weight=weight)
    except Exception as error:
        raise ArgumentError(
            f"The metric {metric.name!r} cannot be measured on the predictions and labels of this model",
            found=first_line(error),
            expected="a metric that takes labels, predictions and the weights of examples",
            at=place("metrics"),
        ) from error
    metric.reset_state()


def _require_sums(
    metric: Any, update: Callable[..., Any], number: Callable[[Any], Any], predictions: Any, labels: Any
) -> None:
    """Refuses a metric whose number changes with how examples are split up, or with what is masked."""
    rows = _rows(labels)
    half = rows // 2
    zero = [np.zeros(tuple(v.shape), v.dtype) for v in metric.variables]

    def measured(part: slice, weight: Any) -> Any:
        p, y = jax.tree.map(lambda array: array[part], (predictions, labels))
        return update(zero, p, y, np.asarray(weight, _weight_dtype(metric))[part])

    ones, first = np.ones(rows), np.arange(rows) < half
    halves = [measured(slice(half), ones), measured(slice(half, None), ones)]
    added = number([_array(a) + _array(b) for a, b in zip(*halves, strict=True)])
    together = number(measured(slice(None), ones))
    masked, alone = number(measured(slice(None), first)), number(halves[0])
    where = None
    if not _equal(added, together):
        where = "two clients together give another number than their examples in one place"
    elif not _equal(masked, alone):
        where = "examples of weight zero change it"
    if where is not None:
        raise ArgumentError(
            f"The statistics of the metric {metric.name!r} do not add up",
            found=where,
            expected="variables that are sums over examples, each times its weight",
            at=place("metrics"),
        )


def _weight_dtype(metric: Any) -> str:
    """The dtype of the weights of examples: a metric that counts in whole numbers takes whole ones."""
    return "int32" if str(metric.dtype).startswith("int") else "float32"


def _rows(columns: Any) -> int:
    return len(jax.tree.leaves(columns)[0])


def _array(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value)


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        np.allclose(_array(a), _array(b), rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True) for a, b in pairs
    )
