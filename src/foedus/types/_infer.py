# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types of specifications and of Python and NumPy values."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any, cast

import ml_dtypes
import numpy as np

from foedus.errors import DataError, place
from foedus.types._containers import container_of, is_named_tuple, parts_of
from foedus.types._types import (
    DTYPES,
    STRING,
    Abstract,
    DType,
    Federated,
    Function,
    Placement,
    Sequence,
    Shape,
    Struct,
    Tensor,
    Type,
)

_PYTHON_TYPES: dict[object, DType] = {
    bool: DTYPES["bool"],
    int: DTYPES["int32"],
    float: DTYPES["float32"],
    complex: DTYPES["complex128"],
    str: STRING,
    bytes: STRING,
}
_INT32 = np.iinfo(np.int32)


def to_dtype(spec: object) -> DType | None:
    """The dtype that something names: a dtype, its name, a NumPy scalar type, or a Python type; else None."""
    if isinstance(spec, type) and spec in _PYTHON_TYPES:
        return _PYTHON_TYPES[spec]
    if isinstance(spec, str):
        return DTYPES.get(spec)
    named = spec if isinstance(spec, type | np.dtype) else getattr(spec, "dtype", None)
    is_scalar_type = isinstance(named, type) and (issubclass(named, np.generic) or named is ml_dtypes.bfloat16)
    if not isinstance(named, np.dtype) and not is_scalar_type:
        return None
    dtype = np.dtype(cast("Any", named))
    return STRING if dtype.kind in "SUOT" else dtype


def _is_shape(spec: object) -> bool:
    if spec is None:
        return True
    if not isinstance(spec, tuple | list):
        return False
    return all(size is None or isinstance(size, int) for size in cast("Iterable[object]", spec))


def _to_tensor(spec: object) -> Tensor | None:
    if isinstance(spec, tuple) and not is_named_tuple(spec) and len(cast("tuple[object, ...]", spec)) == 2:
        dtype, shape = cast("tuple[object, object]", spec)
        known = to_dtype(dtype)
        if known is not None and _is_shape(shape):
            return Tensor(known, None if shape is None else tuple(cast("Shape", shape)))
    dtype = to_dtype(spec)
    return None if dtype is None else Tensor(dtype)


def to_type(spec: object) -> Type:
    """Turns a specification into a type.

    Args:
        spec: A type; a dtype, Python type or dtype's name; ``(dtype, shape)``; a mapping, list or tuple of
            specifications (``(name, specification)`` pairs in a list or tuple give names); the class of a named
            tuple or a dataclass with annotated fields.

    Returns:
        The type.

    Raises:
        DataError: If it specifies none.
    """
    if isinstance(spec, Tensor | Struct | Sequence | Function | Federated | Placement | Abstract):
        return spec
    tensor = _to_tensor(spec)
    if tensor is not None:
        return tensor
    if isinstance(spec, type) and (is_named_tuple(spec) or dataclasses.is_dataclass(spec)):
        hints = typing.get_type_hints(spec)
        return Struct(tuple((name, to_type(hint)) for name, hint in hints.items()), spec)
    if isinstance(spec, Mapping):
        items = cast("Mapping[str, object]", spec).items()
        return Struct(tuple((name, to_type(item)) for name, item in items), container_of(cast("object", spec)))
    if isinstance(spec, list | tuple):
        items = cast("list[object] | tuple[object, ...]", spec)
        return Struct(tuple(_to_field(item) for item in items), container_of(cast("object", spec)))
    raise DataError(
        "This does not specify a type",
        found=f"{spec!r} of type {type(spec).__name__}",
        expected="a type, a dtype, (dtype, shape), or a mapping, list or tuple of such",
        at=place(),
    )


def _to_field(item: object) -> tuple[str | None, Type]:
    if isinstance(item, tuple) and len(cast("tuple[object, ...]", item)) == 2:
        name, spec = cast("tuple[object, object]", item)
        if isinstance(name, str) and name not in DTYPES:
            return name, to_type(spec)
    return None, to_type(item)


def _scalar_type(value: object) -> Tensor | None:
    if isinstance(value, bool | float | complex | str | bytes) and not isinstance(value, np.generic):
        return Tensor(_PYTHON_TYPES[type(value)])
    if isinstance(value, int) and not isinstance(value, np.generic):
        fits = _INT32.min <= value <= _INT32.max
        return Tensor(DTYPES["int32"] if fits else DTYPES["int64"])
    return None


def type_of(value: object) -> Type:
    """The type of a Python or NumPy value.

    Integers are ``int32`` if they fit and ``int64`` if not, floats are ``float32``; arrays keep their dtype.

    Args:
        value: A number, string, array (of any framework that has ``dtype`` and ``shape``), or a container of such.

    Returns:
        The type; structs remember their container.

    Raises:
        DataError: If the value has no type in the language.
    """
    scalar = _scalar_type(value)
    if scalar is not None:
        return scalar
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and shape is not None:
        known = to_dtype(dtype)
        if known is not None and known in DTYPES.values():
            return Tensor(known, tuple(shape))
    parts = parts_of(value)
    if parts is not None:
        return Struct(tuple((name, type_of(item)) for name, item in parts), container_of(value))
    raise DataError(
        "A value of this Python type has no type in the language",
        found=f"{type(value).__name__}: {repr(value)[:80]}",
        expected="numbers, strings, arrays, and lists, tuples, mappings, named tuples or dataclasses of them",
        at=place(),
    )
