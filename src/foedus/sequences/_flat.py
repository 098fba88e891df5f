# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences in flat columns, read by offset inside compiled loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, assert_never, final

import jax
import jax.numpy as jnp
from jax import lax

from foedus.data import Batch, Filter, Map, Repeat, Shuffle, Span, Take, Unit, flat_columns, map_entries
from foedus.errors import TracingError, place
from foedus.foreign import NoJax, kind
from foedus.ir import Foreign
from foedus.sequences._permutation import permuted
from foedus.sequences._sequence import (
    PaddedStep,
    Sequence,
    Step,
    require_batches,
    require_no_batches,
)


@dataclass(frozen=True, slots=True)
class _ShuffleOp:
    key: Any


@dataclass(frozen=True, slots=True)
class _MapOp:
    """A function of elements, plain ones where the map was declared with the data."""

    fn: Callable[[Any], Any]
    plain: bool


_Op = _ShuffleOp | _MapOp | Repeat | Take | Batch


@final
@dataclass(frozen=True)
class FlatSequence(Sequence):
    """A sequence in flat columns, read by offset inside a compiled loop.

    Args:
        span: Where its stored elements lie.
        convert: From a plain element to what reads it.
        ops: The transforms, in order.
    """

    span: Span
    convert: Callable[[Any], Any]
    ops: tuple[_Op, ...] = ()

    @classmethod
    def of(cls, span: Span, convert: Callable[[Any], Any]) -> FlatSequence:
        """One client's stored sequence with its declared transforms.

        Args:
            span: Where it lies.
            convert: From a plain element to what reads it.

        Returns:
            The sequence.
        """
        keys = iter(span.keys)
        sequence = cls(span, convert)
        for transform in span.ragged.transforms:
            match transform:
                case Shuffle():
                    sequence = sequence._with(_ShuffleOp(next(keys)))
                case Map(function):
                    sequence = sequence._with(_MapOp(_mapped(function), plain=True))
                case Filter():
                    raise AssertionError("a filter must be applied before; please report")
                case Repeat() | Take() | Batch():
                    sequence = sequence._with(transform)
                case _:
                    assert_never(transform)
        return sequence

    def _with(self, op: _Op) -> FlatSequence:
        return replace(self, ops=(*self.ops, op))

    @property
    def _stored_batches(self) -> bool:
        return self.span.ragged.rows is not None

    @property
    def _batched(self) -> bool:
        return self._stored_batches or any(isinstance(op, Batch) for op in self.ops)

    @property
    def count(self) -> Any:
        return self._counts()[-1]

    def _counts(self) -> list[Any]:
        """The number of elements before each op, and after the last."""
        counts = [jnp.asarray(self.span.count, jnp.int32)]
        for op in self.ops:
            counts.append(_count_after(op, counts[-1], jnp.minimum))
        return counts

    def batch(self, size: int) -> Sequence:
        require_no_batches(self._batched)
        return self._with(Batch(size))

    def repeat(self, count: int) -> Sequence:
        return self._with(Repeat(count))

    def take(self, count: int) -> Sequence:
        return self._with(Take(count))

    def shuffle(self, key: Any) -> Sequence:
        return self._with(_ShuffleOp(key))

    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        return self._with(_MapOp(fn, plain=False))

    def fold(self, step: Step, init: Any) -> Any:
        return self._loop(lambda carry, batch, _: step(carry, batch), init, exact=True)

    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        require_batches(self._batched)
        last = [isinstance(op, Batch) for op in self.ops]
        start = last.index(True) if True in last else -1
        opaque = any(isinstance(op, _MapOp) for op in self.ops[start + 1 :])
        return self._loop(step, init, exact=opaque)

    def _loop(self, step: PaddedStep, init: Any, *, exact: bool) -> Any:
        counts = self._counts()

        def body(e: Any, carry: Any) -> Any:
            rows, size = self._locate(e, counts)
            if size is None:
                return step(carry, self._read(rows), None)
            if exact:
                return self._at_exact_size(step, carry, rows, size)
            mask = jnp.arange(rows.length, dtype=jnp.int32) < size
            return step(carry, self._read(replace(rows, mask=mask)), mask)

        return lax.fori_loop(0, counts[-1], body, init)

    def _at_exact_size(self, step: PaddedStep, carry: Any, rows: _Rows, size: Any) -> Any:
        sizes = self._sizes()
        if not sizes:
            return carry

        def at(length: int) -> Callable[[Any], Any]:
            exact = replace(rows, length=length)
            return lambda carry: step(carry, self._read(exact), jnp.ones(length, dtype=bool))

        if len(sizes) == 1:
            return at(sizes[0])(carry)
        which = jnp.searchsorted(jnp.asarray(sizes, jnp.int32), size)
        return lax.switch(which, [at(length) for length in sizes], carry)

    def _sizes(self) -> list[int]:
        """All numbers of rows that a batch can have."""
        if self._stored_batches:
            return sorted(set(self.span.hints.row_sizes()))
        before = list(itertools.takewhile(lambda op: not isinstance(op, Batch), self.ops))
        batch = self.ops[len(before)]
        assert isinstance(batch, Batch)

        def sizes_of(count: int) -> set[int]:
            for op in before:
                count = int(_count_after(op, count, min))
            full = {batch.size} if count >= batch.size else set[int]()
            return full | ({count % batch.size} - {0})

        return list(self.span.hints.derived(sizes_of))

    def _locate(self, e: Any, counts: list[Any]) -> tuple[_Rows, Any]:
        """Where the rows of element ``e`` lie, and how many are real (None: it is one row)."""
        repetition: Any = jnp.int32(0)
        position, size, length, contiguous = e, None, 0, True
        for op, before in zip(reversed(self.ops), reversed(counts[:-1]), strict=True):
            match op:
                case _ShuffleOp(key):
                    position, contiguous = permuted(key, before, position, repetition), size is None
                case Repeat(times):
                    repetition = repetition * times + position // jnp.maximum(before, 1)
                    position, contiguous = position % jnp.maximum(before, 1), contiguous and size is None
                case Batch(length):
                    size = jnp.minimum(length, before - position * length)
                    position = position * length + jnp.arange(length, dtype=jnp.int32)
                case Take() | _MapOp():
                    pass
                case _:
                    assert_never(op)
        stored = self.span.first + position
        offsets = self.span.ragged.rows
        if offsets is not None:
            slack, most = self.span.hints.slack(), self.span.hints.most_rows()
            start, end = _one(offsets, stored), _one(offsets, stored + 1)
            return _Rows(start, most, contiguous=True, slack=slack, element=stored), end - start
        if size is None:
            return _Rows(stored, None, contiguous=True), None
        if contiguous:
            return _Rows(stored[0], length, contiguous=True, slack=self.span.hints.slack()), size
        return _Rows(stored, length, contiguous=False), size

    def _read(self, rows: _Rows) -> Any:
        element = rows.read(self.span.ragged.columns, self.span.ragged.units)
        many = rows.length is not None and not self._stored_batches
        converted = False
        for op in self.ops:
            if isinstance(op, Batch):
                many = False
            elif isinstance(op, _MapOp):
                fn = op.fn if op.plain or converted else self._after_converting(op.fn)
                converted = converted or not op.plain
                element = jax.vmap(fn)(element) if many else fn(element)
        return element if converted else self.convert(element)

    def _after_converting(self, fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda plain: fn(self.convert(plain))


def _count_after(op: _Op, count: Any, least: Callable[[Any, Any], Any]) -> Any:
    match op:
        case Repeat(times):
            return count * times
        case Take(most):
            return least(count, most)
        case Batch(size):
            return (count + size - 1) // size
        case _ShuffleOp() | _MapOp():
            return count
        case _:
            assert_never(op)


def _mapped(function: Foreign) -> Callable[[Any], Any]:
    traceable = kind(function.kind).as_jax(function.payload)
    if isinstance(traceable, NoJax):
        raise TracingError("A map of this kind cannot be compiled", found=traceable.reason, at=place())
    return traceable


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows of the columns make an element.

    Args:
        start: The first row, or all rows where they are not contiguous.
        length: How many rows are read, padding included; None for one row that is the element itself.
        contiguous: Whether the rows follow each other.
        slack: How many rows the columns have behind the last real one.
        mask: bool[length], which rows are real; None where all are.
        element: Which stored element has these rows; None where a row is a stored element.
    """

    start: Any
    length: int | None
    contiguous: bool
    slack: int = 0
    mask: Any = None
    element: Any = None

    def read(self, columns: Any, units: Any) -> Any:
        """What the columns hold there; what is not real is as the first row."""
        found = map_entries(self._stored, columns, units)
        if self.mask is None:
            return found
        return map_entries(self._padded, self._from_start(found, columns, units), units)

    def _stored(self, column: Any, unit: Unit) -> Any:
        """What a column holds there; of rows that follow each other but would pass its end, its last ones."""
        if not self._has_rows(unit):
            return _one(column, self.start if self.element is None else self.element)
        assert self.length is not None
        if self.contiguous and column.shape[0] >= self.length:
            return _run(column, self.start, self.length)
        rows = self.start + jnp.arange(self.length) if self.contiguous else self.start[: self.length]
        return jnp.take(column, rows, axis=0, mode="clip")

    def _has_rows(self, unit: Unit) -> bool:
        return self.length is not None and (self.element is None or unit is not Unit.ELEMENT)

    def _from_start(self, found: Any, columns: Any, units: Any) -> Any:
        """Rows as they are from the first one on, where a column's last ones were read; past its end, any."""
        pairs = zip(flat_columns(columns), flat_columns(units), strict=True)
        end = next((column.shape[0] for column, unit in pairs if self._has_rows(unit)), 0)
        length = self.length or 0
        if not self.contiguous or self.slack >= length or end < length:
            return found

        def moved(rows: Any, unit: Unit) -> Any:
            if not self._has_rows(unit):
                return rows
            return _run(jnp.concatenate([rows, rows]), self.start - (end - length), length)

        passes = self.start > end - length
        return lax.cond(passes, lambda rows: map_entries(moved, rows, units), lambda rows: rows, found)

    def _padded(self, rows: Any, unit: Unit) -> Any:
        if not self._has_rows(unit):
            return rows
        return jnp.where(self.mask.reshape((-1,) + (1,) * (rows.ndim - 1)), rows, rows[:1])


# Rows are counted from the first one: to look for numbers that count from the last costs a step each time.
_one = partial(lax.dynamic_index_in_dim, keepdims=False, allow_negative_indices=False)
_run = partial(lax.dynamic_slice_in_dim, allow_negative_indices=False)
