# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The explanation of a computation: its type, what crosses, who sees what, which local code runs where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, final

from foedus.errors import ArgumentError, place
from foedus.explain._crossings import Crossing, crossings_of, flat_form
from foedus.explain._json import as_json
from foedus.explain._local_code import CodeWay, LocalCode, code_ways, local_code
from foedus.explain._overview import Overview, overview, total
from foedus.explain._text import as_text
from foedus.ir import Lambda, Node
from foedus.ir import walk as walk_program
from foedus.types import CLIENTS, SERVER, Federated, Function, PlacementLiteral, walk


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
    """What a computation does with data, known before it runs: as text, as JSON, or as a page.

    Args:
        name: The computation's name.
        type: Its type.
        crossings: Every value that moves between placements, in order.
        placements: The placements of the computation, from the server down to the clients.
        members: How many members they have, where that is known.
        local_code: Which local code runs where.
        ways: Which way the local runtime runs it, where there is something to tell: natively, by its own
            framework, or lowered to XLA together with the rest of the round. What depends on the data of a
            run, such as strings at clients, is not in it.
    """

    name: str
    type: Function
    crossings: tuple[Crossing, ...]
    placements: tuple[PlacementLiteral, ...]
    members: Mapping[PlacementLiteral, int] = field(hash=False)
    local_code: tuple[LocalCode, ...]
    ways: tuple[CodeWay, ...]

    def bytes_down(self) -> int | None:
        """Bytes that one client receives in a run; None where the types leave it open."""
        return total(c.bytes_per_client for c in self.crossings if c.destination == CLIENTS.name)

    def bytes_up(self) -> int | None:
        """Bytes that one client sends in a run; None where the types leave it open."""
        return total(c.bytes_per_client for c in self.crossings if c.origin == CLIENTS.name)

    def to_json(self) -> str:
        """The explanation as JSON, for other programs.

        Returns:
            One object with ``format`` (``"foedus.explanation"``), ``version`` (1), ``name``, ``type``,
            ``placements``, ``crossings``, ``local_code`` and ``ways``. The schema is in
            ``foedus/explain/_json.py``.
        """
        return as_json(self._overview())

    def to_html(self) -> str:
        """The explanation as one self-contained page, with a drawing of the data flow.

        Returns:
            HTML without scripts that loads nothing from elsewhere, light or dark as the reader has set.
        """
        from foedus.explain._html import as_html  # Few need it, and it takes time to load.

        return as_html(self._overview())

    def __str__(self) -> str:
        return as_text(self._overview())

    def _overview(self) -> Overview:
        members = {p.name: 1 if p == SERVER else self.members.get(p) for p in self.placements}
        code = (self.local_code, self.ways)
        return overview(self.name, self.type, self.crossings, members, code)


def explain(
    computation: Explainable,
    clients: int | None = None,
    *,
    tiers: Mapping[PlacementLiteral, int] | None = None,
) -> Explanation:
    """Says what a computation does with data: its type, what crosses between placements, and who sees what.

    Nothing runs for it. What it lists as crossing is what the reference runtime logs in a run.

    Args:
        computation: A ``Computation``.
        clients: For how many clients to count bytes in all; None counts them for one client only.
        tiers: How many members declared tiers have, for the same purpose.

    Returns:
        The explanation. Its text is a report; see also ``Explanation.to_json`` and ``Explanation.to_html``.

    Raises:
        ArgumentError: If a number is negative, or the computation has no such tier.

    Example:
        >>> import foedus as fd
        >>> @fd.computation(fd.at_clients(fd.float32))
        ... def total(readings):
        ...     return fd.federated_sum(readings)
        >>> fd.explain(total, clients=100).crossings[0].bytes_per_client
        4
    """
    type_ = computation.node.type
    assert isinstance(type_, Function)
    flat = flat_form(computation.node)
    placements = _placements(flat)
    given = {**({} if clients is None else {CLIENTS: clients}), **(tiers or {})}
    members = {placement: int(number) for placement, number in given.items()}
    _check_members(members, placements)
    order = tuple(p.name for p in placements)
    code, ways = local_code(flat, order), code_ways(flat, order)
    return Explanation(computation.name, type_, crossings_of(flat), placements, members, code, ways)


def _check_members(members: Mapping[PlacementLiteral, int], placements: tuple[PlacementLiteral, ...]) -> None:
    for placement, number in members.items():
        if number < 0:
            raise ArgumentError(f"The number of members of {placement} is negative", found=number, at=place())
        if placement not in (*placements, CLIENTS):
            raise ArgumentError(
                f"The computation has no tier {placement}",
                expected=", ".join(str(p) for p in placements if p not in (CLIENTS, SERVER)) or "no tiers",
                at=place(),
            )
    if SERVER in members:
        raise ArgumentError("There is one server", found=f"{members[SERVER]} members of SERVER", at=place())


def _placements(flat: Lambda) -> tuple[PlacementLiteral, ...]:
    """The placements in a program, from the server down to the clients."""
    found = {SERVER.name: SERVER} | {p.name: p for p in _mentioned(flat)}
    is_placed = len(found) > 1 or any(p == SERVER for p in _mentioned(flat))
    return tuple(sorted(found.values(), key=_depth)) if is_placed else ()


def _mentioned(flat: Lambda) -> Iterator[PlacementLiteral]:
    seen: set[int] = set()
    for node in walk_program(flat):
        # Nodes share their types; each is looked through once.
        if id(node.type) not in seen:
            seen.add(id(node.type))
            yield from (t.placement for t in walk(node.type) if isinstance(t, Federated))


def _depth(placement: PlacementLiteral) -> tuple[int, str]:
    """The clients last, what is above before what is below."""
    if placement == CLIENTS:
        return 1_000_000, placement.name
    return 0 if placement.above is None else 1 + _depth(placement.above)[0], placement.name
