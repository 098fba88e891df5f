# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of other frameworks as sequences: read in large runs, never with one Python object a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from foedus.types import PythonValue

ROWS_AT_ONCE = 4096
"""How many elements are read at once: so many that Python's share is small, so few that they need little
memory."""


@runtime_checkable
class Dataset(Protocol):
    """What ``tf.data.Dataset`` offers; whatever else offers the same counts as one."""

    @property
    def element_spec(self) -> object:
        """What specifies the type of its elements."""
        ...

    def batch(self, batch_size: int, /) -> Dataset:
        """The same elements, stacked in runs; the last may be shorter."""
        ...

    def as_numpy_iterator(self) -> Iterator[PythonValue]:
        """Its elements, in containers of NumPy arrays."""
        ...


def runs_of(dataset: Dataset) -> Iterator[PythonValue]:
    """A data set's elements, many at a time, stacked along a new first dimension."""
    return dataset.batch(ROWS_AT_ONCE).as_numpy_iterator()
