# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences at rest: flat columns, offsets on two levels, and one client's view of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from foedus.data._keys import ClientId, client_key, derive_key, permutation
from foedus.data._transforms import Batch, Filter, Map, Repeat, Shuffle, Take, Transform, after
from foedus.errors import ClientError, DataError, FoedusError, failing_line, place
from foedus.foreign import kind
from foedus.ir import Foreign
from foedus.types import Array, PlainValue, Shape, Struct, Tensor, Type

Columns: TypeAlias = Any
"""An array ``[rows, ...]`` for a tensor, a tuple of columns for a struct."""

Column = TypeVar("Column")


def map_columns(function: Callable[[Array], Column], columns: Columns) -> Columns:
    """Applies a function to every array of nested columns."""
    if isinstance(columns, tuple):
        return tuple(map_columns(function, column) for column in cast("tuple[Columns, ...]", columns))
    return function(columns)


def flat_columns(columns: Columns) -> list[Array]:
    """The arrays of nested columns, in order."""
    if isinstance(columns, tuple):
        return [array for column in cast("tuple[Columns, ...]", columns) for array in flat_columns(column)]
    return [columns]


def has_rows(element: Type) -> bool:
    """Whether an element of this type has rows of its own, that is an unknown first dimension.

    Raises:
        DataError: If only some leaves have one, or another dimension is unknown.
    """
    shapes = _shapes(element)
    unknown = [shape is None or None in shape for shape in shapes]
    if not any(unknown):
        return False
    if any(shape is None or not shape or shape[0] is not None or None in shape[1:] for shape in shapes):
        raise DataError(
            "In a sequence, either no dimension is unknown or the first one of every leaf",
            found=element,
            at=place(),
        )
    return True


def _shapes(element: Type) -> list[Shape | None]:
    match element:
        case Tensor(_, shape):
            return [shape]
        case Struct(fields):
            return [shape for _, t in fields for shape in _shapes(t)]
        case _:
            raise AssertionError(f"{element} is in a sequence; please report")


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """One sequence for each of several clients, in flat columns.

    Args:
        element: The type of the stored elements.
        columns: The rows of all elements, nested as the element's type; they may be memory-mapped, hold more
            than these clients, and be shared with other cohorts.
        first: int64[clients], the index of each client's first element.
        count: int64[clients], how many elements it has.
        rows: int64[elements+1], where each element's rows begin, where elements have rows of their own; else
            None, and element ``i`` is row ``i``.
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

    def of(self, clients: Array) -> Ragged:
        """The sequences of some of the clients, by their indices; columns are shared."""
        first, count = self.first[clients], self.count[clients]
        return Ragged(self.element, self.columns, first, count, self.rows, self.transforms)


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
        for i in range(start, start + int(ragged.count[self.index])):
            rows = i if ragged.rows is None else slice(int(ragged.rows[i]), int(ragged.rows[i + 1]))
            # With the column's dtype: NumPy would cut the zeros off the end of a bare string.
            yield map_columns(lambda c, rows=rows: np.asarray(c[rows], dtype=c.dtype), ragged.columns)

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


def _batches(elements: Iterator[PlainValue], size: int) -> Iterator[PlainValue]:
    while batch := list(itertools.islice(elements, size)):
        yield stack(batch)


def stack(elements: list[PlainValue]) -> PlainValue:
    """Stacks plain elements of one type along a new first dimension; there is at least one."""
    if isinstance(elements[0], tuple):
        return tuple(stack(list(column)) for column in zip(*elements, strict=True))
    return np.stack([np.asarray(element) for element in elements])
