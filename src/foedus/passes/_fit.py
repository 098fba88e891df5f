# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the programs of a canonical form fit together."""

from __future__ import annotations

from dataclasses import dataclass

from foedus.errors import CompositionError, place
from foedus.ir import Node, check
from foedus.types import SERVER, Federated, Function, Struct, Type, difference, field_path


def struct(**types: Type) -> Struct:
    """A struct type with names."""
    return Struct(tuple(types.items()))


def pair(one: Type, other: Type) -> Struct:
    """A struct type of two fields without names."""
    return Struct(((None, one), (None, other)))


@dataclass(frozen=True, slots=True)
class Fit:
    """Checks the programs of one form.

    Args:
        form: What it is called in errors.
    """

    form: str

    def error(self, what: str, found: object, expected: object) -> CompositionError:
        """An error about one of the programs, to be raised by the caller."""
        return CompositionError(f"This is no {self.form}: {what}", found=found, expected=expected, at=place())

    def result(self, name: str, program: Node, given: Type | None) -> Type:
        """The type of what a program makes of its argument.

        Args:
            name: What the program is called.
            program: The program.
            given: The type of what it is given, None for nothing.

        Returns:
            The type of its result.

        Raises:
            CompositionError: If it does not take that.
            TypeMismatchError: If it is not well typed, or not closed.
        """
        check(program)
        type_ = program.type
        if not isinstance(type_, Function):
            raise self.error(f"{name} is not a function", type_, "(T -> U)")
        wanted = Function(given, type_.result)
        if difference(wanted, type_) is not None:
            raise self.error(f"{name} does not take what it is given", type_, wanted)
        return type_.result

    def fields(self, name: str, program: Node, given: Type | None, *names: str) -> list[Type]:
        """The types of the fields of what a program makes of its argument.

        Args:
            name: What the program is called.
            program: The program.
            given: The type of what it is given, None for nothing.
            *names: What the fields must be called.

        Returns:
            Their types.

        Raises:
            CompositionError: If it does not take that, or returns other fields.
            TypeMismatchError: If it is not well typed, or not closed.
        """
        result = self.result(name, program, given)
        if not isinstance(result, Struct) or [field for field, _ in result.fields] != list(names):
            wanted = f"<{','.join(f'{field}=...' for field in names)}>"
            raise self.error(f"{name} returns other fields", result, wanted)
        return [type_ for _, type_ in result.fields]

    def require(self, name: str, wanted: Type, found: Type) -> None:
        """Refuses a result that cannot be used where another is needed."""
        if difference(wanted, found) is not None:
            raise self.error(f"{name} returns another type", found, wanted)

    def require_at_server(self, result: Type, path: str = "") -> None:
        """Refuses the type of a computation with results that are not at the server."""
        if isinstance(result, Struct):
            for i, (name, type_) in enumerate(result.fields):
                self.require_at_server(type_, path + field_path(i, name))
        elif not isinstance(result, Federated) or result.placement != SERVER:
            raise self.error(f"the result {path}".rstrip() + " is not at the server", result, "T@SERVER")

    def require_same(self, name: str, wanted: Type, found: Type) -> None:
        """Refuses a result that is not exactly of a type."""
        if found != wanted:
            raise self.error(f"{name} returns another type", found, wanted)
