# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as monoids: statistics that are added up over batches and over clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import jax.numpy as jnp

from foedus.errors import ArgumentError, place


@final
@dataclass(frozen=True, slots=True)
class Metric:
    """A number that is reported of statistics which add up.

    Args:
        name: What it is reported as.
        zero: Makes the statistics of no examples.
        accumulate: ``(statistics, predictions, labels, mask) -> statistics`` takes a batch in; ``mask`` is
            bool[rows] and rows where it is False count for nothing.
        report: ``statistics -> number`` (or a struct of numbers).
    """

    name: str
    zero: Callable[[], Any]
    accumulate: Callable[[Any, Any, Any, Any], Any]
    report: Callable[[Any], Any]


def _rows(mask: Any, values: Any) -> Any:
    """The mask, spread over the further dimensions of values."""
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - 1)), values.shape)


def _zero_pair() -> Any:
    return {"total": jnp.float32(0), "count": jnp.float32(0)}


def _ratio(statistics: Any) -> Any:
    return statistics["total"] / jnp.maximum(statistics["count"], 1)


def mean_of(name: str, values: Callable[[Any, Any], Any]) -> Metric:
    """The mean of something over all examples.

    Args:
        name: What it is reported as.
        values: ``(predictions, labels) -> float[rows, ...]``.

    Returns:
        The metric; 0 where there are no examples. It raises an ArgumentError if what it is given has not one
        row an example.
    """

    def accumulate(statistics: Any, predictions: Any, labels: Any, mask: Any) -> Any:
        found = jnp.asarray(values(predictions, labels))
        _require_shape(name, "its values", found.shape[:1], mask.shape)
        counted = _rows(mask, found)
        return {
            "total": statistics["total"] + jnp.sum(jnp.where(counted, found, 0)).astype(jnp.float32),
            "count": statistics["count"] + jnp.sum(counted).astype(jnp.float32),
        }

    return Metric(name, _zero_pair, accumulate, _ratio)


def _require_shape(name: str, what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raises unless shapes are equal, where NumPy's rules would stretch one to the other."""
    if found != expected:
        raise ArgumentError(
            f"The metric {name!r} cannot compare rows: the shape of {what} does not fit",
            found=list(found),
            expected=list(expected),
            at=place("metrics"),
            hint="give labels and predictions the same dimensions, for example labels[:, 0] for one column",
        )


def accuracy(name: str = "accuracy") -> Metric:
    """The share of examples whose label has the greatest prediction.

    Args:
        name: What it is reported as.

    Returns:
        A metric for predictions float[rows, ..., classes] and labels int[rows, ...].
    """

    def correct(predictions: Any, labels: Any) -> Any:
        _require_shape(name, "the labels", labels.shape, predictions.shape[:-1])
        return jnp.argmax(predictions, axis=-1) == labels

    return mean_of(name, correct)


def mean_squared_error(name: str = "mean_squared_error") -> Metric:
    """The mean of squared differences between predictions and labels of one shape.

    Args:
        name: What it is reported as.

    Returns:
        A metric for predictions and labels float[rows, ...].
    """

    def squared(predictions: Any, labels: Any) -> Any:
        _require_shape(name, "the labels", labels.shape, predictions.shape)
        return jnp.square(predictions - labels)

    return mean_of(name, squared)
