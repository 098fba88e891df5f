# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Type schemes: types with variables, matched against types and filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from foedus.errors import TypeMismatchError, place
from foedus.types._difference import difference
from foedus.types._types import (
    Abstract,
    Federated,
    Function,
    Placement,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
)

Bindings: TypeAlias = Mapping[str, Type | PlacementLiteral]
"""What stands for each variable of a scheme."""


def unify(scheme: Type, type_: Type, *, placements: tuple[PlacementLiteral, ...] = ()) -> Bindings:
    """Finds what a scheme's variables stand for in a type.

    Args:
        scheme: A type in which abstract types are variables.
        type_: A type.
        placements: Placements in the scheme that are variables too.

    Returns:
        A type for each abstract type's label, and a placement for each placement variable's name.

    Raises:
        TypeMismatchError: If the type is no instance of the scheme, for example because a variable would have
            to be two
            different types.
    """
    found: dict[str, Type | PlacementLiteral] = {}
    _unify(scheme, type_, placements, found)
    return found


def _mismatch(scheme: Type, type_: Type) -> TypeMismatchError:
    return TypeMismatchError("A type is no instance of a scheme", found=type_, expected=scheme, at=place())


def _unify(
    scheme: Type,
    type_: Type,
    placements: tuple[PlacementLiteral, ...],
    found: dict[str, Type | PlacementLiteral],
) -> None:
    match scheme, type_:
        case Abstract(label), _:
            if found.setdefault(label, type_) != type_:
                raise TypeMismatchError(
                    f"The variable {label} would be two types",
                    found=type_,
                    expected=found[label],
                    at=place(),
                )
        case Struct(fields), Struct(others):
            if [name for name, _ in fields] != [name for name, _ in others]:
                raise _mismatch(scheme, type_)
            for (_, part), (_, other) in zip(fields, others, strict=True):
                _unify(part, other, placements, found)
        case Sequence(element), Sequence(other):
            _unify(element, other, placements, found)
        case Function(parameter, result), Function(other, other_result):
            if parameter is not None and other is not None:
                _unify(parameter, other, placements, found)
            elif parameter is not other:
                raise _mismatch(scheme, type_)
            _unify(result, other_result, placements, found)
        case Federated(), Federated():
            _unify_placed(scheme, type_, placements, found)
        case (Tensor(), Tensor()) | (Placement(), Placement()) if difference(scheme, type_) is None:
            pass
        case _:
            raise _mismatch(scheme, type_)


def _unify_placed(
    scheme: Federated,
    type_: Federated,
    placements: tuple[PlacementLiteral, ...],
    found: dict[str, Type | PlacementLiteral],
) -> None:
    name = scheme.placement.name
    expected = found.setdefault(name, type_.placement) if scheme.placement in placements else scheme.placement
    if expected != type_.placement:
        raise _mismatch(scheme, type_)
    _unify(scheme.member, type_.member, placements, found)


def substitute(scheme: Type, bindings: Bindings) -> Type:
    """Fills in a scheme's variables.

    Args:
        scheme: A type in which abstract types are variables.
        bindings: What stands for them; variables that are missing stay.

    Returns:
        The type.
    """
    match scheme:
        case Abstract(label):
            bound = bindings.get(label, scheme)
            return scheme if isinstance(bound, PlacementLiteral) else bound
        case Struct(fields, container):
            return Struct(tuple((name, substitute(t, bindings)) for name, t in fields), container)
        case Sequence(element):
            return Sequence(substitute(element, bindings))
        case Function(parameter, result):
            given = None if parameter is None else substitute(parameter, bindings)
            return Function(given, substitute(result, bindings))
        case Federated(member, placement, all_equal):
            bound = bindings.get(placement.name, placement)
            where = bound if isinstance(bound, PlacementLiteral) else placement
            return Federated(substitute(member, bindings), where, all_equal)
        case Tensor() | Placement():
            return scheme
