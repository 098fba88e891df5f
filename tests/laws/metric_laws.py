# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of metrics, as functions that return what breaks them: nothing, where a law holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from foedus.learning.metrics import Metric

from .runtime_laws import differences

ROWS = 11
SPLITS = {(1,) * 11: 0, (4, 4, 3): 3, (0, 5, 6): 1}
"""Ways to cut the rows into batches, and how many rows of padding each batch has."""


@dataclass(frozen=True)
class Measure:
    """A metric, what it measures, and what it should report.

    Args:
        metric: The metric.
        predictions: ``[rows, ...]``.
        labels: ``[rows, ...]``.
        meaning: From predictions and labels to the report, in NumPy.
    """

    metric: Metric
    predictions: Any
    labels: Any
    meaning: Callable[[Any, Any], Any]


Law = Callable[[Measure], list[str]]


def of(measure: Measure, begin: int, end: int, *, padding: int = 0) -> Any:
    """The statistics of some rows as one batch, with rows behind it that do not count."""
    rows = np.r_[begin:end, np.zeros(padding, int)].astype(int)
    mask = np.arange(len(rows)) < end - begin
    metric = measure.metric
    with jax.enable_x64(True):
        return metric.accumulate(metric.zero(), measure.predictions[rows], measure.labels[rows], mask)


def merged(one: Any, other: Any) -> Any:
    return jax.tree.map(np.add, one, other)


def report(measure: Measure, statistics: Any) -> Any:
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, measure.metric.report(statistics))


def reports_its_meaning(measure: Measure) -> list[str]:
    """Of all rows at once it reports what it should."""
    found = report(measure, of(measure, 0, ROWS))
    expected = np.asarray(measure.meaning(measure.predictions, measure.labels), found.dtype)
    return list(differences(expected, found))


def ignores_splits(measure: Measure) -> list[str]:
    """However rows are cut into batches and spread over clients, padded or not, the report is the same."""
    expected = report(measure, of(measure, 0, ROWS))
    failures = []
    for sizes, padding in SPLITS.items():
        ends = np.cumsum(sizes)
        total = measure.metric.zero()
        for end, size in zip(ends, sizes, strict=True):
            total = merged(total, of(measure, end - size, end, padding=padding))
        failures += [f"{sizes}: {line}" for line in differences(expected, report(measure, total))]
    return failures


def accumulates_as_it_merges(measure: Measure) -> list[str]:
    """Going on from statistics is the same as merging with those of the new rows."""
    metric = measure.metric
    first = of(measure, 0, 4)
    with jax.enable_x64(True):
        mask = np.ones(ROWS - 4, bool)
        going_on = metric.accumulate(first, measure.predictions[4:], measure.labels[4:], mask)
    both = merged(first, of(measure, 4, ROWS))
    return list(differences(report(measure, both), report(measure, going_on)))


def has_a_neutral_zero(measure: Measure) -> list[str]:
    """Zero changes nothing, has the dtypes of statistics, and has a report."""
    with jax.enable_x64(True):
        zero = measure.metric.zero()
    some = of(measure, 0, 5)
    failures = list(differences(some, merged(zero, some), exact=True))
    unlike = jax.tree.map(lambda a, b: a.dtype != b.dtype or a.shape != b.shape, zero, some)
    failures += ["zero is of another type"] if any(jax.tree.leaves(unlike)) else []
    return failures if np.isfinite(report(measure, zero)) else [*failures, "nothing has no report"]
