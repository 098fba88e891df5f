# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Turns a difference of two types into the error a user sees."""

from __future__ import annotations

from foedus.errors import PlacementError, StructureError, TypeMismatchError, place
from foedus.types._difference import Difference, difference, names_of
from foedus.types._types import Struct, Type


def mismatch(what: str, found: Difference, *, hint: str | None = None) -> TypeMismatchError:
    """Words a difference.

    Args:
        what: The thing that has the wrong type, such as ``the argument of `next```.
        found: Where it differs.
        hint: What to do about it; None for what can be said in general.

    Returns:
        The error, to be raised by the caller.
    """
    where = place(f"{found.path} of {what}" if found.path else what)
    if found.reason == "field" and isinstance(found.expected, Struct) and isinstance(found.found, Struct):
        return _field_error(what, found.expected, found.found, where, hint)
    sort = PlacementError if found.reason == "placement" else TypeMismatchError
    headline = {
        "dtype": "Wrong dtype",
        "shape": "Wrong shape",
        "placement": "Wrong placement",
        "all_equal": "One value for all is needed, and there is one for each",
    }.get(found.reason, "Wrong type")
    return sort(
        f"{headline} in {what}",
        found=found.found,
        expected=found.expected,
        at=where,
        hint=hint,
    )


def _field_error(
    what: str, expected: Struct, found: Struct, where: str | None, hint: str | None
) -> StructureError:
    have = {name for name, _ in found.fields}
    want = {name for name, _ in expected.fields}
    missing = [str(name) for name, _ in expected.fields if name is not None and name not in have]
    spare = [str(name) for name, _ in found.fields if name is not None and name not in want]
    if missing:
        headline = f"The field {missing[0]!r} is missing in {what}"
    elif spare:
        headline = f"There is no field {spare[0]!r} in {what}"
    else:
        headline = f"The fields of {what} differ in number or order"
    return StructureError(
        headline,
        found=f"fields {names_of(found)}",
        expected=f"fields {names_of(expected)}",
        at=where,
        hint=hint,
    )


def check_assignable(target: Type, source: Type, what: str, *, hint: str | None = None) -> None:
    """Raises unless a value of one type can be used as another.

    Args:
        target: The type that is needed.
        source: The type that is there.
        what: The thing that has it, for the error's text.
        hint: What to do about it.

    Raises:
        TypeMismatchError: If it cannot; the error names the first path where the types part.
    """
    if target == source:
        return
    found = difference(target, source)
    if found is not None:
        raise mismatch(what, found, hint=hint)
