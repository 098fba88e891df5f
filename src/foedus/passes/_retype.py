# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The very type of a value, containers included: passes keep it, so that results come back as they did."""

from __future__ import annotations

from foedus.ir import Call, Lambda, Node, Reference
from foedus.types import Type, walk


def containers_of(type_: Type) -> tuple[type | None, ...]:
    """The containers of a type and of all types in it, which take no part in comparing types."""
    return tuple(getattr(t, "container", None) for t in walk(type_))


def is_exactly(one: Type, other: Type) -> bool:
    """Whether two types are equal, containers included."""
    return one is other or (one == other and containers_of(one) == containers_of(other))


def retyped(node: Node, type_: Type, name: str = "x") -> Node:
    """A node as one of exactly a type to which its own is assignable."""
    if is_exactly(node.type, type_):
        return node
    return Call(Lambda(name, type_, Reference(name, type_)), node)
