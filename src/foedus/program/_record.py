# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One round's metrics as a flat record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from foedus.types import parts_of

Metric: TypeAlias = int | float | str
Record: TypeAlias = dict[str, Metric]
"""Metrics of one round by name, such as ``train/loss``; ``round`` and ``seconds`` are always there."""


def flatten(group: str, metrics: Any) -> Record:
    """Writes nested metrics as a flat record.

    Args:
        group: What every name begins with.
        metrics: Numbers, truth values and strings in nested containers. Arrays of more than one element and
            complex numbers are left out: a record is a row of a table.

    Returns:
        Such as ``{"train/loss": 0.5}``.
    """
    parts = None if isinstance(metrics, str) else parts_of(metrics)
    if parts is None:
        value = _metric(metrics)
        return {} if value is None else {group: value}
    record: Record = {}
    for index, (name, item) in enumerate(parts):
        record |= flatten(f"{group}/{index if name is None else name}", item)
    return record


def _metric(value: Any) -> Metric | None:
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.size != 1:
        return None
    item = array.reshape(-1)[0].item()
    if isinstance(item, int | str):
        return int(item) if isinstance(item, int) else item
    return None if isinstance(item, complex) else float(item)


def find(names: Iterable[str], group: str, word: str) -> str | None:
    """The name of a metric that is known by a word.

    Args:
        names: Names of a record.
        group: The first part of the name.
        word: Such as ``accuracy``.

    Returns:
        ``group/word`` if it is there, else the first name of the group whose last part ends with the word,
        such as ``train/sparse_categorical_accuracy``, or None.
    """
    of_group = [name for name in names if name.startswith(f"{group}/")]
    if f"{group}/{word}" in of_group:
        return f"{group}/{word}"
    return next((name for name in of_group if name.rpartition("/")[2].endswith(word)), None)


def is_finite(value: Metric | None) -> bool:
    """Whether this is not a number gone wrong."""
    return not isinstance(value, float) or math.isfinite(value)
