# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The explanation of a computation: its type, and who sees what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from foedus.explain._crossings import Crossing, crossings, short
from foedus.ir import Node
from foedus.types import CLIENTS, Function, Type


class Explainable(Protocol):
    """A computation, as far as explaining needs it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def node(self) -> Node:
        """Its program."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Explanation:
    """What a computation does with data, known before it runs. ``print`` it.

    Args:
        name: The computation's name.
        type: Its type.
        crossings: Every value that moves between placements, in order.
    """

    name: str
    type: Type
    crossings: tuple[Crossing, ...]

    def bytes_down(self) -> int | None:
        """Bytes that one client receives in a run; None where the types leave it open."""
        return _total([c.bytes_per_client for c in self.crossings if c.destination == CLIENTS.name])

    def bytes_up(self) -> int | None:
        """Bytes that one client sends in a run; None where the types leave it open."""
        return _total([c.bytes_per_client for c in self.crossings if c.origin == CLIENTS.name])

    def __str__(self) -> str:
        lines = [f"{self.name}", f"  {self.type}", ""]
        if not self.crossings:
            return "\n".join([*lines, "Nothing crosses between clients and server."])
        head = ("from", "to", "what", "type", "bytes a client", "the receiver gets them")
        rows = [
            (
                c.origin,
                c.destination,
                f"{c.operator}: {c.what}",
                short(c.type),
                _amount(c.bytes_per_client),
                c.protection.value,
            )
            for c in self.crossings
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines += ["What crosses:", _line(head, widths), "  " + "  ".join("-" * width for width in widths)]
        lines += [_line(row, widths) for row in rows]
        down, up = _amount(self.bytes_down()), _amount(self.bytes_up())
        return "\n".join([*lines, "", f"A client receives {down} bytes and sends {up} bytes."])


def _amount(size: int | None) -> str:
    return "as data has it" if size is None else f"{size:,}"


def _total(sizes: list[int | None]) -> int | None:
    return None if None in sizes else sum(size or 0 for size in sizes)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def explain(computation: Explainable) -> Explanation:
    """Says what a computation does with data: its type, and what crosses between clients and server.

    Args:
        computation: A ``Computation``.

    Returns:
        The explanation; its text is a table.
    """
    type_ = computation.node.type
    assert isinstance(type_, Function)
    return Explanation(computation.name, type_, crossings(computation.node))
