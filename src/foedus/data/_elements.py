# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences at rest: flat columns, offsets on two levels, and one client's view of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from foedus.data._columns import Columns, Unit, map_columns, map_entries, stack, units
from foedus.data._keys import ClientId, client_key, derive_key, permutation
from foedus.data._transforms import Batch, Filter, Map, Repeat, Shuffle, Take, Transform, after
from foedus.errors import ClientError, FoedusError, failing_line
from foedus.foreign import kind
from foedus.ir import Foreign
from foedus.types import Array, PlainValue, Type


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """One sequence for each of several clients, in flat columns.

    Args:
        element: The type of the stored elements.
        columns: What all elements hold, nested as the element's type; see ``units`` for what one entry is.
            They may be memory-mapped, hold more than these clients, and be shared with other cohorts.
        first: int64[clients], the index of each client's first element.
        count: int64[clients], how many elements it has.
        rows: int64[elements+1], where each element's rows begin, where elements have rows of their own; else
            None, and element ``i`` is entry ``i`` of every column.
        transforms: What is to be done with each client's sequence when it is read, in order.
    """

    element: Type
    columns: Columns
    first: Array
    count: Array
    rows: Array | None = None
    transforms: tuple[Transform, ...] = ()

    @property
    def transformed(self) -> Type:
        """The type of the elements that a reader gets."""
        return after(self.element, self.transforms)

    @property
    def units(self) -> Columns:
        """What one entry of each column is, nested as the columns are."""
        if self.rows is None:
            return map_columns(_one_entry, self.columns)
        return units(self.element)

    def of(self, clients: Array) -> Ragged:
        """The sequences of some of the clients, by their indices; columns are shared."""
        first, count = self.first[clients], self.count[clients]
        return Ragged(self.element, self.columns, first, count, self.rows, self.transforms)

    def own(self, index: int) -> tuple[Columns, Array | None]:
        """What one client has stored, transforms not applied.

        Args:
            index: Which client.

        Returns:
            Columns of its elements only, and where each element's rows begin in them, or None.
        """
        start, count = int(self.first[index]), int(self.count[index])
        elements = slice(start, start + count)
        if self.rows is None:
            return map_columns(lambda c: c[elements], self.columns), None
        offsets = np.asarray(self.rows[start : start + count + 1])
        entries = {Unit.ELEMENT: elements, Unit.ROW: slice(int(offsets[0]), int(offsets[-1]))}
        columns = map_entries(lambda c, unit: c[entries[unit]], self.columns, self.units)
        return columns, offsets - offsets[0]


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """One client's sequence: iterate over it to read plain elements one by one.

    Args:
        ragged: The columns it lies in.
        index: Which of their sequences it is.
        client: The client's id, for the order of shuffled data and for errors.
    """

    ragged: Ragged
    index: int
    client: ClientId

    def __iter__(self) -> Iterator[PlainValue]:
        return self.repetition(0)

    def repetition(self, number: int) -> Iterator[PlainValue]:
        """The elements as they come in one of several repetitions; shuffled ones in an order of its own."""
        return self._read(len(self.ragged.transforms), number)

    def _read(self, upto: int, repetition: int) -> Iterator[PlainValue]:
        """The elements after the first ``upto`` transforms."""
        if upto == 0:
            return self._stored()
        transform = self.ragged.transforms[upto - 1]
        match transform:
            case Map(function):
                return (self._call(function, element) for element in self._read(upto - 1, repetition))
            case Filter(predicate):
                return (e for e in self._read(upto - 1, repetition) if self._call(predicate, e))
            case Take(count):
                return itertools.islice(self._read(upto - 1, repetition), count)
            case Repeat(count):
                again = range(repetition * count, (repetition + 1) * count)
                return itertools.chain.from_iterable(self._read(upto - 1, r) for r in again)
            case Batch(size):
                return _batches(self._read(upto - 1, repetition), size)
            case Shuffle(seed):
                elements = list(self._read(upto - 1, repetition))
                key = client_key(derive_key(seed), self.client, "shuffle")
                return (elements[i] for i in permutation(key, len(elements), repetition))

    def _stored(self) -> Iterator[PlainValue]:
        ragged = self.ragged
        start = int(ragged.first[self.index])
        numbers = range(start, start + int(ragged.count[self.index]))
        # With the column's dtype: NumPy would cut the zeros off the end of a bare string.
        if ragged.rows is None:
            for i in numbers:
                yield map_columns(lambda c, i=i: np.asarray(c[i], dtype=c.dtype), ragged.columns)
            return
        kinds = ragged.units
        for i in numbers:
            rows = slice(int(ragged.rows[i]), int(ragged.rows[i + 1]))
            yield map_entries(
                lambda c, unit, i=i, rows=rows: np.asarray(c[rows if unit is Unit.ROW else i], dtype=c.dtype),
                ragged.columns,
                kinds,
            )

    def _call(self, function: Foreign, element: PlainValue) -> PlainValue:
        try:
            return kind(function.kind).run(function.payload, element)
        except FoedusError:
            raise
        except Exception as error:
            raise ClientError(
                f"A transform of the data of client {self.client!r} failed",
                found=f"{type(error).__name__}: {error}",
                at=failing_line(error),
            ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One client's sequence as compiled code sees it: where it lies in flat columns that clients share.

    Args:
        ragged: What is the same for all clients: types, transforms, and the arrays in the hands of the
            compiler.
        first: The index of the first element.
        count: How many elements there are.
        keys: uint32[2] for each ``Shuffle`` among the transforms, in order.
        hints: What is known of all clients' lengths; asked only by code that needs it.
    """

    ragged: Ragged
    first: Any
    count: Any
    keys: tuple[Any, ...]
    hints: Hints


class Hints(Protocol):
    """What code that cannot pad asks while it is compiled; the answers then hold for the compiled program."""

    def counts(self) -> tuple[int, ...]:
        """All lengths that a client's stored sequence has."""
        ...

    def derived(self, of: Callable[[int], Iterable[int]]) -> tuple[int, ...]:
        """What a function makes of all lengths that a client's stored sequence has, in order, each once."""
        ...

    def row_sizes(self) -> tuple[int, ...]:
        """All numbers of rows that a stored element has, where elements have rows of their own."""
        ...

    def most_rows(self) -> int:
        """A bound on the numbers of rows of a stored element."""
        ...

    def slack(self) -> int:
        """How many rows the columns have, at the least, behind the last one that belongs to a client."""
        ...


def _one_entry(_: Array) -> Unit:
    return Unit.ELEMENT


def _batches(elements: Iterator[PlainValue], size: int) -> Iterator[PlainValue]:
    while batch := list(itertools.islice(elements, size)):
        yield stack(batch)
