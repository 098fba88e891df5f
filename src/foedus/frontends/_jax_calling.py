# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How an exported leaf is called: with flat arrays, in the order of its type.

A tensor is one array. A sequence is one column for each tensor of its element, with one entry for each
element or for each row, as ``foedus.data.units`` says; where elements have rows of their own also
``int32[m]``, the offset of each element's first row; then two numbers ``int32``, the index of the first
element and how many there are. So many clients can share columns, as ``foedus.data.Span`` has it. Columns
have at least as many entries as a leaf asks for behind the last one that it may read; they belong to nobody,
and nothing depends on them. The result is one array for each tensor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from foedus.data import (
    Batch,
    Elements,
    Hints,
    Ragged,
    Repeat,
    Shuffle,
    Span,
    Take,
    Unit,
    empty_columns,
    flat_columns,
    has_rows,
    in_columns,
    map_columns,
    units,
)
from foedus.errors import UnsupportedError, place
from foedus.sequences import EagerSequence, FlatSequence
from foedus.types import Sequence, Struct, Tensor, Type

INDEX = np.dtype(np.int32)


def flat_arguments(
    parameter: Type,
    *,
    unknown: Callable[[], object],
    entries: Callable[[int, Unit], object],
    offsets: Callable[[int], object],
) -> Iterator[tuple[np.dtype[Any], tuple[object, ...]]]:
    """The dtypes and shapes of a leaf's flat arguments.

    Args:
        parameter: The type of the leaf's argument: plain, without strings, of known ranks.
        unknown: Gives a length for each unknown dimension of a tensor.
        entries: Gives the length of a sequence's columns, given which sequence it is and what an entry is.
        offsets: Gives the number of its offsets.

    Returns:
        One pair for each array, in order.
    """
    numbers = itertools.count()

    def arguments(type_: Type) -> Iterator[tuple[np.dtype[Any], tuple[object, ...]]]:
        match type_:
            case Tensor(dtype, shape):
                yield dtype, tuple(unknown() if size is None else size for size in shape or ())
            case Struct(fields):
                for _, t in fields:
                    yield from arguments(t)
            case Sequence(element):
                number = next(numbers)
                columns, kinds = flat_columns(empty_columns(element)), flat_columns(units(element))
                for column, unit in zip(columns, kinds, strict=True):
                    yield column.dtype, (entries(number, unit), *column.shape[1:])
                if has_rows(element):
                    yield INDEX, (offsets(number),)
                yield INDEX, ()
                yield INDEX, ()
            case _:
                raise AssertionError(f"{type_} is not the type of a plain value; please report")

    return arguments(parameter)


def abstract_arguments(parameter: Type, *, least_rows: int, one_length: bool) -> list[jax.ShapeDtypeStruct]:
    """The flat arguments of a leaf, with a symbol for each length that its type leaves open.

    Args:
        parameter: The type of the leaf's argument.
        least_rows: How many entries a sequence's columns have at the least.
        one_length: Whether all unknown dimensions of tensors are the same; else each is another.

    Returns:
        Their shapes and dtypes.
    """
    lengths: dict[tuple[int, Unit], str] = {}
    numbers = itertools.count()
    arguments = list(
        flat_arguments(
            parameter,
            unknown=lambda: "d" if one_length else f"d{next(numbers)}",
            entries=lambda i, unit: lengths.setdefault((i, unit), f"{unit.value}s{i}"),
            offsets=lambda i: f"offsets{i}",
        )
    )
    scope = export.SymbolicScope([f"{length} >= {least_rows}" for length in lengths.values()])
    return [
        jax.ShapeDtypeStruct(export.symbolic_shape(",".join(map(str, shape)), scope=scope), dtype)
        for dtype, shape in arguments
    ]


def from_flat(flat: Iterator[Any], type_: Type, hints: Hints | None = None) -> Any:
    """Puts flat arrays together to a plain value.

    Args:
        flat: The arrays; consumed from the front.
        type_: The value's type.
        hints: What the spans of its sequences answer, where there are sequences.

    Returns:
        The plain value, with ``Span`` for sequences.
    """
    match type_:
        case Struct(fields):
            return tuple(from_flat(flat, t, hints) for _, t in fields)
        case Sequence(element) if hints is not None:
            columns = map_columns(lambda _: next(flat), empty_columns(element))
            offsets = next(flat) if has_rows(element) else None
            first, count = next(flat), next(flat)
            return Span(Ragged(element, columns, first, count, offsets), first, count, (), hints)
        case Tensor():
            return next(flat)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


@dataclass(frozen=True, slots=True)
class Demand:
    """What a leaf asks of the sequences that it is given.

    Args:
        least_rows: How many entries of columns it wants behind the last one that it may read.
        one_order: Whether elements must come in one order, however often it repeats them: what it gets is
            stored in that order.
    """

    least_rows: int
    one_order: bool


def to_flat(plain: Any, type_: Type, demand: Demand) -> list[Any]:
    """Takes a plain value apart into flat arrays, for a call of an exported leaf.

    Args:
        plain: The value, inside a compiled call or not; sequences in any form that runtimes give them.
        type_: Its type.
        demand: What the leaf asks of sequences.

    Returns:
        The arrays.

    Raises:
        UnsupportedError: If a sequence is not what the leaf asks for.
    """
    match type_:
        case Tensor():
            return [plain]
        case Struct(fields):
            items = zip(fields, plain, strict=True)
            return [array for (_, t), item in items for array in to_flat(item, t, demand)]
        case Sequence(element):
            return _flat_sequence(plain, element, demand)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def _flat_sequence(plain: Any, element: Type, demand: Demand) -> list[Any]:
    match plain:
        case Elements():
            _require_one_order(demand, drawn=_is_shuffled(plain.ragged))
            return _flat_elements(plain, element, demand.least_rows)
        case EagerSequence():
            return _flat_elements(_read_eagerly(plain, demand), element, demand.least_rows)
        case Span():
            return _flat_stored(FlatSequence.of(plain, lambda item: item), element, demand)
        case FlatSequence():
            return _flat_stored(plain, element, demand)
        case _:
            raise AssertionError(f"{type(plain).__name__} is no sequence; please report")


def _is_shuffled(ragged: Ragged) -> bool:
    return any(isinstance(transform, Shuffle) for transform in ragged.transforms)


def _require_one_order(demand: Demand, *, drawn: bool) -> None:
    if demand.one_order and drawn:
        raise UnsupportedError(
            "A loaded leaf that repeats its data cannot take data that are shuffled where they are read",
            found="data with an order of its own for each repetition",
            at=place(),
            hint="shuffle inside the leaf, with data.shuffle(key)",
        )


def _read_eagerly(sequence: EagerSequence, demand: Demand) -> list[Any]:
    found: list[Any] = []
    twice = sequence.repeat(2) if demand.one_order else sequence
    twice.fold(lambda _, item: found.append(item), None)
    if not demand.one_order:
        return found
    half = len(found) // 2
    pairs = zip(found[:half], found[half:], strict=True)
    _require_one_order(demand, drawn=not all(_is_same(one, other) for one, other in pairs))
    return found[:half]


def _is_same(one: Any, other: Any) -> bool:
    columns = zip(flat_columns(one), flat_columns(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in columns)


def _flat_elements(elements: Iterable[Any], element: Type, least_rows: int) -> list[Any]:
    """Columns of elements that are given one by one; their lengths fall into few buckets."""
    items = list(elements)
    joined, rows = in_columns(items, element, what="a sequence")
    lengths = {Unit.ELEMENT: len(items), Unit.ROW: 0 if rows is None else int(rows[-1])}
    columns = zip(flat_columns(joined), flat_columns(units(element)), strict=True)
    flat: list[Any] = [_lengthened(column, _bucket(lengths[unit] + least_rows)) for column, unit in columns]
    if rows is not None:
        offsets = np.full(_bucket(len(rows)), rows[-1], INDEX)
        offsets[: len(rows)] = rows
        flat.append(offsets)
    return [*flat, INDEX.type(0), INDEX.type(len(items))]


def _bucket(size: int) -> int:
    return 1 << max(0, size - 1).bit_length()


def _lengthened(column: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    spare = np.zeros((length - len(column), *column.shape[1:]), column.dtype)
    return np.concatenate([column, spare])


def _flat_stored(sequence: FlatSequence, element: Type, demand: Demand) -> list[Any]:
    """Columns of a sequence inside a compiled call: those that it lies in, unless it is transformed."""
    least_rows = demand.least_rows
    _require_one_order(demand, drawn=_is_shuffled(sequence.span.ragged))
    if sequence.ops:
        return _flat_transformed(sequence, element, least_rows)
    span = sequence.span
    columns = flat_columns(span.ragged.columns)
    if span.hints.slack() < least_rows:
        spare = [jnp.zeros((least_rows, *column.shape[1:]), column.dtype) for column in columns]
        columns = [jnp.concatenate(pair) for pair in zip(columns, spare, strict=True)]
    offsets = [span.ragged.rows] if has_rows(element) else []
    return [*columns, *offsets, span.first, span.count]


def _flat_transformed(sequence: FlatSequence, element: Type, least_rows: int) -> list[Any]:
    """Columns of a sequence whose transforms are applied, inside a compiled call."""
    if has_rows(element):
        raise UnsupportedError(
            "A loaded leaf cannot take batches that are made where the data are read",
            found=f"{element}*",
            at=place(),
            hint="give it examples, and batch them inside the leaf",
        )
    most = max((_count_after(sequence, count) for count in sequence.span.hints.counts()), default=0)
    buffers = [
        jnp.zeros((most + least_rows, *column.shape[1:]), column.dtype)
        for column in flat_columns(empty_columns(element))
    ]

    def write(carry: tuple[Any, list[Any]], item: Any) -> tuple[Any, list[Any]]:
        index, filled = carry
        pairs = zip(filled, flat_columns(item), strict=True)
        return index + 1, [jax.lax.dynamic_update_index_in_dim(b, row, index, 0) for b, row in pairs]

    count, filled = sequence.fold(write, (jnp.int32(0), buffers))
    return [*filled, jnp.int32(0), count]


def _count_after(sequence: FlatSequence, count: int) -> int:
    for op in sequence.ops:
        match op:
            case Repeat(times):
                count *= times
            case Take(most):
                count = min(count, most)
            case Batch(size):
                count = -(-count // size)
            case _:
                pass
    return count
