# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An explanation as one page of HTML that needs nothing else."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from foedus.explain._drawing import css_class, drawing, rounded
from foedus.explain._overview import (
    MEANING,
    SAID_OF_WAYS,
    Overview,
    Passage,
    Row,
    amount,
    called,
    count,
    grouped,
    noun_of,
    receiver,
    sender,
    total,
    travelling,
)
from foedus.explain._style import STYLE
from foedus.explain._type_lines import WIDTH, short, show_lines, takes_and_gives
from foedus.types import CLIENTS, SERVER, Type, show

_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_MOST_TYPE = 40
"""Characters of a type that are shown where it can be looked up in full."""
_MOST_PARTS = 8
"""Parts of an argument or a result that are listed for one placement."""


def as_html(view: Overview) -> str:
    """Writes an explanation as a page.

    Args:
        view: What there is to tell.

    Returns:
        The page. What comes from the computation is escaped, and replaced where it cannot be printed.
    """
    page = Element("html", {"lang": "en"})
    head = SubElement(page, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    _add(head, "title", f"{view.name}: who sees what")
    _add(head, "style", STYLE)
    body = SubElement(SubElement(page, "body"), "main")
    _add(body, "h1", view.name)
    _add(body, "p", "What this computation does with data, known before it runs.", "soft")
    _short_facts(body, view)
    _flow(body, view)
    _who_sees_what(body, view)
    _crossings(body, view)
    _local_code(body, view)
    _ways(body, view)
    _type(body, view)
    for element in page.iter():
        element.text = _printable(element.text or "")
        element.attrib = {name: _printable(value) for name, value in element.attrib.items()}
    return f"<!DOCTYPE html>\n{tostring(page, encoding='unicode', method='html')}\n"


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _add(parent: Element, tag: str, text: str = "", sort: str = "") -> Element:
    element = SubElement(parent, tag, {"class": sort} if sort else {})
    element.text = text
    return element


def _section(body: Element, title: str) -> Element:
    section = SubElement(body, "section")
    _add(section, "h2", title)
    return section


def _short_facts(body: Element, view: Overview) -> None:
    """The bytes of one client, and how many values travel up in each way."""
    if not view.rows:
        _add(body, "p", "Nothing crosses between clients and server.", "verdict")
        return
    facts = SubElement(body, "dl", {"class": "facts"})
    clients = next((seen for seen in view.placements if seen.name == CLIENTS.name), None)
    if clients is not None:
        _fact(facts, "a client receives", f"{_size(clients.bytes_from_above())}")
        _fact(facts, "a client sends", f"{_size(clients.bytes_to_above())}")
    together = total(row.in_all for row in view.rows)
    if together is not None:
        _fact(facts, "in all, both ways", rounded(together))
    for way in (Passage.RAW, Passage.PLAIN_SUM, Passage.SECURE_SUM, Passage.HIDDEN):
        number = sum(row.up and row.way is way for row in view.rows)
        if number or way is not Passage.HIDDEN:
            _fact(
                facts,
                f"up as {way.value}",
                count(number, "value") if number else "nothing",
                way if number else None,
            )


def _fact(facts: Element, what: str, text: str, way: Passage | None = None) -> None:
    fact = SubElement(facts, "div", {"class": f"fact {css_class(way)}" if way else "fact"})
    _add(fact, "dt", what)
    _add(fact, "dd", text)


def _flow(body: Element, view: Overview) -> None:
    if not view.rows:
        return
    section = _section(body, "The data flow")
    SubElement(section, "div", {"class": "wide"}).append(drawing(view))
    each = "each message" if view.has_tiers else "one client"
    text = f"In the order of the program, from left to right, numbered as below. Bytes are those of {each}."
    _add(section, "p", text, "soft")


def _who_sees_what(body: Element, view: Overview) -> None:
    if not view.placements:
        return
    section = _section(body, "Who sees what")
    for seen in view.placements:
        card = SubElement(section, "article")
        title = _add(card, "h3", seen.name)
        if seen.members is not None and seen.name != SERVER.name:
            _add(title, "span", count(seen.members, noun_of(seen.name)), "soft")
        _held(card, "Has from the start", seen.starts_with)
        for (origin, _), rows in grouped(seen.receives).items():
            _received(card, origin, rows)
        if not seen.receives:
            _add(card, "p", "Receives nothing from others.")
        _held(card, "Has at the end", seen.ends_with)


def _held(card: Element, what: str, parts: tuple[tuple[str, Type], ...]) -> None:
    if not parts:
        return
    line = _add(card, "p", f"{what}: ")
    shown = parts if len(parts) <= _MOST_PARTS else parts[: _MOST_PARTS - 1]
    for i, (path, t) in enumerate(shown):
        code = SubElement(line, "code", {"title": show(t)})
        code.text = f"{path}={short(t, _MOST_TYPE)}" if path else short(t, _MOST_TYPE)
        code.tail = ", " if i < len(shown) - 1 else ""
    if len(shown) < len(parts):
        _add(line, "span", f" and {len(parts) - len(shown)} more", "soft")


def _received(card: Element, origin: str, rows: list[Row]) -> None:
    way = rows[0].way
    who, whom = receiver(rows[0].crossing.destination), sender(origin, up=rows[0].up)
    line = _add(card, "p", f"{who} receives {count(len(rows), 'value')} from {whom} ")
    chip = _add(line, "span", travelling(way, len(rows)), f"chip {css_class(way)}")
    chip.tail = f": {MEANING[way]}." if MEANING[way] else "."
    items = SubElement(card, "ul")
    alike: dict[tuple[str, Type], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.label, row.crossing.type), []).append(row)
    for (label, t), same in alike.items():
        item = _add(items, "li", f"{label} ")
        code = _add(item, "code", short(t))
        code.tail = f", {_size(same[0].crossing.bytes_per_client)}{' each' if len(same) > 1 else ''} "
        _add(item, "span", f"(no.\u00a0{_numbers([row.number for row in same])})", "soft")


def _numbers(numbers: list[int]) -> str:
    """Numbers in rising order, with those next to each other as ranges: ``1, 4–6``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _size(size: int | None) -> str:
    return "as many bytes as data has" if size is None else count(size, "byte")


def _crossings(body: Element, view: Overview) -> None:
    if not view.rows:
        return
    section = _section(body, "What crosses")
    each = "bytes each" if view.has_tiers else "bytes a client"
    head = ["no.", "from", "to", "what", "type", each, "travels as"]
    is_counted = any(row.in_all is not None for row in view.rows)
    if is_counted:
        head.insert(6, "bytes in all")
    table = SubElement(SubElement(section, "div", {"class": "wide"}), "table")
    titles = SubElement(SubElement(table, "thead"), "tr")
    for title in head:
        _add(titles, "th", title, "number" if title == "no." or title.startswith("bytes") else "")
    rows = SubElement(table, "tbody")
    for row in view.rows:
        _crossing(SubElement(rows, "tr"), row, is_counted=is_counted)


def _crossing(line: Element, row: Row, *, is_counted: bool) -> None:
    c = row.crossing
    _add(line, "td", str(row.number), "number")
    for text in (c.origin, c.destination, row.label):
        _add(line, "td", text)
    _type_cell(SubElement(line, "td"), c.type)
    _add(line, "td", amount(c.bytes_per_client), "number")
    if is_counted:
        _add(line, "td", "not known" if row.in_all is None else f"{row.in_all:,}", "number")
    _add(SubElement(line, "td"), "span", row.way.value, f"chip {css_class(row.way)}")


def _type_cell(cell: Element, type_: Type) -> None:
    """The type, or, where it is long, its beginning and end, which open to all of it."""
    if len(show(type_)) <= _MOST_TYPE:
        _add(cell, "code", show(type_))
        return
    details = SubElement(cell, "details")
    _add(SubElement(details, "summary"), "code", short(type_, _MOST_TYPE))
    _add(details, "pre", show_lines(type_, width=60))


def _local_code(body: Element, view: Overview) -> None:
    if not view.local_code:
        return
    section = _section(body, "Local code")
    table = SubElement(SubElement(section, "div", {"class": "wide"}), "table")
    titles = SubElement(SubElement(table, "thead"), "tr")
    for title in ("where", "kind", "functions", "remarks"):
        _add(titles, "th", title, "number" if title == "functions" else "")
    rows = SubElement(table, "tbody")
    for code in view.local_code:
        line = SubElement(rows, "tr")
        _add(line, "td", code.where or "on values that are not placed")
        _add(line, "td", code.kind)
        _add(line, "td", str(code.functions), "number")
        one_by_one = ", one client after another" if code.where == CLIENTS.name else ""
        remark = f"host code: runs as plain Python{one_by_one}" if code.is_host_code else "–"
        _add(line, "td", "loaded from bytes: its source is not here" if code.is_loaded else remark)


def _ways(body: Element, view: Overview) -> None:
    if not view.ways:
        return
    section = _section(body, "How the local runtime runs it")
    table = SubElement(SubElement(section, "div", {"class": "wide"}), "table")
    titles = SubElement(SubElement(table, "thead"), "tr")
    for title in ("where", "code", "way", "why"):
        _add(titles, "th", title)
    rows = SubElement(table, "tbody")
    for way in view.ways:
        line = SubElement(rows, "tr")
        _add(line, "td", way.where or "on values that are not placed")
        _add(line, "td", called(way))
        _add(line, "td", SAID_OF_WAYS[way.running.way])
        remark = "" if way.unless is None else f"; natively all the same where {way.unless}"
        _add(line, "td", way.running.reason + remark)


def _type(body: Element, view: Overview) -> None:
    section = _section(body, "Type")
    for part, lines in takes_and_gives(view.type).items():
        _add(section, "h3", part)
        _add(section, "pre", "\n".join(lines))
    details = SubElement(section, "details")
    if len(show(view.type)) <= WIDTH:
        details.set("open", "open")
    _add(details, "summary", "The type in one line")
    _add(details, "pre", show(view.type), "wrapped")
