# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An explanation as text."""

from __future__ import annotations

from foedus.explain._overview import (
    MEANING,
    SAID_OF_WAYS,
    Overview,
    Row,
    Seen,
    amount,
    called,
    count,
    grouped,
    receiver,
    sender,
    total,
    travelling,
)
from foedus.explain._type_lines import short, takes_and_gives
from foedus.types import CLIENTS, show

_MOST_ON_ONE_LINE = 110


def as_text(view: Overview) -> str:
    """Writes an explanation as text.

    Args:
        view: What there is to tell.

    Returns:
        The type, the table of crossings, who sees what, the local code and which way it runs, and, where it
        is too long to be the second line, the exact type as the last one.
    """
    compact = show(view.type)
    is_long = len(compact) > _MOST_ON_ONE_LINE
    sections = [
        [view.name, *(_type(view) if is_long else [f"  {compact}"])],
        _crossings(view),
        _who_sees_what(view),
        _local_code(view),
        _ways(view),
        ["The type in one line:", f"  {compact}"] if is_long else [],
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _type(view: Overview) -> list[str]:
    lines: list[str] = []
    for part, inner in takes_and_gives(view.type).items():
        lines += [f"  {part}", *(f"    {line}" for line in inner)]
    return lines


def _crossings(view: Overview) -> list[str]:
    if not view.rows:
        return ["Nothing crosses between clients and server."]
    head = ["from", "to", "what", "type", "bytes each" if view.has_tiers else "bytes a client", "travels as"]
    cells = [_cells(row) for row in view.rows]
    if any(row.in_all is not None for row in view.rows):
        head.insert(5, "bytes in all")
        for row, own in zip(view.rows, cells, strict=True):
            own.insert(5, "not known" if row.in_all is None else f"{row.in_all:,}")
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    table = ["What crosses:", *(_line(row, widths) for row in [head, rule, *cells])]
    return [*table, "", *(line for seen in view.placements for line in _totals(seen))]


def _cells(row: Row) -> list[str]:
    c = row.crossing
    size = amount(c.bytes_per_client)
    return [c.origin, c.destination, row.label, short(c.type), size, row.way.value]


def _line(cells: list[str], widths: list[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _totals(seen: Seen) -> list[str]:
    down, up = seen.bytes_from_above(), seen.bytes_to_above()
    if seen.name == CLIENTS.name:
        lines = [f"A client receives {_bytes(down)} and sends {_bytes(up)}."]
    elif any(not row.up for row in seen.receives) or any(row.up for row in seen.sends):
        lines = [f"A member of {seen.name} receives {_bytes(down)} from above and sends up {_bytes(up)}."]
    else:
        return []
    if seen.members is not None:
        received = total(row.in_all for row in seen.receives if not row.up)
        sent = total(row.in_all for row in seen.sends if row.up)
        lines.append(f"All {seen.members:,} together: {_bytes(received)} and {_bytes(sent)}.")
    return lines


def _bytes(size: int | None) -> str:
    return "as many bytes as data has" if size is None else count(size, "byte")


def _who_sees_what(view: Overview) -> list[str]:
    if not view.rows:
        return []
    return ["Who sees what:", *(f"  {line}" for seen in view.placements for line in _sees(seen))]


def _sees(seen: Seen) -> list[str]:
    if not seen.receives:
        return [f"{receiver(seen.name)} receives nothing."]
    lines: list[str] = []
    for (origin, way), rows in grouped(seen.receives).items():
        whom = sender(origin, up=rows[0].up)
        said = f"{count(len(rows), 'value')} from {whom} {travelling(way, len(rows))}"
        lines.append(f"{receiver(seen.name)} receives {said}{':' if MEANING[way] else '.'}")
        lines += [f"  {MEANING[way]}."] if MEANING[way] else []
    return lines


def _local_code(view: Overview) -> list[str]:
    lines: list[str] = []
    for code in view.local_code:
        where = "called on values that are not placed" if code.where is None else f"at {code.where}"
        line = f"  {where}: {count(code.functions, 'function')} of the kind {code.kind}"
        if code.is_host_code:
            line += ", host code: it runs as plain Python"
            line += ", one client after another" if code.where == CLIENTS.name else ""
        lines.append(f"{line}, loaded from bytes: its source is not here" if code.is_loaded else line)
    return ["Local code:", *lines] if lines else []


def _ways(view: Overview) -> list[str]:
    lines: list[str] = []
    for way in view.ways:
        where = "on values that are not placed" if way.where is None else f"at {way.where}"
        lines += [f"  {where}: {called(way)}", f"    {SAID_OF_WAYS[way.running.way]}: {way.running.reason}."]
        lines += [] if way.unless is None else [f"    natively all the same where {way.unless}."]
    return ["How the local runtime runs it:", *lines] if lines else []
