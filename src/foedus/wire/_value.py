# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values to bytes and back: the type's text, then the leaves in order, in an envelope.

A tensor is its shape and its elements in row-major order; a struct is a list of its fields, a sequence a list
of its elements. Everything else follows from the type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never, cast

from foedus.data import to_member
from foedus.errors import UnsupportedError, place
from foedus.types import (
    SERVER,
    Abstract,
    Federated,
    Function,
    Placement,
    PlainValue,
    PythonValue,
    Sequence,
    Struct,
    Tensor,
    Type,
    check_assignable,
    field_path,
    from_plain,
)
from foedus.wire._envelope import Bytes, Content, seal, unseal
from foedus.wire._stream import Reader, Writer
from foedus.wire._tensor import read_tensor, write_tensor
from foedus.wire._type import parsed, written


def _stored(type_: Type) -> Type:
    """The type under which a value is stored: what is at the server is a value like any other."""
    match type_:
        case Tensor() | Sequence():
            return type_
        case Struct(fields, container):
            return Struct(tuple((name, _stored(t)) for name, t in fields), container)
        case Federated(member, placement) if placement == SERVER:
            return member
        case Federated(_, placement):
            raise UnsupportedError(
                f"Values at {placement} cannot be written to bytes",
                found=type_,
                expected="a value at the server, or one without a placement",
                at=place(),
            )
        case Function() | Placement() | Abstract():
            raise UnsupportedError("This is not the type of a value", found=type_, at=place())
        case _:
            assert_never(type_)


def encode_value(value: PythonValue, type_: Type) -> bytes:
    """Writes a value to bytes.

    Args:
        value: A Python value of the type, in any containers.
        type_: Tensors, sequences and structs of them; what is placed at the server counts as its member.

    Returns:
        The bytes. The same value of the same type gives the same bytes on every machine.

    Raises:
        TypeMismatchError: If the value is not of the type; the error names the path.
        UnsupportedError: If values of the type cannot be written: functions, and values at clients.
    """
    written(type_)  # or else fails, so that nothing below meets a type too deep for it
    stored = _stored(type_)
    writer = Writer()
    writer.item(written(stored))
    _write(writer, to_member(value, stored, "the value to write"), stored)
    return seal(Content.VALUE, writer.body())


def _write(writer: Writer, plain: PlainValue, type_: Type) -> None:
    match type_:
        case Tensor():
            write_tensor(writer, plain, type_)
        case Struct(fields):
            writer.length(len(fields))
            for (_, t), item in zip(fields, plain, strict=True):
                _write(writer, item, t)
        case Sequence(element):
            items = list(cast("Iterable[PlainValue]", plain))
            writer.length(len(items))
            for item in items:
                _write(writer, item, element)
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def decode_value(data: Bytes, type_: Type) -> PythonValue:
    """Reads a value back.

    Args:
        data: What ``encode_value`` wrote, or anything else: it is checked before it is used.
        type_: The type that the value should have.

    Returns:
        The value in the containers of ``type_``: NumPy arrays and scalars, strings, lists for sequences.

    Raises:
        CorruptDataError: If the bytes are not a value: truncated, damaged, of a newer format, or made up.
        TypeMismatchError: If they are a value of another type; the error names the first path that differs.
        UnsupportedError: If values of the type cannot be written.
    """
    written(type_)
    wanted = _stored(type_)
    reader = Reader(unseal(data, Content.VALUE))
    text = reader.text("")
    found = wanted if text == written(wanted) else parsed(text)
    check_assignable(wanted, found, "the stored value")
    plain = _read(reader, found, "")
    reader.end()
    return from_plain(plain, wanted)


def _read(reader: Reader, type_: Type, path: str) -> PlainValue:
    match type_:
        case Tensor():
            return read_tensor(reader, type_, path)
        case Struct(fields):
            count = reader.length(path)
            if count != len(fields):
                raise reader.broken(f"{count} fields where {len(fields)} should be", path)
            return tuple(_read(reader, t, path + field_path(i, name)) for i, (name, t) in enumerate(fields))
        case Sequence(element):
            return [_read(reader, element, f"{path}[{i}]") for i in range(reader.length(path))]
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")
