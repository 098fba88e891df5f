# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles: one value stands for itself, none or several are a struct."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from foedus.ir import Node, Record, Selection
from foedus.types import Struct, Type


def bundle_type(types: Iterable[tuple[str | None, Type]]) -> Type:
    """The type of a bundle of values with names or without."""
    fields = tuple(types)
    return fields[0][1] if len(fields) == 1 else Struct(fields)


def bundle(nodes: Iterable[tuple[str | None, Node]]) -> Node:
    """A bundle of values with names or without."""
    fields = tuple(nodes)
    return fields[0][1] if len(fields) == 1 else Record(fields)


def unnamed(nodes: Iterable[Node]) -> Node:
    """A bundle of values without names."""
    return bundle((None, node) for node in nodes)


def named_parts(names: Collection[str], node: Node) -> dict[str, Node]:
    """Names for the values in a bundle."""
    return dict(zip(names, parts_of_bundle(node, len(names)), strict=True))


def parts_of_bundle(node: Node, count: int) -> Sequence[Node]:
    """The values in a bundle of so many."""
    return [node] if count == 1 else [Selection(node, i) for i in range(count)]
