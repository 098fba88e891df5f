# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of a program. Each knows its type; local mistakes are refused when a node is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from foedus.errors import StructureError, TypeMismatchError, place
from foedus.types import Function, Struct, Tensor, Type, check_assignable, field_path, names_of


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that a lambda or a block around it binds."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant tensor.

    Args:
        data: Its elements in C order, little endian; JSON for strings.
        type: A tensor of known shape.
    """

    data: bytes
    type: Tensor


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """An operator of the table, at a concrete type."""

    name: str
    type: Function


@dataclass(frozen=True, slots=True)
class Foreign:
    """Local code of a framework, opaque to the language.

    Args:
        kind: The framework's name in the table of kinds.
        payload: What that framework's front end understands.
        type: The function's type.
        digest: A hash of the content; equal digests are equal code.
    """

    kind: str
    payload: Any = field(compare=False, repr=False)
    type: Function
    digest: str


@dataclass(frozen=True, slots=True)
class Record:
    """A struct made of values."""

    fields: tuple[tuple[str | None, Node], ...]
    container: type | None = field(default=None, compare=False, repr=False)
    type: Struct = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fields = tuple((name, node.type) for name, node in self.fields)
        object.__setattr__(self, "type", Struct(fields, self.container))


@dataclass(frozen=True, slots=True)
class Selection:
    """One field of a struct, by index."""

    source: Node
    index: int
    type: Type = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        struct = self.source.type
        if not isinstance(struct, Struct):
            raise StructureError(
                "Only a struct has fields", found=struct, expected="<...>", at=place(f"field {self.index}")
            )
        if not 0 <= self.index < len(struct.fields):
            raise StructureError(
                f"There is no field {self.index}",
                found=f"fields {names_of(struct)}",
                expected=f"the number of one, below {len(struct.fields)}",
                at=place(),
            )
        object.__setattr__(self, "type", struct.fields[self.index][1])


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function of the language; ``parameter`` is None where it takes no argument."""

    parameter: str | None
    parameter_type: Type | None
    body: Node
    type: Function = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.parameter is None) != (self.parameter_type is None):
            raise TypeMismatchError(
                "A parameter needs a name and a type",
                found=self.parameter or self.parameter_type,
                expected="both, or neither",
                at=place(),
            )
        object.__setattr__(self, "type", Function(self.parameter_type, self.body.type))


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to an argument, or to none."""

    function: Node
    argument: Node | None
    type: Type = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        function = self.function.type
        if not isinstance(function, Function):
            raise TypeMismatchError(
                "Only a function can be called", found=function, expected="(T -> U)", at=place()
            )
        given = None if self.argument is None else self.argument.type
        if given is None or function.parameter is None:
            if given is not function.parameter:
                raise TypeMismatchError(
                    "A call has an argument too many"
                    if function.parameter is None
                    else "A call lacks its argument",
                    found=given or "nothing",
                    expected=function.parameter or "nothing",
                    at=place(),
                )
        else:
            check_assignable(function.parameter, given, "the argument of a call")
        object.__setattr__(self, "type", function.result)


@dataclass(frozen=True, slots=True)
class Block:
    """Values with names, each visible to those after it and to the result."""

    bindings: tuple[tuple[str, Node], ...]
    result: Node
    type: Type = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", self.result.type)


Node: TypeAlias = Reference | Literal | Intrinsic | Foreign | Record | Selection | Lambda | Call | Block
"""Any node of a program."""


def select_path(struct: Struct, index: int) -> str:
    """How the selection of a field prints."""
    return field_path(index, struct.fields[index][0])
