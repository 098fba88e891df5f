# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values between the language and TensorFlow: types as specifications, plain values as flat tensors.

A leaf's function takes and gives flat tensors, in the order of its type. A tensor is one. A sequence is one
column for each tensor of its element and, where elements have rows of their own, ``int64[n+1]``, where each
begins. The data set is made inside the function, so that no Python object stands
for a row. A result that is a sequence is the variant that TensorFlow keeps a data set in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from foedus.data import (
    Batch,
    Elements,
    Ragged,
    Repeat,
    Shuffle,
    Take,
    Unit,
    client_key,
    derive_key,
    empty_columns,
    flat_columns,
    has_rows,
    in_columns,
    map_columns,
    permutation,
    to_member,
    units,
)
from foedus.errors import ExecutionError, FoedusError, TracingError, place
from foedus.types import (
    DTYPES,
    STRING,
    Sequence,
    Struct,
    Tensor,
    Type,
    container_of,
    field_path,
    pack,
    parts_of,
    to_type,
    walk,
)


def tensor_spec(type_: Tensor) -> Any:
    """The ``tf.TensorSpec`` of a tensor."""
    return tf.TensorSpec(type_.shape, tf.string if type_.dtype == STRING else tf.as_dtype(type_.dtype))


def flat_specs(parameter: Type) -> Iterator[Any]:
    """The specifications of a leaf's flat arguments.

    Args:
        parameter: The type of its argument.

    Yields:
        One ``tf.TensorSpec`` each.
    """
    match parameter:
        case Tensor():
            yield tensor_spec(parameter)
        case Struct(fields):
            for _, t in fields:
                yield from flat_specs(t)
        case Sequence(element):
            columns = [_column_spec(column) for column in flat_columns(empty_columns(element))]
            if not columns:
                raise TracingError(
                    "TensorFlow has no data sets of elements without a tensor", found=parameter, at=place()
                )
            yield from columns
            if has_rows(element):
                yield tf.TensorSpec((None,), tf.int64)
        case _:
            raise TracingError("Local code takes plain values only", found=parameter, at=place())


def _column_spec(column: np.ndarray[Any, Any]) -> Any:
    dtype = STRING if column.dtype == object else column.dtype
    return tensor_spec(Tensor(dtype, (None, *column.shape[1:])))


def to_user(flat: Iterator[Any], type_: Type) -> Any:
    """Puts flat tensors together to what the user's function takes, in the containers of its type.

    Args:
        flat: The tensors; consumed from the front.
        type_: The type of the value.

    Returns:
        Tensors, data sets and containers of them.
    """
    match type_:
        case Struct(fields):
            return pack(type_, [to_user(flat, t) for _, t in fields])
        case Sequence(element):
            columns = [next(flat) for _ in flat_columns(empty_columns(element))]
            if has_rows(element):
                return _of_batches(columns, next(flat), element)
            return tf.data.Dataset.from_tensor_slices(_element(iter(columns), element))
        case _:
            return next(flat)


def _of_batches(columns: list[Any], offsets: Any, element: Type) -> Any:
    kinds = flat_columns(units(element))
    single = [column for column, unit in zip(columns, kinds, strict=True) if unit is Unit.ELEMENT]

    def batch(start: Any, end: Any, *own: Any) -> Any:
        given = iter(own)
        pairs = zip(columns, kinds, strict=True)
        parts = [column[start:end] if unit is Unit.ROW else next(given) for column, unit in pairs]
        return _element(iter(parts), element)

    return tf.data.Dataset.from_tensor_slices((offsets[:-1], offsets[1:], *single)).map(batch)


def _element(columns: Iterator[Any], element: Type) -> Any:
    """An element in containers that data sets know: they take lists for tensors, and no dataclasses."""
    if not isinstance(element, Struct):
        return next(columns)
    items = [_element(columns, t) for _, t in element.fields]
    container = element.container
    if container is None or not (container is list or is_dataclass(container)):
        return pack(element, items)
    return pack(Struct(element.fields, tuple if container is list else OrderedDict), items)


def to_flat(plain: Any, type_: Type) -> Iterator[Any]:
    """Takes a plain value apart into flat tensors, for a call of a leaf.

    Args:
        plain: The value, with ``Elements`` or anything to iterate over for sequences.
        type_: Its type.

    Yields:
        The tensors.
    """
    match type_:
        case Tensor(dtype):
            yield _to_tensor(plain, dtype)
        case Struct(fields):
            for (_, t), item in zip(fields, plain, strict=True):
                yield from to_flat(item, t)
        case Sequence(element):
            yield from _flat_sequence(plain, element)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def _to_tensor(plain: Any, dtype: np.dtype[Any]) -> Any:
    if dtype != STRING:
        return tf.constant(np.asarray(plain, dtype=dtype))
    array = np.asarray(plain, dtype=object)
    encoded = np.empty(array.shape, dtype=object)
    encoded.ravel()[:] = [str(text).encode("utf-8", "surrogateescape") for text in array.ravel()]
    return tf.constant(encoded, tf.string)


def _flat_sequence(plain: Any, element: Type) -> Iterator[Any]:
    columns, offsets = _columns(plain, element)
    for column in flat_columns(columns):
        yield _to_tensor(column, STRING if column.dtype == object else column.dtype)
    if has_rows(element):
        yield tf.constant(offsets, tf.int64)


def _columns(plain: Any, element: Type) -> tuple[Any, Any]:
    """The columns of a sequence, and where the rows of each element begin (None where they have none)."""
    if isinstance(plain, Elements) and units(plain.ragged.transformed) == units(element):
        ragged = plain.ragged
        if not ragged.transforms:
            return ragged.own(plain.index)
        if ragged.rows is None and _is_order(ragged):
            return _ordered_columns(plain)
    return in_columns(list(plain), element, what="a sequence")


def _is_order(ragged: Ragged) -> bool:
    """Whether the transforms only choose rows and their order, and cut them into batches at the end."""
    ordering = ragged.transforms[:-1] if isinstance(ragged.transforms[-1], Batch) else ragged.transforms
    return all(isinstance(transform, Shuffle | Repeat | Take) for transform in ordering)


def _ordered_columns(elements: Elements) -> tuple[Any, Any]:
    ragged, last = elements.ragged, elements.ragged.transforms[-1]
    size = last.size if isinstance(last, Batch) else None
    index = _order(elements, len(ragged.transforms) - (size is not None), 0)
    columns = map_columns(lambda c: c[index], ragged.columns)
    if size is None:
        return columns, None
    return columns, np.append(np.arange(0, len(index), size), len(index)).astype(np.int64)


def _order(elements: Elements, upto: int, repetition: int) -> np.ndarray[Any, Any]:
    """The rows that the first ``upto`` transforms choose, as ``Elements`` reads them."""
    ragged = elements.ragged
    if upto == 0:
        start = int(ragged.first[elements.index])
        return np.arange(start, start + int(ragged.count[elements.index]))
    match ragged.transforms[upto - 1]:
        case Take(count):
            return _order(elements, upto - 1, repetition)[:count]
        case Repeat(count):
            again = range(repetition * count, (repetition + 1) * count)
            return np.concatenate([_order(elements, upto - 1, r) for r in again])
        case Shuffle(seed):
            rows = _order(elements, upto - 1, repetition)
            key = client_key(derive_key(seed), elements.client, "shuffle")
            return rows[permutation(key, len(rows), repetition)]
        case other:
            raise AssertionError(f"{other} does not order rows; please report")


def result_type(value: Any, path: str = "") -> Type:
    """The type of what a user's function returned while it was traced.

    Args:
        value: What it returned, or a part of it.
        path: Where in the result that is.

    Returns:
        The type.

    Raises:
        TracingError: If the language has no type for it.
    """
    if isinstance(value, tf.data.Dataset):
        return _sequence_type(value, path)
    parts = parts_of(value)
    if parts is not None:
        named = enumerate(parts)
        fields = tuple((name, result_type(item, path + field_path(i, name))) for i, (name, item) in named)
        return Struct(fields, container_of(value))
    try:
        found = as_tensor(value)
        dtype = STRING if found.dtype == tf.string else DTYPES[found.dtype.name]
        return Tensor(dtype, None if found.shape.rank is None else tuple(found.shape))
    except (TypeError, ValueError, KeyError) as error:
        raise TracingError(
            "Local code in TensorFlow returns what has no type in the language",
            found=f"{type(value).__name__}: {value!r}"[:200],
            expected="tensors, data sets, and containers of them",
            at=place(f"{path} of the result" if path else "the result"),
        ) from error


def _sequence_type(value: Any, path: str) -> Type:
    where = place(f"{path} of the result" if path else "the result")
    try:
        type_ = to_type(value)
        assert isinstance(type_, Sequence)
        has_rows(type_.element)
        list(flat_specs(type_))
    except FoedusError as error:
        raise TracingError(
            "Local code in TensorFlow returns a data set of elements that no sequence has",
            found=value.element_spec,
            expected="one tensor or more, of each of which nothing but the first dimension is unknown",
            at=where,
            hint="tf.ensure_shape in a map of the data set says what TensorFlow does not know",
        ) from error
    return type_


def as_tensor(value: Any) -> Any:
    """A result as a tensor, with the dtypes that the language gives Python's numbers."""
    if isinstance(value, int) and not isinstance(value, bool | np.generic) and not -(2**31) <= value < 2**31:
        return tf.constant(value, tf.int64)
    return tf.convert_to_tensor(value)


def from_user(value: Any) -> Iterator[Any]:
    """Takes a result apart into flat tensors; data sets as variants.

    Args:
        value: What the user's function returned.

    Yields:
        The tensors, in the order of the result's type.
    """
    if isinstance(value, tf.data.Dataset):
        yield tf.data.experimental.to_variant(_with_flat_elements(value))
        return
    parts = parts_of(value)
    if parts is None:
        yield as_tensor(value)
        return
    for _, item in parts:
        yield from from_user(item)


def result_specs(result: Type) -> Iterator[Any]:
    """The specifications of a leaf's flat results.

    Args:
        result: The type of its result.

    Yields:
        One ``tf.TensorSpec`` each; data sets are variants.
    """
    match result:
        case Tensor():
            yield tensor_spec(result)
        case Struct(fields):
            for _, t in fields:
                yield from result_specs(t)
        case _:
            yield tf.TensorSpec((), tf.variant)


def _with_flat_elements(dataset: Any) -> Any:
    """A data set whose elements are the tuples of their tensors, so that its containers need not travel."""
    spread = type(dataset.element_spec) is tuple

    return dataset.map(lambda *parts: tuple(from_user(parts if spread else parts[0])))


def from_flat(flat: Iterator[Any], type_: Type) -> Any:
    """Puts flat results together to a plain value; data sets are read.

    Args:
        flat: Eager tensors; consumed from the front.
        type_: The type of the value.

    Returns:
        Arrays, tuples, and ``Elements`` for sequences.
    """
    match type_:
        case Struct(fields):
            return tuple(from_flat(flat, t) for _, t in fields)
        case Sequence(element):
            return _read(next(flat), element)
        case Tensor(dtype):
            array = next(flat).numpy()
            return _decoded(array) if dtype == STRING else np.asarray(array, dtype=dtype)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def _read(variant: Any, element: Type) -> Elements:
    """The sequence of a data set that ``from_user`` took apart."""
    leaves = [t for t in walk(element) if isinstance(t, Tensor)]
    dataset = tf.data.experimental.from_variant(variant, tuple(tensor_spec(t) for t in leaves))
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ExecutionError(
            "Local code in TensorFlow returned a data set without end", found=f"{element}*", at=place()
        )
    flat = Sequence(Struct(tuple((None, t) for t in leaves)))
    made = to_member(dataset, flat, "the result of local code in TensorFlow")
    assert isinstance(made, Elements)
    supply = iter(made.ragged.columns)
    columns = map_columns(lambda _: next(supply), empty_columns(element))
    return replace(made, ragged=replace(made.ragged, element=element, columns=columns))


def _decoded(array: Any) -> np.ndarray[Any, Any]:
    given = np.asarray(array, dtype=object)
    decoded = np.empty(given.shape, dtype=object)
    decoded.ravel()[:] = [text.decode("utf-8", "surrogateescape") for text in given.ravel()]
    return decoded
