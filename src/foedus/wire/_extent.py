# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How large a program is once its shared parts are counted wherever they stand.

A program is stored as a table of nodes in which each is stored once, so a few hundred bytes could stand for
a tree, or for a type, that no memory holds. Everything that walks over a program takes time for every node
of the tree, and for every part of the types that it compares there. That is added up while the table grows,
before anything is walked over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from foedus.ir import Call, Intrinsic, Node, children
from foedus.types import Type
from foedus.types import children as parts_of_type

DEEPEST = 200
"""Levels of nodes, and of types: as many as the text of a program can have."""
MOST_WORK = 1 << 24
"""Parts of types at all nodes of the tree."""
MOST_NODES = 1 << 20
"""Nodes, and literals; each takes some hundred bytes of memory."""
MOST_LEAVES = 1 << 12
MOST_TYPES = 1 << 16
MOST_TIERS = 1 << 6
MOST_TEXT = 1 << 24
"""Characters of all types; a type takes some hundred bytes of memory for every three of them."""
_CHECKED = 4
"""How often the rule of an operator goes over its type."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a node or a type extends.

    Args:
        depth: How many levels it has.
        work: How many parts there are, for a node those of all types in it.
    """

    depth: int
    work: int


@final
@dataclass
class Extents:
    """The extents of the nodes of one table, which keeps the nodes and with them their types alive."""

    _types: dict[int, Extent] = field(default_factory=dict[int, Extent])
    _nodes: dict[int, Extent] = field(default_factory=dict[int, Extent])
    total: int = 0

    def of_type(self, type_: Type) -> Extent:
        """The extent of a type, computed once for each object."""
        found = self._types.get(id(type_))
        if found is None:
            parts = [self.of_type(part) for part in parts_of_type(type_)]
            found = _joined(parts, 1)
            self._types[id(type_)] = found
        return found

    def compare(self, function: Node, argument: Node | None) -> str | None:
        """Counts what a call compares when it is made.

        Args:
            function: The function; it was added before.
            argument: The argument; it too.

        Returns:
            What there is too much of, or None.
        """
        self.total += self._compared(function, argument)
        return self._excess(self.total)

    def add(self, node: Node) -> str | None:
        """Adds a node whose children were added before.

        Args:
            node: The node.

        Returns:
            What there is too much of, or None.
        """
        type_ = self.of_type(node.type)
        own = 1 + type_.work * (_CHECKED if isinstance(node, Intrinsic) else 1)
        if isinstance(node, Call):
            own += self._compared(node.function, node.argument)
        extent = _joined([self._nodes[id(child)] for child in children(node)], own)
        self._nodes[id(node)] = extent
        self.total += own
        if extent.depth > DEEPEST or type_.depth > DEEPEST:
            return f"nodes or types nested deeper than {DEEPEST} levels"
        return self._excess(max(extent.work, self.total))

    def _compared(self, function: Node, argument: Node | None) -> int:
        given = 0 if argument is None else self.of_type(argument.type).work
        return self.of_type(function.type).work + given

    @staticmethod
    def _excess(work: int) -> str | None:
        return f"more than {MOST_WORK} parts of types at its nodes" if work > MOST_WORK else None


def _joined(parts: list[Extent], own: int) -> Extent:
    return Extent(1 + max((part.depth for part in parts), default=0), own + sum(part.work for part in parts))
