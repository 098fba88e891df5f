# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types of specifications and of Python and NumPy values."""

from __future__ import annotations

import dataclasses
import typing
from collections import OrderedDict
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
_LIMITS = {name: np.iinfo(name) for name in ("int32", "int64")}


def to_dtype(spec: object) -> DType | None:
    """The dtype of what names one: a dtype, its name, a Python, NumPy or JAX scalar type; else None."""
    if isinstance(spec, type) and spec in _PYTHON_TYPES:
        return _PYTHON_TYPES[spec]
    if isinstance(spec, str):
        return DTYPES.get(spec)
    own = getattr(spec, "dtype", None)
    foreign = _foreign_dtype(spec if own is None else own)
    if foreign is not None:
        return foreign
    named: object = cast("object", own if isinstance(own, np.dtype) else spec)
    is_scalar_type = isinstance(named, type) and (
        issubclass(named, np.generic) or named is ml_dtypes.bfloat16
    )
    if not isinstance(named, np.dtype) and not is_scalar_type:
        return None
    dtype = np.dtype(cast("Any", named))
    return STRING if dtype.kind in "SUOT" else dtype.newbyteorder("=")


def _foreign_dtype(spec: object) -> DType | None:
    """The dtype of a dtype object as TensorFlow has them, which know their NumPy counterpart; else None."""
    if not hasattr(type(spec), "as_numpy_dtype"):
        return None
    name = str(getattr(spec, "name", None))
    return STRING if name == "string" else DTYPES.get(name)


def _shape_of(value: object) -> Shape | None:
    """The shape of what has one: a tuple of lengths, or an object that says its rank, None if unknown."""
    shape: object = getattr(value, "shape", ())
    if getattr(shape, "rank", 0) is None:
        return None
    return tuple(cast("Iterable[int | None]", shape)) if isinstance(shape, Iterable) else ()


def _is_shape(spec: object) -> bool:
    if spec is None:
        return True
    if not isinstance(spec, tuple | list):
        return False
    return all(size is None or isinstance(size, int) for size in cast("Iterable[object]", spec))


def _pair(spec: object) -> tuple[object, object] | None:
    """The two items of a plain tuple of two."""
    if not isinstance(spec, tuple) or is_named_tuple(cast("object", spec)):
        return None
    items = cast("tuple[object, ...]", spec)
    return (items[0], items[1]) if len(items) == 2 else None


def _to_tensor(spec: object) -> Tensor | None:
    dtype, shape = _pair(spec) or (None, None)
    has_own_shape = _foreign_dtype(getattr(dtype, "dtype", None)) is not None
    known = None if dtype is None or has_own_shape else to_dtype(dtype)
    if known is not None and _is_shape(shape):
        return Tensor(known, None if shape is None else tuple(cast("Shape", shape)))
    dtype = to_dtype(spec)
    return None if dtype is None else Tensor(dtype, _shape_of(spec))


def to_type(spec: object) -> Type:
    """Turns a specification into a type.

    Args:
        spec: A type; a dtype, Python type or dtype's name; ``(dtype, shape)``; a mapping (see ``parts_of``),
            list or tuple of specifications (``(name, specification)`` pairs in a list or tuple give names);
            the class of a named tuple or a dataclass with annotated fields; whatever has a dtype and a
            shape, such as an array, or an ``element_spec``, such as a data set of TensorFlow.

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
    if isinstance(spec, type):
        return _to_struct(spec)
    if hasattr(spec, "element_spec"):
        return Sequence(to_type(cast("Any", spec).element_spec))
    if isinstance(spec, Mapping) or is_named_tuple(spec):
        parts = parts_of(cast("object", spec)) or []
        return Struct(
            tuple((name, to_type(item)) for name, item in parts), container_of(cast("object", spec))
        )
    if isinstance(spec, list | tuple):
        fields = tuple(_to_field(item) for item in cast("list[object] | tuple[object, ...]", spec))
        named = fields and all(name is not None for name, _ in fields)
        return Struct(fields, OrderedDict if named else container_of(cast("object", spec)))
    raise _no_type(spec)


def _no_type(spec: object) -> DataError:
    return DataError(
        "This does not specify a type",
        found=f"{spec!r} of type {type(spec).__name__}",
        expected="a type, a dtype, (dtype, shape), or a mapping, list or tuple of such",
        at=place(),
    )


def _to_struct(cls: type) -> Struct:
    """The type of a class with annotated fields."""
    if is_named_tuple(cls):
        names = cast("tuple[str, ...]", cls.__dict__["_fields"])
    elif dataclasses.is_dataclass(cls):
        names = tuple(field.name for field in dataclasses.fields(cls) if field.init)
    else:
        raise _no_type(cast("object", cls))
    hints = typing.get_type_hints(cls)
    return Struct(tuple((name, to_type(hints.get(name))) for name in names), cls)


def _to_field(item: object) -> tuple[str | None, Type]:
    name, spec = _pair(item) or (None, None)
    if isinstance(name, str) and name not in DTYPES:
        return name, to_type(spec)
    return None, to_type(item)


def _scalar_type(value: object) -> Tensor | None:
    if isinstance(value, bool | float | complex | str | bytes) and not isinstance(value, np.generic):
        return Tensor(_PYTHON_TYPES[type(value)])
    if isinstance(value, int) and not isinstance(value, np.generic):
        names = (name for name in ("int32", "int64") if _LIMITS[name].min <= value <= _LIMITS[name].max)
        name = next(names, None)
        return None if name is None else Tensor(DTYPES[name])
    return None


def type_of(value: object) -> Type:
    """The type of a Python or NumPy value.

    Integers are ``int32`` if they fit and ``int64`` if not, floats are ``float32``; arrays keep their dtype.

    Args:
        value: A number, string, array (of any framework that has ``dtype`` and ``shape``), data set (with an
            ``element_spec``), or a container of such.

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
            return Tensor(known, _shape_of(value))
    if hasattr(value, "element_spec"):
        return to_type(value)
    parts = parts_of(value)
    if parts is not None:
        return Struct(tuple((name, type_of(item)) for name, item in parts), container_of(value))
    raise DataError(
        "A value of this Python type has no type in the language",
        found=f"{type(value).__name__}: {repr(value)[:80]}",
        expected="numbers, strings, arrays, and lists, tuples, mappings, named tuples or dataclasses of them",
        at=place(),
    )
