# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Cohorts on a device: flat columns read by offset, placed once where they are shared between rounds."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock
from typing import Any, final

import jax
import numpy as np

from foedus.data import (
    ClientId,
    Cohort,
    Elements,
    Filter,
    Map,
    Ragged,
    Shuffle,
    Span,
    Unit,
    aligned,
    client_keys,
    cohort_of,
    derive_key,
    flat_columns,
    map_columns,
    map_entries,
)
from foedus.foreign import NoJax, kind
from foedus.ir import Foreign
from foedus.runtime._rows import row
from foedus.runtime._spare import Spare
from foedus.types import STRING, Sequence, Struct, Tensor, Type, walk

SLACK = 512
"""Rows behind the last real one, so that a batch may be read past a client's end."""
_PADDED_BYTES = 2**28
"""Columns in memory up to this size are copied once, to have spare rows; larger and memory-mapped ones are
placed as they are, which on a CPU copies nothing where they are aligned."""
_WHOLE_BYTES = 2**33
"""Of columns larger than this only the rows that a cohort reads are placed, if these are few."""
_FEW = 0.25
_FREE_BYTES = 2**30
"""How much memory is kept to copy rows into."""


def bucket(size: int) -> int:
    """The least of 2^k and 3*2^(k-1) that is at least ``size``: few shapes, at most half of each unused."""
    power = 1 << max(0, (size - 1).bit_length())
    return power * 3 // 4 if power * 3 // 4 >= size and power >= 4 else power


def _bound(rows: int) -> int:
    """A bound on the rows of a batch, an eighth more at most: what is behind the last row costs as much as
    the others.
    """
    step = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // step) * step


def padded(array: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """An array with rows of zeros behind it, ``length`` rows in all."""
    spare = length - len(array)
    return np.concatenate([array, np.zeros((spare, *array.shape[1:]), array.dtype)]) if spare else array


def _stays(column: Any) -> bool:
    """Whether a column is placed as it is: if it is large, or mapped from a file."""
    if column.nbytes > _PADDED_BYTES:
        return True
    while column is not None and not isinstance(column, np.memmap):
        column = getattr(column, "base", None)
    return column is not None


@final
class Rooms:
    """Arrays that rows are copied into, used again and again: fresh memory costs more than the copying."""

    def __init__(self) -> None:
        self._free: list[np.ndarray[Any, Any]] = []
        self._lock = Lock()

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """An array with anything in it, where XLA reads it without copying it first."""
        with self._lock:
            for number, room in enumerate(self._free):
                if room.shape == shape and room.dtype == dtype:
                    return self._free.pop(number)
        return aligned(shape, np.dtype(dtype))

    def give_back(self, rooms: Iterable[np.ndarray[Any, Any]]) -> None:
        """Takes arrays back that nobody reads any more; of all that are free, some are kept."""
        with self._lock:
            self._free += rooms
            while sum(room.nbytes for room in self._free) > _FREE_BYTES:
                self._free.pop(0)


@final
class Shelf:
    """Device copies of host columns, each kept as long as its host array lives; rooms for other rows; and
    spare arrays for partial results."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.spare = Spare()
        self._placed: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def place(self, column: np.ndarray[Any, Any]) -> Any:
        """The device copy of a column: as it is if it stays where it lies, else with ``SLACK`` rows more and
        padded to a bucket.
        """
        # Of a column that stays where it lies, what is placed refers to the memory, not to the array.
        return self._kept(
            column,
            lambda: jax.device_put(
                column[:] if _stays(column) else padded(np.asarray(column), bucket(len(column) + SLACK))
            ),
        )

    def offsets(self, rows: np.ndarray[Any, Any]) -> Any:
        """The device copy of the offsets of rows, padded to a bucket."""
        return self._kept(rows, lambda: jax.device_put(_pad_rows(rows, len(rows))))

    def _kept(self, array: np.ndarray[Any, Any], place: Callable[[], Any]) -> Any:
        key = id(array)
        found = self._placed.get(key)
        if found is not None and found[0]() is array:
            return found[1]
        placed = place()
        self._placed[key] = (weakref.ref(array, lambda _: self._placed.pop(key, None)), placed)
        return placed


@final
class Borrowed:
    """Rooms that hold the rows of one piece, until it has been folded."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._taken: list[np.ndarray[Any, Any]] = []

    def room(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """One more room."""
        self._taken.append(self._rooms.take(shape, dtype))
        return self._taken[-1]

    def give_back(self) -> None:
        """Gives all of them back."""
        self._rooms.give_back(self._taken)
        self._taken = []


@dataclass
class Lengths:
    """Implements ``foedus.data.Hints`` for one sequence and remembers what was asked."""

    known_counts: frozenset[int]
    known_rows: frozenset[int]
    row_bound: int
    spare: int
    asked: set[str] = field(default_factory=set)
    derivations: list[Callable[[int], Iterable[int]]] = field(default_factory=list)

    def counts(self) -> tuple[int, ...]:
        self.asked.add("counts")
        return tuple(sorted(self.known_counts))

    def derived(self, of: Callable[[int], Iterable[int]]) -> tuple[int, ...]:
        self.derivations.append(of)
        return _derived(of, self.known_counts)

    def row_sizes(self) -> tuple[int, ...]:
        self.asked.add("rows")
        return tuple(sorted(self.known_rows))

    def most_rows(self) -> int:
        return self.row_bound

    def slack(self) -> int:
        return self.spare

    def covers(self, other: Lengths) -> bool:
        """Whether a program compiled with these answers serves other lengths."""
        counts = "counts" not in self.asked or other.known_counts <= self.known_counts
        for of in self.derivations:
            counts &= set(_derived(of, other.known_counts)) <= set(_derived(of, self.known_counts))
        rows = "rows" not in self.asked or other.known_rows <= self.known_rows
        return counts and rows and (self.row_bound, self.spare) == (other.row_bound, other.spare)

    def joined(self, other: Lengths) -> Lengths:
        """Lengths for a program that serves both."""
        return Lengths(
            self.known_counts | other.known_counts,
            self.known_rows | other.known_rows,
            max(self.row_bound, other.row_bound),
            min(self.spare, other.spare),
        )


def _derived(of: Callable[[int], Iterable[int]], counts: frozenset[int]) -> tuple[int, ...]:
    return tuple(sorted({value for count in counts for value in of(count)}))


@dataclass(frozen=True)
class Placed:
    """A cohort's values, ready for compiled code.

    Args:
        arrays: What the compiled program takes, nested as ``view`` expects, with ``_ToRead`` for
            sequences that are not in memory.
        lengths: What is known of the lengths, one for each sequence in the type.
        template: The shape of the value: tuples, None for a tensor, and a ``Ragged`` without arrays for a
            sequence.
        fixed: What of the template the compiled program depends on.
        work: For each sequence in the type, how many rows each member has.
        bytes_to_read: How much must be read before a program can run over all members.
    """

    arrays: Any
    lengths: list[Lengths]
    template: Any
    fixed: tuple[Any, ...]
    work: list[np.ndarray[Any, Any]]
    bytes_to_read: int

    def load(self, pieces: list[np.ndarray[Any, Any]], number: int, into: Borrowed) -> Any:
        """The arrays of one piece.

        Args:
            pieces: For each piece, the members in it.
            number: Which piece.
            into: Where rows are copied to.

        Returns:
            Arrays that have the same shapes in every piece; what is in memory is there for all members.
        """
        return _loaded(self.arrays, pieces, number, into)


def _to_read(arrays: Any) -> list[_ToRead]:
    if isinstance(arrays, tuple):
        return [own for item in arrays for own in _to_read(item)]
    return [arrays] if isinstance(arrays, _ToRead) else []


def _loaded(arrays: Any, pieces: list[np.ndarray[Any, Any]], number: int, into: Borrowed) -> Any:
    if isinstance(arrays, tuple):
        return tuple(_loaded(item, pieces, number, into) for item in arrays)
    return arrays.load(pieces, number, into) if isinstance(arrays, _ToRead) else arrays


@final
@dataclass(frozen=True)
class _ToRead:
    """Sequences whose rows are read when they are needed.

    Args:
        ragged: The sequences.
        keys: The members' keys for each shuffle.
    """

    ragged: Ragged
    keys: tuple[Any, ...]

    @property
    def bytes_to_read(self) -> int:
        return _bytes_of(self.ragged)

    def load(self, pieces: list[np.ndarray[Any, Any]], number: int, into: Borrowed) -> Any:
        """See ``Placed.load``."""
        ragged, own = self.ragged, pieces[number]
        kinds, entries = ragged.units, _entries(ragged)
        lengths = {
            unit: bucket(max(int(sizes[piece].sum()) for piece in pieces) + SLACK)
            for unit, (_, sizes) in entries.items()
        }
        copies = map_entries(
            lambda c, unit: into.room((lengths[unit], *c.shape[1:]), c.dtype), ragged.columns, kinds
        )
        chosen = {unit: (start[own], sizes[own]) for unit, (start, sizes) in entries.items()}
        _copy(flat_columns(ragged.columns), flat_columns(copies), flat_columns(kinds), chosen)
        columns = map_columns(jax.device_put, copies)
        first = np.zeros(len(ragged.first), np.int64)
        first[own] = np.cumsum(np.concatenate([[0], ragged.count[own]]))[:-1]
        return _arguments(ragged, columns, first, self._offsets(pieces, own), self.keys)

    def _offsets(self, pieces: list[np.ndarray[Any, Any]], own: np.ndarray[Any, Any]) -> Any:
        """Where the rows of each element begin in what is read."""
        ragged = self.ragged
        if ragged.rows is None:
            return None
        sizes = np.diff(ragged.rows)
        each = [sizes[ragged.first[i] : ragged.first[i] + ragged.count[i]] for i in own]
        offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *each]))
        return _pad_rows(offsets, max(int(ragged.count[piece].sum()) for piece in pieces) + 1)


_Entries = dict[Unit, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


def _entries(ragged: Ragged) -> _Entries:
    """Where each member's entries begin in a column of each unit, and how many they are."""
    entries = {Unit.ELEMENT: (ragged.first, ragged.count)}
    if ragged.rows is not None:
        start = ragged.rows[ragged.first]
        entries[Unit.ROW] = (start, ragged.rows[ragged.first + ragged.count] - start)
    return entries


def _rows_of(ragged: Ragged) -> np.ndarray[Any, Any]:
    """How many rows each member has; elements, where they have no rows of their own."""
    entries = _entries(ragged)
    return entries.get(Unit.ROW, entries[Unit.ELEMENT])[1]


def _bytes_of(ragged: Ragged) -> int:
    """How much the members' entries take."""
    total = {unit: int(sizes.sum()) for unit, (_, sizes) in _entries(ragged).items()}
    columns = zip(flat_columns(ragged.columns), flat_columns(ragged.units), strict=True)
    return sum(total[unit] * c.dtype.itemsize * math.prod(c.shape[1:]) for c, unit in columns)


def _copy(columns: list[Any], copies: list[Any], kinds: list[Unit], entries: _Entries) -> None:
    """Copies entries, one member after another, and fills up with zeros."""
    ends = {unit: np.cumsum(sizes) for unit, (_, sizes) in entries.items()}
    runs = {
        unit: list(zip(start.tolist(), (ends[unit] - sizes).tolist(), sizes.tolist(), strict=True))
        for unit, (start, sizes) in entries.items()
    }
    for member in range(len(runs[Unit.ELEMENT])):
        for column, copy, unit in zip(columns, copies, kinds, strict=True):
            begin, at, size = runs[unit][member]
            copy[at : at + size] = column[begin : begin + size]
    for copy, unit in zip(copies, kinds, strict=True):
        copy[ends[unit][-1] if len(ends[unit]) else 0 :] = 0


def _arguments(ragged: Ragged, columns: Any, first: Any, rows: Any, keys: Any) -> tuple[Any, ...]:
    """What ``view`` takes of a sequence; for more members than there are, so that the shapes are few."""
    length = bucket(len(first))
    many = [padded(np.asarray(x, np.int32), length) for x in (first, ragged.count)]
    return (columns, rows, *many, tuple(padded(key, length) for key in keys))


def place_cohort(cohort: Cohort, order: list[int], shelf: Shelf) -> Placed:
    """Brings a cohort onto the device, its members in the given order.

    Args:
        cohort: The values; ``reason_against_columns`` has none against them.
        order: Indices of its members.
        shelf: Where shared columns are kept.

    Returns:
        The placed values.
    """
    sorted_cohort = cohort if order == list(range(len(cohort))) else cohort.take(order)
    found: list[tuple[Lengths, np.ndarray[Any, Any]]] = []
    arrays, template = _place(sorted_cohort.value, sorted_cohort.ids, shelf, found)
    lengths, work = [one for one, _ in found], [rows for _, rows in found]
    bytes_to_read = sum(own.bytes_to_read for own in _to_read(arrays))
    return Placed(arrays, lengths, template, tuple(_fixed(template)), work, bytes_to_read)


def _fixed(template: Any) -> Iterator[Any]:
    if isinstance(template, tuple):
        for part in template:
            yield from _fixed(part)
    elif isinstance(template, Ragged):
        yield template.element, template.transforms


def reason_against_columns(cohort: Cohort) -> str | None:
    """Why the values of a cohort cannot be in compiled code, or None if they can."""
    for ragged in _raggeds(cohort.value):
        if _is_shuffled_before_filtered(ragged):
            return "there are sequences that are filtered after they are shuffled"
        for transform in ragged.transforms[_after_filters(ragged) :]:
            mapped = _lowered(transform.function) if isinstance(transform, Map) else None
            if isinstance(mapped, NoJax):
                return mapped.reason
    return _reason_against_type(cohort.type)


def _lowered(function: Foreign) -> Any:
    return kind(function.kind).as_jax(function.payload)


@lru_cache(maxsize=256)
def _reason_against_type(type_: Type) -> str | None:
    if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(type_)):
        return "there are strings"
    if any(t.shape is None or None in t.shape for t in _outside_sequences(type_)):
        return "there are values of unknown shape outside sequences"
    return None


def _raggeds(value: Any) -> list[Ragged]:
    if isinstance(value, tuple):
        return [ragged for item in value for ragged in _raggeds(item)]
    return [value] if isinstance(value, Ragged) else []


def _is_shuffled_before_filtered(ragged: Ragged) -> bool:
    """Whether each repetition in local code has kept elements of its own order, which no offset can tell."""
    kinds = [type(t) for t in ragged.transforms[: _after_filters(ragged)]]
    return Shuffle in kinds


def _after_filters(ragged: Ragged) -> int:
    """How many transforms there are up to the last filter, with it."""
    return max((i + 1 for i, t in enumerate(ragged.transforms) if isinstance(t, Filter)), default=0)


def _outside_sequences(type_: Type) -> list[Tensor]:
    match type_:
        case Tensor():
            return [type_]
        case Struct(fields):
            return [t for _, part in fields for t in _outside_sequences(part)]
        case _:
            return []


def _place(value: Any, ids: tuple[ClientId, ...], shelf: Shelf, found: list[Any]) -> tuple[Any, Any]:
    if isinstance(value, tuple):
        pairs = [_place(item, ids, shelf, found) for item in value]
        return tuple(arrays for arrays, _ in pairs), tuple(template for _, template in pairs)
    if not isinstance(value, Ragged):
        return padded(np.asarray(value), bucket(len(ids))), None
    ragged = _without_filters(value, ids)
    keys = tuple(
        client_keys(derive_key(t.seed), ids, "shuffle") for t in ragged.transforms if isinstance(t, Shuffle)
    )
    resident = _is_resident(ragged)
    found.append((_lengths(ragged, resident=resident), _rows_of(ragged)))
    if resident:
        columns = map_columns(shelf.place, ragged.columns)
        rows = None if ragged.rows is None else _pad_rows(ragged.rows, len(ragged.rows))
        arrays: Any = _arguments(ragged, columns, ragged.first, rows, keys)
    else:
        arrays = _ToRead(ragged, keys)
    # The seeds are in the keys, so that another seed needs no other program.
    transforms = tuple(Shuffle(0) if isinstance(t, Shuffle) else t for t in ragged.transforms)
    nothing = np.zeros(0, np.int64)
    return arrays, Ragged(ragged.element, (), nothing, nothing, None, transforms)


def _without_filters(ragged: Ragged, ids: tuple[ClientId, ...]) -> Ragged:
    """The sequences with transforms applied up to the last filter, whose outcome no offset can tell."""
    count = _after_filters(ragged)
    if not count:
        return ragged
    filtered = replace(ragged, transforms=ragged.transforms[:count])
    read = [Elements(filtered, i, client) for i, client in enumerate(ids)]
    applied = cohort_of(dict(zip(ids, read, strict=True)), Sequence(filtered.transformed)).value
    assert isinstance(applied, Ragged)
    return replace(applied, transforms=ragged.transforms[count:])


def _is_resident(ragged: Ragged) -> bool:
    """Whether the columns are placed as a whole, for all cohorts: not if they are no arrays, or if most
    of very large ones is not read.
    """
    flat = flat_columns(ragged.columns)
    if not all(isinstance(column, np.ndarray | jax.Array) for column in flat):
        return False
    stored = sum(column.nbytes for column in flat)
    return not (stored > _WHOLE_BYTES and _bytes_of(ragged) < stored * _FEW)


def _pad_rows(rows: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """Offsets of rows, as many as the bucket of ``length``; behind the last there is nothing."""
    many = np.full(bucket(length), rows[-1], dtype=np.int32)
    many[: len(rows)] = rows
    return many


def _lengths(ragged: Ragged, *, resident: bool) -> Lengths:
    spare = 0 if resident and any(map(_stays, flat_columns(ragged.columns))) else SLACK
    counts = frozenset(ragged.count.tolist())
    if ragged.rows is None:
        return Lengths(counts, frozenset(), 0, spare)
    # The places of all elements of all members, one after another.
    begin = np.repeat(ragged.first - np.cumsum(ragged.count) + ragged.count, ragged.count)
    places = begin + np.arange(len(begin))
    known = frozenset(np.unique(ragged.rows[places + 1] - ragged.rows[places]).tolist())
    return Lengths(counts, known, _bound(max(known, default=1)), spare)


def view(arrays: Any, template: Any, lengths: list[Lengths], index: Any) -> Any:
    """One client's value inside compiled code.

    Args:
        arrays: The arrays of a ``Placed``, in the hands of the compiler.
        template: Its template.
        lengths: What the spans answer, in order; consumed from the front.
        index: int32, the client's place in the order.

    Returns:
        The plain value, with ``Span`` for sequences.
    """
    if isinstance(template, tuple):
        return tuple(view(a, t, lengths, index) for a, t in zip(arrays, template, strict=True))
    if not isinstance(template, Ragged):
        return row(arrays, index)
    columns, rows, first, count, keys = arrays
    ragged = Ragged(template.element, columns, first, count, rows, template.transforms)
    own_keys = tuple(row(key, index) for key in keys)
    return Span(ragged, row(first, index), row(count, index), own_keys, lengths.pop(0))
