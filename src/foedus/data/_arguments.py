# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Python values to what runtimes work on, and back, guided by the type of a computation."""

from __future__ import annotations

from foedus.data._cohort import Cohort, Source, cohort_of, to_member
from foedus.errors import DataError, StructureError, place
from foedus.types import (
    CLIENTS,
    SERVER,
    Federated,
    Function,
    PlacementLiteral,
    PlainValue,
    PythonValue,
    Sequence,
    Struct,
    Tensor,
    Type,
    check_assignable,
    field_path,
    from_plain,
    pack,
    parts_of,
    type_of,
)


def to_argument(value: PythonValue, type_: Type, what: str) -> PlainValue:
    """Takes an argument of a computation apart.

    Args:
        value: What the user passed.
        type_: The parameter's type.
        what: What it is, for the error's text.

    Returns:
        A ``Cohort`` for values at clients or at a tier, a tuple for a struct, else the plain value.

    Raises:
        TypeMismatchError: If the value does not match.
        DataError: If a client's value does not, or there is no list where one value a client is needed.
    """
    match type_:
        case Federated(member, placement, all_equal) if placement != SERVER and not all_equal:
            return _members(value, member, placement, what)
        case Federated(member):
            return to_member(value, member, what)
        case Struct(fields) if any(not isinstance(t, Tensor) for _, t in fields):
            return tuple(
                to_argument(item, t, f"{field_path(i, name).lstrip('.')} of {what}")
                for i, ((name, t), item) in enumerate(zip(fields, _items(value, type_, what), strict=True))
            )
        case Function():
            raise DataError(
                "A computation cannot take a function when it is run", found=type_, at=place(what)
            )
        case _:
            return to_member(value, type_, what)


def _items(value: PythonValue, struct: Struct, what: str) -> list[PythonValue]:
    parts = parts_of(value)
    if parts is None or len(parts) != len(struct.fields):
        raise StructureError(
            f"A struct of {len(struct.fields)} fields is needed",
            found=type(value).__name__ if parts is None else f"{len(parts)} fields",
            expected=struct,
            at=place(what),
        )
    named = {name: item for name, item in parts if name is not None}
    names = [name for name, _ in struct.fields]
    if named and set(named) == set(names):
        return [named[name] for name in names if name is not None]
    return [item for _, item in parts]


def _members(value: PythonValue, member: Type, placement: PlacementLiteral, what: str) -> Cohort:
    if not isinstance(value, Cohort) and isinstance(value, Source):
        value = value.cohort()
    one = "client" if placement == CLIENTS else f"member of {placement}"
    if isinstance(value, Cohort):
        check_assignable(member, value.type, f"the {one}s' values in {what}")
        return value
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise DataError(
            f"One value a {one} is needed in {what}",
            found=f"{type(value).__name__}: {repr(value)[:80]}",
            expected=f"a list, a mapping from ids, or a cohort, of {member}",
            at=place(),
        )
    return cohort_of(value, member)


def cohorts_of(given: PlainValue, type_: Type) -> list[tuple[PlacementLiteral, Cohort]]:
    """The cohorts inside an argument that ``to_argument`` took apart, with their placements, in order."""
    match type_:
        case Federated(_, placement) if isinstance(given, Cohort):
            return [(placement, given)]
        case Struct(fields):
            found = [cohorts_of(item, t) for (_, t), item in zip(fields, given, strict=True)]
            return [pair for pairs in found for pair in pairs]
        case _:
            return []


def from_result(value: PlainValue, type_: Type) -> PythonValue:
    """Puts a computation's result into Python containers.

    Args:
        value: What a runtime computed: plain values, and for each client one of them where they are at
            clients.
        type_: The result's type.

    Returns:
        For values at clients a list, in the order in which the clients were given; for one value for all of
        them that value, None where there are no clients.
    """
    match type_:
        case Federated(member, placement, all_equal) if placement != SERVER and not all_equal:
            return [from_plain(item, member) for item in value]
        case Federated(member):
            return None if value is None else from_plain(value, member)
        case Struct(fields):
            return pack(type_, [from_result(item, t) for (_, t), item in zip(fields, value, strict=True)])
        case Tensor() | Sequence():
            return from_plain(value, type_)
        case _:
            raise DataError("A computation returned what is no value", found=type_, at=place())


def argument_type(value: PythonValue) -> Type:
    """The type of an argument for a computation that takes any; cohorts and sources are at clients."""
    if isinstance(value, Source):
        value = value.cohort()
    if isinstance(value, Cohort):
        return Federated(value.type, CLIENTS, all_equal=False)
    parts = parts_of(value)
    if parts is not None and any(isinstance(item, Source | Cohort) for _, item in parts):
        return Struct(tuple((name, argument_type(item)) for name, item in parts))
    return type_of(value)
