# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Cohorts on a device: flat columns read by offset, placed once where they are shared between rounds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.data import (
    ClientId,
    Cohort,
    Columns,
    Elements,
    Filter,
    Ragged,
    Shuffle,
    Span,
    client_keys,
    cohort_of,
    concatenate,
    derive_key,
    empty_columns,
    flat_columns,
    map_columns,
)
from foedus.types import STRING, Sequence, Struct, Tensor, Type, walk

SLACK = 512
"""Rows behind the last real one, so that a batch may be read past a client's end."""
_PADDED_BYTES = 2**28
"""Columns up to this size are copied once, to have spare rows; larger ones, memory-mapped ones among them,
are placed as
they are, which on a CPU copies nothing where they are aligned."""
_WHOLE_BYTES = 2**33
"""Of columns larger than this only the rows that a cohort reads are placed, if these are few."""
_FEW = 0.25


def bucket(size: int) -> int:
    """The least of 2^k and 3*2^(k-1) that is at least ``size``: few shapes, at most half of each unused."""
    power = 1 << max(0, (size - 1).bit_length())
    return power * 3 // 4 if power * 3 // 4 >= size and power >= 4 else power


def _pad(array: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    spare = length - len(array)
    return np.concatenate([array, np.zeros((spare, *array.shape[1:]), array.dtype)]) if spare else array


@final
class Shelf:
    """Device copies of host columns, each kept as long as its host array lives."""

    def __init__(self) -> None:
        self._placed: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def place(self, column: np.ndarray[Any, Any]) -> Any:
        """The device copy of a column: as it is if it is large, else with ``SLACK`` rows more and padded to a
        bucket.
        """
        key = id(column)
        found = self._placed.get(key)
        if found is not None and found[0]() is column:
            return found[1]
        large = column.nbytes > _PADDED_BYTES
        placed = jax.device_put(column if large else _pad(np.asarray(column), bucket(len(column) + SLACK)))
        self._placed[key] = (weakref.ref(column, lambda _: self._placed.pop(key, None)), placed)
        return placed


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
        arrays: What the compiled program takes, nested as ``view`` expects.
        lengths: What is known of the lengths, one for each sequence in the type.
        template: The shape of the value: tuples, None for a tensor, and a ``Ragged`` without arrays for a
            sequence.
        fixed: What of the template the compiled program depends on.
    """

    arrays: Any
    lengths: list[Lengths]
    template: Any
    fixed: tuple[Any, ...]


def place_cohort(cohort: Cohort, order: list[int], shelf: Shelf) -> Placed:
    """Brings a cohort onto the device, its members in the given order.

    Args:
        cohort: The values; ``reason_against_columns`` has none against them.
        order: Indices of its members.
        shelf: Where shared columns are kept.

    Returns:
        The placed values.
    """
    sorted_cohort = cohort.take(order)
    lengths: list[Lengths] = []
    arrays, template = _place(sorted_cohort.value, sorted_cohort.ids, shelf, lengths)
    return Placed(arrays, lengths, template, tuple(_fixed(template)))


def _fixed(template: Any) -> Iterator[Any]:
    if isinstance(template, tuple):
        for part in template:
            yield from _fixed(part)
    elif isinstance(template, Ragged):
        yield template.element, template.transforms


def reason_against_columns(cohort: Cohort) -> str | None:
    """Why the values of a cohort cannot be in compiled code, or None if they can."""
    if any(_is_shuffled_before_filtered(ragged) for ragged in _raggeds(cohort.value)):
        return "there are sequences that are filtered after they are shuffled"
    return _reason_against_type(cohort.type)


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


def _place(value: Any, ids: tuple[ClientId, ...], shelf: Shelf, lengths: list[Lengths]) -> tuple[Any, Any]:
    if isinstance(value, tuple):
        pairs = [_place(item, ids, shelf, lengths) for item in value]
        return tuple(arrays for arrays, _ in pairs), tuple(template for _, template in pairs)
    if not isinstance(value, Ragged):
        return np.asarray(value), None
    ragged = _without_filters(value, ids)
    columns, first, rows = _resident(ragged, shelf)
    lengths.append(_lengths(ragged))
    keys = tuple(
        client_keys(derive_key(t.seed), ids, "shuffle") for t in ragged.transforms if isinstance(t, Shuffle)
    )
    arrays = (columns, rows, first.astype(np.int32), ragged.count.astype(np.int32), keys)
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


def _resident(ragged: Ragged, shelf: Shelf) -> tuple[Columns, np.ndarray[Any, Any], Any]:
    """Columns on the device, each client's first element in them, and the offsets of rows."""
    flat = flat_columns(ragged.columns)
    total = sum(column.nbytes for column in flat)
    stored = max((len(column) for column in flat), default=0)
    read = int(ragged.count.sum()) if ragged.rows is None else stored
    if total > _WHOLE_BYTES and read < stored * _FEW:
        return _gathered(ragged)
    columns = map_columns(shelf.place, ragged.columns)
    rows = None if ragged.rows is None else _pad_rows(ragged.rows)
    return columns, ragged.first, rows


def _pad_rows(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    padded = np.full(bucket(len(rows)), rows[-1], dtype=np.int32)
    padded[: len(rows)] = rows
    return padded


def _gathered(ragged: Ragged) -> tuple[Columns, np.ndarray[Any, Any], Any]:
    """Copies of only the rows that the cohort reads."""
    pieces = [
        map_columns(lambda column, a=int(a), n=int(n): np.asarray(column[a : a + n]), ragged.columns)
        for a, n in zip(ragged.first, ragged.count, strict=True)
    ]
    columns = concatenate(pieces) if pieces else empty_columns(ragged.element)
    first = np.cumsum([0, *ragged.count])[:-1]
    return map_columns(lambda c: jax.device_put(_pad(c, bucket(len(c) + SLACK))), columns), first, None


def _lengths(ragged: Ragged) -> Lengths:
    large = any(column.nbytes > _PADDED_BYTES for column in flat_columns(ragged.columns))
    spare = 0 if large else SLACK
    counts = frozenset(int(n) for n in np.unique(ragged.count))
    if ragged.rows is None:
        return Lengths(counts, frozenset(), 0, spare)
    sizes = np.diff(ragged.rows)
    of_cohort = [sizes[a : a + n] for a, n in zip(ragged.first, ragged.count, strict=True)]
    known = frozenset(int(n) for n in np.unique(np.concatenate([np.zeros(0, np.int64), *of_cohort])))
    return Lengths(counts, known, bucket(max(known, default=1)), spare)


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
        return jnp.asarray(arrays)[index]
    columns, rows, first, count, keys = arrays
    ragged = Ragged(template.element, columns, first, count, rows, template.transforms)
    own_keys = tuple(key[index] for key in keys)
    return Span(ragged, first[index], count[index], own_keys, lengths.pop(0))
