# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Assignability, as the first difference between two types."""

from __future__ import annotations

from dataclasses import dataclass

from foedus.types._types import (
    Abstract,
    Federated,
    Function,
    Placement,
    Sequence,
    Struct,
    Tensor,
    Type,
    show_name,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a type is not what it should be.

    Args:
        path: Fields from the outside in, such as ``.delta.w``; empty at the top. ``*`` is a sequence's
            element, ``@`` a placed value's member, ``(`` and ``)`` a function's parameter and result.
        expected: The type that is needed there.
        found: The type that is there.
        reason: What is wrong in a few words: ``dtype``, ``shape``, ``field``, ``placement``, ``kind``,
            ``all_equal``.
    """

    path: str
    expected: Type
    found: Type
    reason: str


def field_path(index: int, name: str | None) -> str:
    """How one step into a struct is written: ``.name`` or ``[index]``."""
    return f"[{index}]" if name is None else f".{show_name(name)}"


def difference(target: Type, source: Type, path: str = "") -> Difference | None:
    """Finds the first place that keeps a value of one type from being used as another.

    Args:
        target: The type that is needed.
        source: The type that is there.
        path: What to write before every path.

    Returns:
        The first difference in reading order, or None where ``source`` is assignable to ``target``.
    """
    match target, source:
        case Tensor(), Tensor():
            reason = _tensor_reason(target, source)
            return Difference(path, target, source, reason) if reason else None
        case Struct(), Struct():
            return _struct_difference(target, source, path)
        case Sequence(wanted), Sequence(given):
            return difference(wanted, given, f"{path}*")
        case Federated(), Federated():
            if target.placement != source.placement:
                return Difference(path, target, source, "placement")
            if target.all_equal and not source.all_equal:
                return Difference(path, target, source, "all_equal")
            return difference(target.member, source.member, path)
        case Function(), Function():
            return _function_difference(target, source, path)
        case (Placement(), Placement()) | (Abstract(), Abstract()) if target == source:
            return None
        case _:
            return Difference(path, target, source, "kind")


def _tensor_reason(target: Tensor, source: Tensor) -> str:
    if target.dtype != source.dtype:
        return "dtype"
    if target.shape is None:
        return ""
    if source.shape is None or len(target.shape) != len(source.shape):
        return "shape"
    fits = all(want is None or want == have for want, have in zip(target.shape, source.shape, strict=True))
    return "" if fits else "shape"


def _struct_difference(target: Struct, source: Struct, path: str) -> Difference | None:
    if target is source:
        return None
    for index, (wanted, given) in enumerate(zip(target.fields, source.fields, strict=False)):
        if given[0] not in (None, wanted[0]):
            return Difference(path, target, source, "field")
        found = difference(wanted[1], given[1], path + field_path(index, wanted[0]))
        if found is not None:
            return found
    if len(target.fields) != len(source.fields):
        return Difference(path, target, source, "field")
    return None


def _function_difference(target: Function, source: Function, path: str) -> Difference | None:
    if (target.parameter is None) != (source.parameter is None):
        return Difference(path, target, source, "kind")
    if target.parameter is not None and source.parameter is not None:
        found = difference(source.parameter, target.parameter, f"{path}(")
        if found is not None:
            return Difference(found.path, found.found, found.expected, found.reason)
    return difference(target.result, source.result, f"{path})")


def is_assignable(target: Type, source: Type) -> bool:
    """Whether a value of type ``source`` can be used where ``target`` is needed."""
    return target == source or difference(target, source) is None


def is_equivalent(one: Type, other: Type) -> bool:
    """Whether each of two types is assignable to the other."""
    return is_assignable(one, other) and is_assignable(other, one)


def names_of(struct: Struct) -> str:
    """The fields of a struct for an error's text."""
    return ", ".join(field_path(i, name).lstrip(".") for i, (name, _) in enumerate(struct.fields)) or "none"
