# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of other frameworks as sequences, by what they offer: none of the frameworks is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from foedus import types
from foedus.data import _datasets as datasets
from foedus.data import cohort_of
from foedus.errors import DataError, TypeMismatchError
from foedus.types import Sequence, to_type


class Rows:
    """Has what ``tf.data.Dataset`` has; counts what is read one by one."""

    def __init__(self, columns: Any, size: int | None = None) -> None:
        self.columns = columns
        self.size = size
        self.read = 0

    @property
    def element_spec(self) -> Any:
        return {name: (column.dtype, column.shape[1:]) for name, column in self.columns.items()}

    def batch(self, batch_size: int) -> Rows:
        made = Rows(self.columns, batch_size)
        self.batched = made
        return made

    def as_numpy_iterator(self) -> Iterator[Any]:
        length = len(next(iter(self.columns.values())))
        step = self.size or 1
        for start in range(0, length, step):
            self.read += 1
            rows = slice(start, start + step) if self.size else start
            yield {name: column[rows] for name, column in self.columns.items()}


def test_the_type_of_a_data_set():
    data = Rows({"x": np.zeros((3, 2), np.float32), "y": np.zeros(3, np.int64)})
    assert to_type(data) == types.type_of(data) == Sequence(to_type({"x": ("float32", (2,)), "y": "int64"}))


def test_rows_are_read_many_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets, "ROWS_AT_ONCE", 4)
    data = Rows({"x": np.arange(20.0).reshape(10, 2), "y": np.arange(10)})
    cohort = cohort_of({"a": data, "b": Rows({"x": np.zeros((0, 2)), "y": np.arange(0)})}, to_type(data))
    assert data.read == 0
    assert data.batched.read == 3
    assert [int(y) for _, y in cohort.client(0)] == list(range(10))
    assert list(cohort.client(1)) == []


def test_batches_keep_their_own_rows():
    element = to_type({"x": ("int64", (None,))})
    data = Rows({"x": np.array([np.arange(3), np.arange(1)], dtype=object)})
    cohort = cohort_of([data], Sequence(element))
    assert [x.tolist() for (x,) in cohort.client(0)] == [[0, 1, 2], [0]]


def test_what_cannot_be_read_is_said_so():
    class Broken(Rows):
        def batch(self, batch_size: int) -> Rows:
            raise RuntimeError("no such rows")

    data = Broken({"x": np.arange(3)})
    with pytest.raises(DataError, match="The data set cannot be read in the value of client 0") as caught:
        cohort_of([data], to_type(data))
    assert "RuntimeError: no such rows" in str(caught.value)
    with pytest.raises(TypeMismatchError):
        cohort_of([Rows({"x": np.arange(3)})], Sequence(to_type({"x": "int32"})))
