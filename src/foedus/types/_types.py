# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The types as data, and how they print."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

import ml_dtypes
import numpy as np

from foedus.errors import ArgumentError

DType: TypeAlias = np.dtype[Any]
Shape: TypeAlias = tuple[int | None, ...]
Array: TypeAlias = np.ndarray[Any, DType]

STRING: DType = np.dtype(np.str_)

_PLAIN_NAME = re.compile(r"[^\W\d]\w*")

_NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
DTYPES: dict[str, DType] = {
    **{name: np.dtype(name) for name in _NUMBERS},
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "str": STRING,
}
"""Every dtype that a tensor can have, under the name that prints."""

_NAME_OF: dict[DType, str] = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class PlacementLiteral:
    """A place where values can be.

    Args:
        name: What prints after the ``@``.
        default_all_equal: Whether a value there is one value unless said otherwise.
        above: The placement next above on the way to the server; None for the server itself.
    """

    name: str
    default_all_equal: bool
    above: PlacementLiteral | None

    def __str__(self) -> str:
        return self.name


SERVER = PlacementLiteral("SERVER", default_all_equal=True, above=None)
"""The one server."""

CLIENTS = PlacementLiteral("CLIENTS", default_all_equal=False, above=SERVER)
"""All clients that take part in a round; each has a value of its own."""


def tier(name: str, *, above: PlacementLiteral = SERVER) -> PlacementLiteral:
    """Declares a tier between the server and the clients, such as regions that each sum up their own clients.

    Args:
        name: What it is called, in programs too; a Python identifier.
        above: The tier above it.

    Returns:
        The placement. Which clients are below which of its members is told to the runtime.

    Raises:
        ArgumentError: If the name is none, or taken, or there is nothing below what it should be below.
    """
    if not _PLAIN_NAME.fullmatch(name) or name in (CLIENTS.name, SERVER.name):
        raise ArgumentError("A tier cannot have this name", found=repr(name), expected="a new identifier")
    if above == CLIENTS:
        raise ArgumentError("Nothing is below the clients", found=f"a tier {name!r} below CLIENTS")
    return PlacementLiteral(name, default_all_equal=False, above=above)


def is_above(one: PlacementLiteral, other: PlacementLiteral) -> bool:
    """Whether values go down from one placement to another: from the server, and to the clients, always."""
    if one in (other, CLIENTS) or other == SERVER:
        return False
    if other == CLIENTS or one == SERVER:
        return True
    at = other.above
    while at is not None and at != one:
        at = at.above
    return at is not None


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array, a number, a truth value or a string.

    Args:
        dtype: One of ``DTYPES``.
        shape: Length per dimension, None for an unknown one; None for an unknown rank.
    """

    dtype: DType
    shape: Shape | None = ()

    def __post_init__(self) -> None:
        if self.dtype not in _NAME_OF:
            raise ArgumentError(
                "A tensor cannot have this dtype", found=self.dtype, expected=", ".join(DTYPES)
            )
        if self.shape is not None and any(size is not None and size < 0 for size in self.shape):
            raise ArgumentError("A dimension is negative", found=self.shape)

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Struct:
    """A product of types, each with a name or without.

    Args:
        fields: ``(name, type)`` in order; the name is None where there is none.
        container: The Python class that values were in; it takes no part in comparison.
    """

    fields: tuple[tuple[str | None, Type], ...]
    container: type | None = field(default=None, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.fields))
        names = [name for name, _ in self.fields if name is not None]
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise ArgumentError(f"A struct has two fields called {twice!r}", found=show(self))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A finite sequence of values that can be folded over without being held whole."""

    element: Type

    def __post_init__(self) -> None:
        inner = next((t for t in walk(self.element) if isinstance(t, Sequence | Function | Federated)), None)
        if inner is not None:
            raise ArgumentError(
                "A sequence holds plain values only",
                found=show(inner),
                expected="tensors and structs of them",
            )

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Function:
    """A function; ``parameter`` is None where it takes no argument."""

    parameter: Type | None
    result: Type

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Federated:
    """A value that is placed: one per member of the placement, or one for all where ``all_equal``."""

    member: Type
    placement: PlacementLiteral
    all_equal: bool

    def __post_init__(self) -> None:
        inner = next((t for t in walk(self.member) if isinstance(t, Function | Federated)), None)
        if inner is not None:
            raise ArgumentError(
                f"What is placed at {self.placement} must be a plain value",
                found=show(inner),
                expected="tensors, sequences and structs of them",
            )

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Placement:
    """The type of placements themselves."""

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True, slots=True)
class Abstract:
    """A type variable.

    Args:
        label: Its name: what no field's name needs quotes for, and no word of the notation.
    """

    label: str

    def __post_init__(self) -> None:
        if not _PLAIN_NAME.fullmatch(self.label) or self.label in (*DTYPES, "placement"):
            raise ArgumentError("A type variable cannot have this name", found=repr(self.label))

    def __str__(self) -> str:
        return self.label


Type: TypeAlias = Tensor | Struct | Sequence | Function | Federated | Placement | Abstract
"""Any type of the language."""


def children(type_: Type) -> tuple[Type, ...]:
    """The types that a type is directly made of, in order."""
    match type_:
        case Struct(fields):
            return tuple(t for _, t in fields)
        case Sequence(element):
            return (element,)
        case Function(parameter, result):
            return (result,) if parameter is None else (parameter, result)
        case Federated(member):
            return (member,)
        case Tensor() | Placement() | Abstract():
            return ()
        case _:
            assert_never(type_)


def walk(type_: Type) -> Iterator[Type]:
    """All types inside a type, itself first, in reading order."""
    yield type_
    for child in children(type_):
        yield from walk(child)


def show_name(name: str) -> str:
    """A field's name as it prints: quoted unless it consists of letters, digits and ``_``, no digit first."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def _show_tensor(tensor: Tensor) -> str:
    name = _NAME_OF[tensor.dtype]
    if tensor.shape is None:
        return f"{name}[...]"
    if not tensor.shape:
        return name
    return f"{name}[{','.join('?' if size is None else str(size) for size in tensor.shape)}]"


def show(type_: Type) -> str:
    """The compact notation of a type, of which ``parse`` is the inverse."""
    match type_:
        case Tensor():
            return _show_tensor(type_)
        case Struct(fields):
            inner = (show(t) if name is None else f"{show_name(name)}={show(t)}" for name, t in fields)
            return f"<{','.join(inner)}>"
        case Sequence(element):
            return f"{show(element)}*"
        case Function(parameter, result):
            return f"({'' if parameter is None else show(parameter)} -> {show(result)})"
        case Federated(member, placement, all_equal):
            return f"{show(member) if all_equal else '{' + show(member) + '}'}@{placement.name}"
        case Placement():
            return "placement"
        case Abstract(label):
            return label
        case _:
            assert_never(type_)
