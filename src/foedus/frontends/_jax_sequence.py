# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences inside JAX code: fold over them, in a compiled loop or eagerly."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, assert_never, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.data import (
    MULTIPLIERS,
    ROUNDS,
    Batch,
    Elements,
    Filter,
    Map,
    Repeat,
    Shuffle,
    Span,
    Take,
    has_rows,
    permutation,
    stack,
)
from foedus.errors import TracingError, place
from foedus.foreign import NoJax, kind
from foedus.types import Struct, Type, pack

Step = Callable[[Any, Any], Any]
PaddedStep = Callable[[Any, Any, Any], Any]


class Sequence(abc.ABC):
    """What a JAX function gets for an argument of type ``T*``: something to fold over, never to hold whole.

    The methods that return a sequence declare a transform; nothing is computed before a fold.
    """

    @property
    @abc.abstractmethod
    def count(self) -> Any:
        """int32, how many elements there are."""

    @abc.abstractmethod
    def fold(self, step: Step, init: Any) -> Any:
        """Folds over the elements in order, each in exactly its own shape.

        Args:
            step: ``(carry, element) -> carry``, with the same structure, shapes and dtypes as ``init``.
            init: The first carry.

        Returns:
            The last carry.
        """

    @abc.abstractmethod
    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        """Folds over batches that may be padded to one length, which is much faster than exact shapes.

        Args:
            step: ``(carry, batch, mask) -> carry``. ``mask`` is bool[rows]; the result must not depend on
                rows where it is False (they repeat a real row, so they are finite wherever the data are).
            init: The first carry.

        Returns:
            The last carry.
        """

    @abc.abstractmethod
    def batch(self, size: int) -> Sequence:
        """Runs of ``size`` elements stacked along a new first dimension; the last may be shorter."""

    @abc.abstractmethod
    def repeat(self, count: int) -> Sequence:
        """The whole sequence ``count`` times."""

    @abc.abstractmethod
    def take(self, count: int) -> Sequence:
        """The first ``count`` elements."""

    @abc.abstractmethod
    def shuffle(self, key: Any) -> Sequence:
        """All elements in an order drawn from ``key`` (uint32[2]), a new one for every repetition."""

    @abc.abstractmethod
    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        """Every element through ``fn``."""


def wrap(plain: Any, type_: Type) -> Any:
    """Puts plain arrays into the containers that a user's function expects."""
    if isinstance(type_, Struct):
        return pack(type_, [wrap(item, t) for (_, t), item in zip(type_.fields, plain, strict=True)])
    return jnp.asarray(plain)


@final
class EagerSequence(Sequence):
    """Elements one after another in plain Python: the meaning of a sequence.

    Args:
        read: Gives the elements of one repetition as plain arrays.
        convert: Puts a plain element into the user's containers.
        batched: Whether the elements are batches.
    """

    def __init__(
        self, read: Callable[[int], Iterable[Any]], convert: Callable[[Any], Any], *, batched: bool
    ) -> None:
        self._read = read
        self._convert = convert
        self._batched = batched

    @classmethod
    def of(cls, elements: Elements) -> EagerSequence:
        """One client's stored sequence."""
        element = elements.ragged.transformed
        return cls(lambda _: elements, lambda plain: wrap(plain, element), batched=has_rows(element))

    @property
    def count(self) -> Any:
        return jnp.int32(sum(1 for _ in self._read(0)))

    def fold(self, step: Step, init: Any) -> Any:
        carry = init
        for element in self._read(0):
            carry = step(carry, self._convert(element))
        return carry

    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        _require_batches(self._batched)
        carry = init
        for element in self._read(0):
            rows = len(jax.tree.leaves(element)[0])
            carry = step(carry, self._convert(element), jnp.ones(rows, dtype=bool))
        return carry

    def _with(self, read: Callable[[int], Iterable[Any]], *, batched: bool | None = None) -> EagerSequence:
        return EagerSequence(read, self._convert, batched=self._batched if batched is None else batched)

    def batch(self, size: int) -> Sequence:
        _require_no_batches(self._batched)

        def read(repetition: int) -> Iterable[Any]:
            elements = iter(self._read(repetition))
            while run := list(itertools.islice(elements, size)):
                yield stack(run)

        return self._with(read, batched=True)

    def repeat(self, count: int) -> Sequence:
        def read(repetition: int) -> Iterable[Any]:
            again = range(repetition * count, (repetition + 1) * count)
            return itertools.chain.from_iterable(self._read(r) for r in again)

        return self._with(read)

    def take(self, count: int) -> Sequence:
        return self._with(lambda repetition: itertools.islice(iter(self._read(repetition)), count))

    def shuffle(self, key: Any) -> Sequence:
        def read(repetition: int) -> Iterable[Any]:
            elements = list(self._read(repetition))
            return (elements[i] for i in permutation(np.asarray(key), len(elements), repetition))

        return self._with(read)

    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        convert = self._convert
        return EagerSequence(self._read, lambda plain: fn(convert(plain)), batched=self._batched)


def _require_batches(batched: bool) -> None:
    if not batched:
        raise TracingError(
            "Only batches can be padded", at=place(), hint="call batch(size) first, or use fold"
        )


def _require_no_batches(batched: bool) -> None:
    if batched:
        raise TracingError("Batches of batches are not supported", at=place())


@dataclass(frozen=True, slots=True)
class _ShuffleOp:
    key: Any


@dataclass(frozen=True, slots=True)
class _MapOp:
    fn: Callable[[Any], Any]


_Op = _ShuffleOp | _MapOp | Repeat | Take | Batch


@final
@dataclass(frozen=True)
class FlatSequence(Sequence):
    """A sequence in flat columns, read by offset inside a compiled loop.

    Args:
        span: Where its stored elements lie.
        ops: The transforms, in order.
    """

    span: Span
    ops: tuple[_Op, ...] = ()

    @classmethod
    def of(cls, span: Span) -> FlatSequence:
        """One client's stored sequence with its declared transforms."""
        keys = iter(span.keys)
        sequence = cls(span)
        for transform in span.ragged.transforms:
            match transform:
                case Shuffle():
                    sequence = sequence._with(_ShuffleOp(next(keys)))
                case Map(function):
                    sequence = sequence._with(_MapOp(_mapped(function)))
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
        _require_no_batches(self._batched)
        return self._with(Batch(size))

    def repeat(self, count: int) -> Sequence:
        return self._with(Repeat(count))

    def take(self, count: int) -> Sequence:
        return self._with(Take(count))

    def shuffle(self, key: Any) -> Sequence:
        return self._with(_ShuffleOp(key))

    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        return self._with(_MapOp(fn))

    def fold(self, step: Step, init: Any) -> Any:
        return self._loop(lambda carry, batch, _: step(carry, batch), init, exact=True)

    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        _require_batches(self._batched)
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
            mask = jnp.arange(rows.length) < size
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
        lengths, size = set(self.span.hints.counts()), 0
        for op in self.ops:
            if isinstance(op, Batch):
                size = op.size
                break
            lengths = {int(_count_after(op, n, min)) for n in lengths}
        full = {size} if any(n >= size for n in lengths) else set[int]()
        return sorted(full | {n % size for n in lengths if n % size})

    def _locate(self, e: Any, counts: list[Any]) -> tuple[_Rows, Any]:
        """Where the rows of element ``e`` lie, and how many are real (None: it is one row)."""
        repetition: Any = jnp.int32(0)
        position, size, length, contiguous = e, None, 0, True
        for op, before in zip(reversed(self.ops), reversed(counts[:-1]), strict=True):
            match op:
                case _ShuffleOp(key):
                    position, contiguous = _permuted(key, before, position, repetition), size is None
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
            start, end = offsets[stored], offsets[stored + 1]
            return _Rows(start, most, contiguous=True, slack=slack), end - start
        if size is None:
            return _Rows(stored, None, contiguous=True), None
        if contiguous:
            return _Rows(stored[0], length, contiguous=True, slack=self.span.hints.slack()), size
        return _Rows(stored, length, contiguous=False), size

    def _read(self, rows: _Rows) -> Any:
        element = wrap(jax.tree.map(rows.read, self.span.ragged.columns), self.span.ragged.element)
        batched = self._stored_batches
        many = rows.length is not None and not batched
        for op in self.ops:
            if isinstance(op, Batch):
                many, batched = False, True
            elif isinstance(op, _MapOp):
                element = jax.vmap(op.fn)(element) if many else op.fn(element)
        return element


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


def _mapped(function: Any) -> Callable[[Any], Any]:
    traceable = kind(function.kind).as_jax(function.payload)
    if isinstance(traceable, NoJax):
        raise TracingError("A map of this kind cannot be compiled", found=traceable.reason, at=place())
    result, parameter = function.type.result, function.type.parameter
    return lambda element: wrap(traceable(unwrap(element, parameter)), result)


def unwrap(value: Any, type_: Type) -> Any:
    """Takes the user's containers off: nested tuples, in the order of the type's fields."""
    if not isinstance(type_, Struct):
        return value
    if isinstance(value, dict):
        return tuple(unwrap(value[name], t) for name, t in type_.fields)
    if type_.container is not None and hasattr(type_.container, "__dataclass_fields__"):
        return tuple(unwrap(getattr(value, name or ""), t) for name, t in type_.fields)
    return tuple(unwrap(item, t) for (_, t), item in zip(type_.fields, value or (), strict=True))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows of the columns make an element.

    Args:
        start: The first row, or all rows where they are not contiguous.
        length: How many rows are read, padding included; None for one row that is the element itself.
        contiguous: Whether the rows follow each other.
        slack: How many rows the columns have behind the last real one.
        mask: bool[length], which rows are real; None where all are.
    """

    start: Any
    length: int | None
    contiguous: bool
    slack: int = 0
    mask: Any = None

    def read(self, column: Any) -> Any:
        if self.length is None:
            return lax.dynamic_index_in_dim(column, self.start, keepdims=False)
        if self.contiguous and (self.mask is None or self.slack >= self.length):
            rows = lax.dynamic_slice_in_dim(column, self.start, self.length)
        else:
            numbers = self.start + jnp.arange(self.length) if self.contiguous else self.start[: self.length]
            rows = jnp.take(column, numbers, axis=0, mode="clip")
        if self.mask is None:
            return rows
        mask = self.mask.reshape((-1,) + (1,) * (rows.ndim - 1))
        return jnp.where(mask, rows, rows[:1])


def _scramble(x: Any, k: Any) -> Any:
    x = (x ^ k) * np.uint32(MULTIPLIERS[0])
    x = (x ^ (x >> 13)) * np.uint32(MULTIPLIERS[1])
    return x ^ (x >> 16)


def _permuted(key: Any, size: Any, position: Any, repetition: Any) -> Any:
    """Where a key's permutation of ``size`` values sends positions; see ``foedus.data.permutation``."""
    unsigned = jnp.asarray(size).astype(jnp.uint32)
    needed = 32 - lax.clz(jnp.maximum(unsigned, 1) - 1)
    bits = jnp.maximum((needed + 1) // 2, 1).astype(jnp.uint32)
    mask = (jnp.uint32(1) << bits) - 1
    again = jnp.asarray(repetition).astype(jnp.uint32) * np.uint32(MULTIPLIERS[2])
    keys = jnp.asarray(key).astype(jnp.uint32)
    with np.errstate(over="ignore"):
        counters = [np.uint32(i) * np.uint32(MULTIPLIERS[2]) for i in range(ROUNDS)]
    round_keys = [_scramble(keys[i % 2] + again, counters[i]) for i in range(ROUNDS)]

    def once(value: Any) -> Any:
        left, right = value >> bits, value & mask
        for k in round_keys:
            left, right = right, left ^ (_scramble(right, k) & mask)
        return (left << bits) | right

    start = jnp.asarray(position).astype(jnp.uint32)
    real = start < unsigned
    walked = lax.while_loop(
        lambda value: jnp.any(real & (value >= unsigned)),
        lambda value: jnp.where(value >= unsigned, once(value), value),
        jnp.where(real, once(start), start),
    )
    return jnp.where(real, walked, 0).astype(jnp.int32)
