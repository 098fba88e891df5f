# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a computation, arranged for telling: numbered crossings, and what each placement sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from foedus.explain._crossings import PROGRAM, Crossing, Protection
from foedus.explain._local_code import CodeWay, LocalCode
from foedus.foreign import Way
from foedus.types import CLIENTS, SERVER, Federated, Function, Struct, Type, field_path


class Passage(Enum):
    """How values travel, in the words that people use."""

    COPY = "copy"
    PLAIN_SUM = "plain sum"
    SECURE_SUM = "secure sum"
    RAW = "raw collection"
    HIDDEN = "hidden"


MEANING = {
    Passage.COPY: "",
    Passage.RAW: "its code sees every single value",
    Passage.PLAIN_SUM: "its code sees only totals, but whoever adds up could see single values",
    Passage.SECURE_SUM: "nobody sees single values, only totals (runtimes on one machine simulate this)",
    Passage.HIDDEN: "it answers without learning what was asked (runtimes on one machine simulate this)",
}
"""What a way of travelling means for what the receiver sees, to be added to a sentence."""

_ONE_AND_MANY = {
    Passage.COPY: ("as a copy", "as copies"),
    Passage.PLAIN_SUM: ("as a plain sum", "as plain sums"),
    Passage.SECURE_SUM: ("as a secure sum", "as secure sums"),
    Passage.RAW: ("as a raw collection", "as raw collections"),
    Passage.HIDDEN: ("hidden", "hidden"),
}


def travelling(way: Passage, number: int) -> str:
    """How so many values travel, as part of a sentence."""
    return _ONE_AND_MANY[way][number != 1]


@dataclass(frozen=True, slots=True)
class Row:
    """A crossing with its number.

    Args:
        number: Its number, from 1, in the order of the program.
        crossing: The crossing.
        up: Whether it goes towards the server.
        way: How it travels.
        in_all: The bytes of all its messages; None where they or their number are not known.
    """

    number: int
    crossing: Crossing
    up: bool
    way: Passage
    in_all: int | None

    @property
    def label(self) -> str:
        """The operator, and which of its messages."""
        return f"{self.crossing.operator}: {self.crossing.what}"

    @property
    def each(self) -> str:
        """The placement that has a message for each of its members: the lower one of the two."""
        return self.crossing.origin if self.up else self.crossing.destination


@dataclass(frozen=True, slots=True)
class Seen:
    """What the members of a placement see.

    Args:
        name: The placement's name.
        members: How many there are; None if not known.
        starts_with: Paths in the argument, and types, of what is there from the start.
        receives: What it gets from others.
        sends: What it gives to others.
        ends_with: Paths in the result, and types, of what is there at the end.
    """

    name: str
    members: int | None
    starts_with: tuple[tuple[str, Type], ...]
    receives: tuple[Row, ...]
    sends: tuple[Row, ...]
    ends_with: tuple[tuple[str, Type], ...]

    def bytes_from_above(self) -> int | None:
        """Bytes that one member gets from above; None where types leave it open."""
        return total(row.crossing.bytes_per_client for row in self.receives if not row.up)

    def bytes_to_above(self) -> int | None:
        """Bytes that one member sends up; None where types leave it open."""
        return total(row.crossing.bytes_per_client for row in self.sends if row.up)


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the text, the JSON and the page tell.

    Args:
        name: The computation's name.
        type: Its type.
        rows: What crosses, in order.
        placements: What each placement sees, from the server down to the clients.
        local_code: Which local code runs where.
        ways: Which way the local runtime runs it.
    """

    name: str
    type: Function
    rows: tuple[Row, ...]
    placements: tuple[Seen, ...]
    local_code: tuple[LocalCode, ...]
    ways: tuple[CodeWay, ...]

    @property
    def has_tiers(self) -> bool:
        """Whether there are placements between the server and the clients."""
        return any(seen.name not in (SERVER.name, CLIENTS.name) for seen in self.placements)


def overview(
    name: str,
    type_: Function,
    crossings: tuple[Crossing, ...],
    members: Mapping[str, int | None],
    code: tuple[tuple[LocalCode, ...], tuple[CodeWay, ...]],
) -> Overview:
    """Arranges what is known of a computation.

    Args:
        name: Its name.
        type_: Its type.
        crossings: What crosses.
        members: The names of its placements from top to bottom, and how many members each has.
        code: Which local code runs where, and which way.

    Returns:
        The overview.
    """
    ranks = {PROGRAM: -1, **{placement: i for i, placement in enumerate(members)}}
    rows: list[Row] = []
    for number, crossing in enumerate(crossings, 1):
        up = ranks[crossing.origin] > ranks[crossing.destination]
        count = members[crossing.origin if up else crossing.destination]
        size = crossing.bytes_per_client
        in_all = None if size is None or count is None else size * count
        rows.append(Row(number, crossing, up, _way(crossing.protection, up), in_all))
    held_first = [] if type_.parameter is None else list(_placed(type_.parameter))
    held_last = list(_placed(type_.result))
    placements = tuple(
        Seen(
            name=placement,
            members=count,
            starts_with=tuple((path, t) for path, t in held_first if t.placement.name == placement),
            receives=tuple(row for row in rows if row.crossing.destination == placement),
            sends=tuple(row for row in rows if row.crossing.origin == placement),
            ends_with=tuple((path, t) for path, t in held_last if t.placement.name == placement),
        )
        for placement, count in members.items()
    )
    return Overview(name, type_, tuple(rows), placements, *code)


def _way(protection: Protection, up: bool) -> Passage:
    match protection:
        case Protection.NONE:
            return Passage.RAW if up else Passage.COPY
        case Protection.SUM:
            return Passage.PLAIN_SUM
        case Protection.SECURE_SUM:
            return Passage.SECURE_SUM
        case Protection.HIDDEN:
            return Passage.HIDDEN
        case _:
            assert_never(protection)


def _placed(type_: Type, path: str = "") -> Iterator[tuple[str, Federated]]:
    """The placed values in a type, with their paths."""
    match type_:
        case Federated():
            yield path.removeprefix("."), type_
        case Struct(fields):
            for i, (name, t) in enumerate(fields):
                yield from _placed(t, path + field_path(i, name))
        case _:
            return


def total(sizes: Iterator[int | None]) -> int | None:
    """The sum of sizes; None where one is not known."""
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)


def grouped(rows: tuple[Row, ...]) -> dict[tuple[str, Passage], list[Row]]:
    """What a placement receives, by whom it comes from and how it travels, in the order of the program."""
    found: dict[tuple[str, Passage], list[Row]] = {}
    for row in rows:
        found.setdefault((row.crossing.origin, row.way), []).append(row)
    return found


def receiver(placement: str) -> str:
    """A placement as the one who does something, at the start of a sentence."""
    match placement:
        case SERVER.name:
            return "The server"
        case CLIENTS.name:
            return "Each client"
        case _:
            return f"Each member of {placement}"


def sender(placement: str, *, up: bool) -> str:
    """A placement as the one from whom something comes: from each below, or from the one above."""
    match placement:
        case SERVER.name:
            return "the server"
        case CLIENTS.name:
            return "each client"
        case "PROGRAM":
            return "the program"
        case _:
            return f"each member of {placement}" if up else f"its member of {placement}"


def noun_of(placement: str) -> str:
    """What one of a placement's members is called."""
    return "client" if placement == CLIENTS.name else "member"


def amount(size: int | None) -> str:
    """A number of bytes as people read it."""
    return "as data has it" if size is None else f"{size:,}"


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 value``, ``2 values``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def called(way: CodeWay) -> str:
    """A piece of local code by what is known of it: name, line, and the digits of its leaf."""
    name, line = way.running.name, way.running.line
    known = [f"{name!r}" if name else "", f"({line})" if line else ""]
    return " ".join(part for part in [*known, way.kind, way.digest] if part)


SAID_OF_WAYS = {
    Way.NATIVE: "natively",
    Way.LOWERED: "lowered to XLA, with the rest of the round",
}
"""How the local runtime runs code, in the words that people use."""
