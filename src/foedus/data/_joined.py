# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Columns that lie in several arrays, end to end, and are copied only where they are read."""

from __future__ import annotations

from bisect import bisect_right
from typing import final

import numpy as np

from foedus.data._columns import Columns, zip_columns
from foedus.types import Array


@final
class JoinedColumn:
    """Arrays one after another, as much of one array as readers of columns need.

    Args:
        parts: Arrays of one dtype and one shape of rows, at least one.
    """

    def __init__(self, parts: list[Array]) -> None:
        self._parts = parts
        self._ends: list[int] = np.cumsum([len(part) for part in parts]).tolist()
        self.dtype, self.shape = parts[0].dtype, (self._ends[-1], *parts[0].shape[1:])
        self.nbytes = sum(part.nbytes for part in parts)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, which: int | slice) -> Array:
        if not isinstance(which, slice):
            return self[which : which + 1][0]
        begin, end, step = which.indices(len(self))
        assert step == 1, "columns are read in runs of rows; please report"
        number, found = bisect_right(self._ends, begin), list[Array]()
        while begin < end:
            part = self._parts[number]
            start = self._ends[number] - len(part)
            found.append(part[begin - start : end - start])
            begin, number = self._ends[number], number + 1
        if not found:
            return self._parts[0][:0]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def __array__(self, dtype: np.dtype[np.generic] | None = None, copy: bool | None = None) -> Array:
        return np.asarray(np.concatenate(self._parts), dtype=dtype)


def joined(columns: list[Columns]) -> Columns:
    """As ``concatenate``, without copying."""
    return zip_columns(_joined, *columns)


def _joined(*parts: Array) -> JoinedColumn:
    return JoinedColumn(list(parts))
