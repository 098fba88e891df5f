# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What ``tf.data`` data sets give that are made of arrays and cut, repeated and batched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foedus.types import Array

AS_THEY_ARE = frozenset({"Identity", "OptionsDataset", "PrefetchDataset"})
"""Operations that give the elements that they are given."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a data set gives.

    Args:
        columns: Arrays with rows first, in the order in which ``tf.nest`` flattens elements.
        order: int64, the rows that it gives, in order.
        sizes: int64, how many of them make an element, where it gives batches; None where each is one.
    """

    columns: list[Array]
    order: Array
    sizes: Array | None = None

    def __len__(self) -> int:
        return len(self.order) if self.sizes is None else len(self.sizes)

    def between(self, start: int, stop: int) -> Rows:
        """Some of the elements, next to each other."""
        if self.sizes is None:
            return replace(self, order=self.order[start:stop])
        ends = np.cumsum([0, *self.sizes], dtype=np.int64)
        rows = slice(int(ends[min(start, len(self))]), int(ends[min(stop, len(self))]))
        return replace(self, order=self.order[rows], sizes=self.sizes[start:stop])

    def repeated(self, times: int) -> Rows:
        """All elements, several times over."""
        sizes = None if self.sizes is None else np.tile(self.sizes, times)
        return replace(self, order=np.tile(self.order, times), sizes=sizes)

    def batched(self, size: int, *, whole: bool) -> Rows:
        """Single rows in batches; the last, shorter one is left out where only whole ones are wanted."""
        full, rest = divmod(len(self.order), size)
        sizes = np.array([size] * full + ([rest] if rest and not whole else []), dtype=np.int64)
        return replace(self, order=self.order[: sizes.sum()], sizes=sizes)

    def in_order(self) -> list[Array]:
        """The columns' rows as the data set gives them; no copies where those lie in order already."""
        start, count = int(self.order[0]) if len(self.order) else 0, len(self.order)
        if np.array_equal(self.order, np.arange(start, start + count)):
            return [column[start : start + count] for column in self.columns]
        return [column[self.order] for column in self.columns]


def slices(columns: list[Array | None]) -> Rows | None:
    """What a data set of the slices of arrays gives, None if one of those is not known."""
    known = [column for column in columns if column is not None]
    if not known or len(known) != len(columns):
        return None
    return Rows(known, np.arange(len(known[0]), dtype=np.int64))


def changed(op: str, rows: Rows, numbers: list[int]) -> Rows | None:
    """What an operation makes of rows.

    Args:
        op: Its name in TensorFlow's graphs.
        rows: What it is given.
        numbers: What else it is given.

    Returns:
        The rows, or None if they cannot be told.
    """
    if op in AS_THEY_ARE:
        return rows
    if op.endswith("BatchDataset") or op == "BatchDatasetV2":
        # Its numbers are the size, for the parallel one how many at once, and whether to drop a remainder.
        return rows.batched(numbers[0], whole=bool(numbers[-1])) if rows.sizes is None else None
    count = numbers[0]
    if op == "RepeatDataset":
        return None if count < 0 else rows.repeated(count)
    at = len(rows) if count < 0 else count
    return rows.between(0, at) if op == "TakeDataset" else rows.between(at, len(rows))
