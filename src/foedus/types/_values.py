# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Plain values: Python objects to nested tuples of arrays, and back, guided by a type.

Inside runtimes a tensor is a NumPy array, and a struct is a tuple of its fields' values in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from foedus.errors import DataError, StructureError, TypeMismatchError, place
from foedus.types._containers import PythonValue, parts_of
from foedus.types._difference import field_path, names_of
from foedus.types._regular import IrregularError, giver, taker
from foedus.types._types import DTYPES, STRING, Array, Sequence, Struct, Tensor, Type, show

PlainValue: TypeAlias = Any
"""An array for a tensor, a tuple for a struct, and for a sequence what its reader makes of it."""

SequenceReader: TypeAlias = Callable[[PythonValue, Sequence, str, str], PlainValue]
"""Takes sequences apart, given the value, its type, what it is, and where inside it we are."""


def to_plain(
    value: PythonValue, type_: Type, what: str, path: str = "", sequences: SequenceReader | None = None
) -> PlainValue:
    """Takes a Python value of a known type apart.

    Numbers are converted where nothing is lost: a Python number to any dtype that holds it, an array only to
    its own dtype.

    Args:
        value: The value.
        type_: A tensor, a sequence, or a struct of such.
        what: What the value is, for the error's text.
        path: Where inside it we are.
        sequences: What takes sequences apart, given the value, its type, ``what`` and ``path``; None where
            there are none.

    Returns:
        An array for a tensor, a tuple for a struct, what ``sequences`` returns for a sequence.

    Raises:
        StructureError: If a field is missing or spare.
        TypeMismatchError: If a leaf has another dtype or shape; the error names the path.
    """
    try:
        return taker(type_)(value)
    except IrregularError:
        return _to_plain(value, type_, what, path, sequences)


def _to_plain(
    value: PythonValue, type_: Type, what: str, path: str, sequences: SequenceReader | None
) -> PlainValue:
    match type_:
        case Tensor():
            return _to_array(value, type_, what, path)
        case Struct():
            items = _items_in_order(value, type_, what, path)
            return tuple(
                _to_plain(item, t, what, path + field_path(i, name), sequences)
                for i, ((name, t), item) in enumerate(zip(type_.fields, items, strict=True))
            )
        case Sequence() if sequences is not None:
            return sequences(value, type_, what, path)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def from_plain(value: PlainValue, type_: Type) -> PythonValue:
    """Puts a plain value into the containers its type remembers; sequences become lists."""
    return giver(type_)(value)


def _items_in_order(value: PythonValue, type_: Struct, what: str, path: str) -> Iterable[object]:
    parts = parts_of(value)
    where = f"{path} of {what}" if path else what
    if parts is None:
        raise StructureError(
            f"A struct is needed in {what}", found=f"{type(value).__name__}", expected=type_, at=place(where)
        )
    by_name = {name: item for name, item in parts if name is not None}
    wanted = [name for name, _ in type_.fields]
    if len(by_name) == len(parts) and None not in wanted:
        missing = next((name for name in wanted if name not in by_name), None)
        spare = next((name for name in by_name if name not in wanted), None)
        if missing is None and spare is None:
            return [by_name[name] for name in wanted if name is not None]
        raise StructureError(
            f"The field {missing!r} is missing in {what}"
            if missing is not None
            else f"There is no field {spare!r} in {what}",
            found=f"fields {', '.join(by_name) or 'none'}",
            expected=f"fields {names_of(type_)}",
            at=place(where),
        )
    if len(parts) != len(wanted):
        raise StructureError(
            f"The fields of {what} differ in number",
            found=f"{len(parts)} fields",
            expected=f"{len(wanted)} fields: {names_of(type_)}",
            at=place(where),
        )
    return [item for _, item in parts]


def _fits(value: PythonValue, array: Array, type_: Tensor) -> bool:
    """Whether converting loses nothing that the user can have meant."""
    if array.dtype.newbyteorder("=") == type_.dtype:
        return True
    if type_.dtype == STRING:
        return array.dtype.kind in "SUT" or all(isinstance(item, str | bytes) for item in array.ravel())
    kinds = {"b": "biu", "i": "biu", "u": "biu", "c": "biufc"}.get(type_.dtype.kind, "biuf")
    if array.dtype.kind not in kinds or hasattr(value, "dtype"):
        return False
    with np.errstate(all="ignore"):
        converted = array.astype(type_.dtype)
        if array.dtype.kind in "biu":
            real = np.real(converted) if type_.dtype.kind == "c" else converted
            return np.array_equal(real.astype(array.dtype), array)
        # Floats are rounded, as they are everywhere, but do not overflow.
        return np.array_equal(np.isfinite(converted), np.isfinite(array))


def _shown(value: PythonValue, array: Array) -> str:
    """A value as an error shows it: Python's own scalars as they are, else the type."""
    if array.ndim == 0 and not hasattr(value, "dtype"):
        return f"{type(value).__name__}: {repr(value)[:80]}"
    if array.dtype.kind in "SUT":
        return show(Tensor(STRING, array.shape))
    if array.dtype in DTYPES.values():
        return show(Tensor(array.dtype, array.shape))
    return f"an array of {array.dtype.name}"


def _to_array(value: PythonValue, type_: Tensor, what: str, path: str) -> Array:
    where = f"{path} of {what}" if path else what
    try:
        array: Array = np.asarray(value, dtype=object if _is_text(value, type_) else None)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"An array is needed in {what}", found=type(value).__name__, at=place(where)
        ) from error
    if not _fits(value, array, type_):
        found = _shown(value, array)
        raise TypeMismatchError(f"Wrong dtype in {what}", found=found, expected=type_, at=place(where))
    wanted = type_.shape
    if wanted is not None and (
        len(wanted) != array.ndim
        or any(w is not None and w != h for w, h in zip(wanted, array.shape, strict=True))
    ):
        found = _shown(value, array)
        raise TypeMismatchError(f"Wrong shape in {what}", found=found, expected=type_, at=place(where))
    if type_.dtype == STRING:
        return _to_strings(array)
    return array.astype(type_.dtype, copy=False)


def _is_text(value: PythonValue, type_: Tensor) -> bool:
    """Whether these are Python's own strings, at the end of which NumPy's would lose zero characters."""
    return type_.dtype == STRING and not hasattr(value, "dtype")


def _to_strings(array: Array) -> Array:
    decoded = [
        x.decode("utf-8", "surrogateescape") if isinstance(x, bytes) else str(x) for x in array.ravel()
    ]
    return np.array(decoded, dtype=object).reshape(array.shape)
