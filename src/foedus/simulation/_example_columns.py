# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Features of ``tf.train.Example`` messages to columns of a declared element type, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from foedus.errors import DataError, place
from foedus.simulation._example_proto import Feature
from foedus.types import STRING, Struct, Tensor, Type

Array: TypeAlias = np.ndarray[Any, Any]

_FLOATS, _INTEGERS, _BYTES = "a float list", "an int64 list", "a bytes list"
_GREATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the element type, with what reading it needs.

    Args:
        name: The feature's name.
        type: The field's type.
        shape: Its shape.
        kind: The kind of list that holds it.
        low: The least value that its dtype holds, for an int64 list.
        high: The greatest one.
    """

    name: str
    type: Tensor
    shape: tuple[int, ...]
    kind: str
    low: int = 0
    high: int = 0

    @property
    def size(self) -> int:
        """How many values one example has."""
        return math.prod(self.shape)


def readable_fields(element: Type) -> tuple[Field, ...]:
    """Takes apart an element type that examples are to be read as.

    Args:
        element: A struct whose fields have names and are tensors of known shape.

    Raises:
        DataError: If messages cannot hold such elements.
    """
    return _fields(element, ("float32", "float64"))


def writable_fields(element: Type) -> tuple[Field, ...]:
    """As ``readable_fields``, for examples to be written: without float64, which a message would narrow."""
    return _fields(element, ("float32",))


def _fields(element: Type, floats: tuple[str, ...]) -> tuple[Field, ...]:
    if isinstance(element, Struct) and element.fields and all(name for name, _ in element.fields):
        return tuple(_field(str(name), type_, floats) for name, type_ in element.fields)
    raise DataError(
        "Examples of this file format are structs with named fields",
        found=element,
        expected="such as <label=int32,pixels=float32[28,28]>",
        at=place(),
    )


def _field(name: str, type_: Type, floats: tuple[str, ...]) -> Field:
    where = f".{name} of the element type"
    if not isinstance(type_, Tensor) or type_.shape is None or None in type_.shape:
        raise DataError(
            "A field of this file format has one dtype and a known shape",
            found=type_,
            expected="such as float32[28,28]",
            at=place(where),
        )
    shape = tuple(size or 0 for size in type_.shape)
    dtype = type_.dtype
    if dtype == STRING:
        return Field(name, type_, shape, _BYTES)
    if dtype.name in floats:
        return Field(name, type_, shape, _FLOATS)
    if dtype.kind == "b":
        return Field(name, type_, shape, _INTEGERS, 0, 1)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return Field(name, type_, shape, _INTEGERS, int(limits.min), min(int(limits.max), _GREATEST))
    raise DataError(
        "This file format cannot hold a field of this dtype",
        found=type_,
        expected=f"{', '.join(floats)}, bool, str, or an integer dtype",
        at=place(where),
    )


def empty_columns(fields: tuple[Field, ...], rows: int) -> tuple[Array, ...]:
    """Columns ``[rows, *shape]`` to be filled, one a field."""
    return tuple(
        np.empty((rows, *field.shape), dtype=object if field.kind == _BYTES else field.type.dtype)
        for field in fields
    )


def fill_row(
    columns: tuple[Array, ...], row: int, *, fields: tuple[Field, ...], features: dict[str, Feature]
) -> None:
    """Writes one example into a row of the columns.

    Args:
        columns: One column a field.
        row: Which of their rows.
        fields: The element type's fields.
        features: The example.

    Raises:
        DataError: If a feature is missing, spare, of another kind or size, or too large for its dtype.
    """
    for field, column in zip(fields, columns, strict=True):
        if field.name not in features:
            raise _wrong_fields(f"The field {field.name!r} is missing", features, fields)
        column[row] = _values(field, features[field.name])[()]
    if len(features) != len(fields):
        declared = {field.name for field in fields}
        spare = next(name for name in features if name not in declared)
        raise _wrong_fields(f"The field {spare!r} is not declared", features, fields)


def _wrong_fields(headline: str, features: dict[str, Feature], fields: tuple[Field, ...]) -> DataError:
    return DataError(
        headline,
        found=f"fields {', '.join(sorted(features)) or 'none'}",
        expected=f"fields {', '.join(field.name for field in fields)}",
        hint="give the element type that the file holds; `map` can leave fields out afterwards",
    )


def _values(field: Field, feature: Feature) -> Any:
    if feature is not None and _kind(feature) != field.kind:
        raise DataError(
            f"The field {field.name!r} has another kind of values",
            found=_kind(feature),
            expected=f"{field.kind}, for {field.type}",
        )
    found = 0 if feature is None else len(feature)
    if found != field.size:
        raise DataError(
            f"The field {field.name!r} has the wrong number of values",
            found=f"{found} values",
            expected=f"{field.size}, for {field.type}",
        )
    if feature is None or not found:
        return np.zeros(field.shape)
    if isinstance(feature, list):
        return _texts(feature).reshape(field.shape)
    if field.kind == _INTEGERS:
        _check_range(field, feature)
    return feature.reshape(field.shape)


def _check_range(field: Field, values: Array) -> None:
    if field.low <= int(values[0]) <= field.high and len(values) == 1:
        return
    outside = values[(values < field.low) | (values > field.high)]
    if len(outside):
        headline = f"A value of the field {field.name!r} does not fit"
        raise DataError(headline, found=outside[0], expected=field.type)


def _kind(feature: Feature) -> str:
    if isinstance(feature, list) or feature is None:
        return _BYTES
    return _FLOATS if feature.dtype.kind == "f" else _INTEGERS


def _texts(values: list[bytes]) -> Array:
    texts = np.empty(len(values), dtype=object)
    texts[:] = [value.decode("utf-8", "surrogateescape") for value in values]
    return texts


def features_of(values: tuple[Any, ...], fields: tuple[Field, ...]) -> dict[str, Feature]:
    """One plain element as features.

    Args:
        values: One array a field.
        fields: The element type's fields.

    Raises:
        DataError: If an integer needs more than 63 bits and a sign, or a string is no Unicode text.
    """
    return {
        field.name: _feature(field, np.asarray(value)) for field, value in zip(fields, values, strict=True)
    }


def _feature(field: Field, value: Array) -> Feature:
    flat = value.reshape(-1)
    if field.kind == _FLOATS:
        return flat
    if field.kind == _BYTES:
        return _bytes(field, flat.tolist())
    if field.type.dtype.kind == "u" and flat.size and int(flat.max()) > field.high:
        headline = f"A value of the field {field.name!r} does not fit"
        raise DataError(headline, found=flat.max(), expected="at most 9223372036854775807")
    return flat.astype(np.int64)


def _bytes(field: Field, texts: list[Any]) -> list[bytes]:
    try:
        return [str(text).encode("utf-8", "surrogateescape") for text in texts]
    except UnicodeEncodeError as error:
        raise DataError(
            f"A string of the field {field.name!r} cannot be encoded", found=error.reason
        ) from error
