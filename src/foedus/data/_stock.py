# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences that come one by one and are used again: end to end in columns that have room for more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import final

import numpy as np

from foedus.data._cohort import Cohort
from foedus.data._columns import Columns, Unit, empty_columns, flat_columns, map_columns, map_entries, units
from foedus.data._elements import Elements, Ragged
from foedus.data._keys import ClientId
from foedus.types import Array, Sequence, Type

ALIGNED = 64
"""Compilers read arrays where they are if they begin at a multiple of so many bytes."""
_ROWS_EACH = 8
"""How many rows an element with rows is given room for; more room is made for shorter ones."""


def aligned(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """An array with anything in it, where compiled code reads it without copying it first.

    Memory that nobody writes to is not taken from the system.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size].view(dtype).reshape(shape)


@final
class Stock:
    """Sequences of numbers, in columns that all cohorts of them share, whichever of them a cohort has.

    The columns are as long as they can get, so that programs compiled for one cohort serve the others. A
    cohort stays as it is when more is put into the stock.

    Args:
        element: The type of an element; it has no strings.
        most_bytes: How much room there is.
    """

    def __init__(self, element: Type, most_bytes: int) -> None:
        empty = empty_columns(element)
        self.element = element
        self._units = units(element)
        self._has_rows = Unit.ROW in flat_columns(self._units)
        entry = sum(array.dtype.itemsize * math.prod(array.shape[1:]) for array in flat_columns(empty))
        most = most_bytes // max(entry, np.dtype(np.int64).itemsize)
        self._most_bytes = most_bytes
        self._room = {Unit.ELEMENT: most // _ROWS_EACH if self._has_rows else most, Unit.ROW: most}
        self._columns = map_entries(
            lambda c, unit: aligned((self._room[unit], *c.shape[1:]), c.dtype), empty, self._units
        )
        self._offsets = np.zeros(self._room[Unit.ELEMENT] + 1, np.int64)
        self._ends = {Unit.ELEMENT: 0, Unit.ROW: 0}
        self._sequences: list[tuple[int, int]] = []
        self._shown: tuple[Columns, Array | None] | None = None

    def put(self, elements: Elements) -> int | None:
        """Copies a sequence into the columns.

        Args:
            elements: The sequence, without transforms.

        Returns:
            Its number, or None if there is no room for it.
        """
        start, own = dict(self._ends), _entries(elements)
        ends = {unit: start[unit] + own[unit] for unit in Unit}
        if any(ends[unit] > self._room[unit] for unit in Unit):
            return None

        columns, offsets = elements.ragged.own(elements.index)
        kinds = flat_columns(self._units)
        for room, column, unit in zip(flat_columns(self._columns), flat_columns(columns), kinds, strict=True):
            room[start[unit] : ends[unit]] = column
        if offsets is not None:
            self._offsets[start[Unit.ELEMENT] : ends[Unit.ELEMENT] + 1] = start[Unit.ROW] + offsets
        self._ends, self._shown = ends, None
        self._sequences.append((start[Unit.ELEMENT], own[Unit.ELEMENT]))
        return len(self._sequences) - 1

    def renewed(self, numbers: Iterable[int], more: Elements) -> Stock:
        """Another stock that has some of the sequences, and room for as much again and another one.

        Args:
            numbers: The numbers of the sequences; there they are numbered from 0, in this order.
            more: The sequence that there was no room for.

        Returns:
            The stock; it is larger than this one if it has to be.
        """
        taken = [Elements(self._ragged([number]), 0, 0) for number in numbers]
        sizes = [_entries(elements) for elements in [*taken, more]]
        times = 1
        while any(2 * sum(own[unit] for own in sizes) > times * self._room[unit] for unit in Unit):
            times *= 2
        fresh = Stock(self.element, times * self._most_bytes)
        for elements in taken:
            fresh.put(elements)
        return fresh

    def cohort(self, numbers: Mapping[ClientId, int]) -> Cohort:
        """A cohort of sequences; no column is copied.

        Args:
            numbers: For each client the number of its sequence.

        Returns:
            The cohort.
        """
        return Cohort(tuple(numbers), Sequence(self.element), self._ragged(list(numbers.values())))

    def _ragged(self, numbers: list[int]) -> Ragged:
        columns, offsets = self._views()
        chosen = np.array([self._sequences[i] for i in numbers], np.int64).reshape(-1, 2)
        return Ragged(self.element, columns, chosen[:, 0], chosen[:, 1], offsets)

    def _views(self) -> tuple[Columns, Array | None]:
        """The columns and offsets as arrays of their own for as long as nothing is put in, for readers keep
        copies of an array that they have seen.
        """
        if self._shown is None:
            offsets = self._offsets.copy() if self._has_rows else None
            self._shown = map_columns(lambda c: c[:], self._columns), offsets
        return self._shown


def _entries(elements: Elements) -> dict[Unit, int]:
    """How many entries a sequence takes."""
    ragged, count = elements.ragged, int(elements.ragged.count[elements.index])
    if ragged.rows is None:
        return {Unit.ELEMENT: count, Unit.ROW: 0}
    first = int(ragged.first[elements.index])
    return {Unit.ELEMENT: count, Unit.ROW: int(ragged.rows[first + count] - ragged.rows[first])}
