# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A drawing of the data flow: a band for each placement, the server on top, and an arrow for what crosses.

Arrows stand from left to right in the order of the program. Where there are many, neighbours of one kind
become one arrow, and labels shrink to numbers and bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from foedus.explain._crossings import PROGRAM
from foedus.explain._overview import Overview, Passage, Row, Seen, amount, count, noun_of, total
from foedus.explain._type_lines import short
from foedus.types import SERVER

_MOST_SINGLE = 7
"""Crossings up to which each has an arrow of its own."""
_MOST_LANES = 30
"""Arrows that fit beside each other."""
_WIDE_LANE = 100
"""The width from which a label fits beside an arrow."""
_NAMES, _MARGIN, _BAND, _GAP, _LEGEND = 148, 12, 52, 104, 44
_PROGRAM_GAP = 26
"""Nothing goes from the program to what is right below it, so nothing stands there."""
_WIDTH = 1040


@dataclass(frozen=True, slots=True)
class _Arrow:
    """Crossings between the same two placements that travel in the same way."""

    rows: tuple[Row, ...]

    @property
    def way(self) -> Passage:
        """How they travel."""
        return self.rows[0].way

    @property
    def ends(self) -> tuple[str, str]:
        """Where they come from and where they go."""
        return self.rows[0].crossing.origin, self.rows[0].crossing.destination

    @property
    def numbers(self) -> str:
        """Their number or the range of their numbers, else how many there are."""
        first, last = self.rows[0].number, self.rows[-1].number
        if first == last:
            return str(first)
        return f"{first}–{last}" if last - first + 1 == len(self.rows) else f"{len(self.rows)}×"

    @property
    def size(self) -> int | None:
        """The bytes of one message of each."""
        return total(row.crossing.bytes_per_client for row in self.rows)


def drawing(view: Overview) -> Element:
    """Draws what crosses between the placements of a computation.

    Args:
        view: What there is to tell; something must cross.

    Returns:
        An ``svg`` element; its colours are classes that the page gives a meaning.
    """
    arrows = _arrows(view.rows)
    lane = min(170.0, (_WIDTH - _NAMES - _MARGIN) / len(arrows))
    bands = _bands(view)
    tops: dict[str, int] = {}
    below = 1
    for name in bands:
        tops[name] = below
        below += _BAND + (_PROGRAM_GAP if name == PROGRAM else _GAP)
    height = below - _GAP + 1 + _LEGEND
    svg = Element("svg", {"viewBox": f"0 0 {_WIDTH} {height}", "role": "img"})
    SubElement(svg, "title").text = f"What crosses between the placements of {view.name}"
    for name, detail in bands.items():
        _draw_band(svg, name, detail, tops[name])
    for i, arrow in enumerate(arrows):
        _draw_arrow(svg, arrow, _NAMES + lane * i + min(24.0, lane / 2), lane, tops)
    _draw_legend(svg, [way for way in Passage if any(arrow.way is way for arrow in arrows)], height - 14)
    return svg


def _arrows(rows: tuple[Row, ...]) -> list[_Arrow]:
    """One a crossing; one a run of neighbours of one kind where there are many; at worst one a kind."""
    if len(rows) <= _MOST_SINGLE:
        return [_Arrow((row,)) for row in rows]
    runs = [_Arrow(tuple(run)) for _, run in itertools.groupby(rows, _sort)]
    if len(runs) <= _MOST_LANES:
        return runs
    kinds = {_sort(row): None for row in rows}
    return [_Arrow(tuple(row for row in rows if _sort(row) == kind)) for kind in kinds]


def _sort(row: Row) -> tuple[str, str, Passage]:
    return row.crossing.origin, row.crossing.destination, row.way


def _bands(view: Overview) -> dict[str, str]:
    """The bands from top to bottom, each with a line about it."""
    program = {PROGRAM: "constants"} if any(r.crossing.origin == PROGRAM for r in view.rows) else {}
    return program | {seen.name: _detail(seen) for seen in view.placements}


def _detail(seen: Seen) -> str:
    if seen.name == SERVER.name:
        return "one server"
    noun = noun_of(seen.name)
    return f"every {noun}" if seen.members is None else count(seen.members, noun)


def _draw_band(svg: Element, name: str, detail: str, y: int) -> None:
    place = {"x": "1", "y": str(y), "width": str(_WIDTH - 2), "height": str(_BAND), "rx": "10"}
    SubElement(svg, "rect", place | {"class": "band program" if name == PROGRAM else "band"})
    _text(svg, _cut(name, 14), (16, y + 23), "name")
    _text(svg, detail, (16, y + 41), "detail")


def _text(parent: Element, text: str, at: tuple[float, float], sort: str) -> Element:
    element = SubElement(parent, "text", {"x": _number(at[0]), "y": _number(at[1]), "class": sort})
    element.text = text
    return element


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _draw_arrow(svg: Element, arrow: _Arrow, x: float, lane: float, tops: dict[str, int]) -> None:
    origin, destination = arrow.ends
    down = tops[destination] > tops[origin]
    start = tops[origin] + (_BAND if down else 0)
    end = tops[destination] + (0 if down else _BAND)
    group = SubElement(svg, "g", {"class": f"arrow {css_class(arrow.way)}"})
    SubElement(group, "title").text = "\n".join(_told(arrow.rows))
    back = end - 9 if down else end + 9
    line = {"x1": _number(x), "y1": str(start), "x2": _number(x), "y2": str(back)}
    SubElement(group, "line", line)
    tip = f"{_number(x)},{end} {_number(x - 5.5)},{back} {_number(x + 5.5)},{back}"
    SubElement(group, "polygon", {"points": tip})
    # Beside the arrow's tip, where no band lies between.
    middle = end - _GAP / 2 if down else end + _GAP / 2
    _draw_number(group, arrow.numbers, (x, middle))
    if lane >= _WIDE_LANE:
        lines = [_cut(line, int(lane - 30) // 6) for line in _named(arrow)]
        lines += [rounded(arrow.size), arrow.way.value.removesuffix(" collection")]
        beside = x + 6 + max(11.0, 4.0 * len(arrow.numbers) + 5)
        top = middle - 7.5 * (len(lines) - 1) + 4
        for i, line in enumerate(lines):
            _text(group, line, (beside, top + 15 * i), "label" if i < len(lines) - 2 else "size")
    else:
        beside = _text(group, rounded(arrow.size), (x + 15, middle + 34), "size")
        beside.set("transform", f"rotate(-90 {_number(x + 15)} {_number(middle + 34)})")


def _draw_number(group: Element, numbers: str, at: tuple[float, float]) -> None:
    width = max(22.0, 8.0 * len(numbers) + 10)
    place = {
        "x": _number(at[0] - width / 2),
        "y": _number(at[1] - 11),
        "width": _number(width),
        "height": "22",
    }
    SubElement(group, "rect", place | {"rx": "11"})
    _text(group, numbers, (at[0], at[1] + 4), "number")


def _named(arrow: _Arrow) -> list[str]:
    first = arrow.rows[0].crossing
    if len(arrow.rows) > 1:
        return [count(len(arrow.rows), "value")]
    operator = first.operator.removeprefix("federated_")
    return [operator] if operator == first.what else [operator, first.what]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _told(rows: Iterable[Row]) -> list[str]:
    """What shows where the pointer rests on an arrow."""
    return [
        f"{row.number}. {row.label}, {short(row.crossing.type)}, "
        f"{amount(row.crossing.bytes_per_client)} bytes, {row.way.value}"
        for row in rows
    ]


def rounded(size: int | None) -> str:
    """A number of bytes with three digits and a unit."""
    if size is None:
        return "? B"
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def css_class(way: Passage) -> str:
    """The class that has the colour of a way of travelling."""
    return way.value.replace(" ", "-")


def _draw_legend(svg: Element, ways: list[Passage], y: float) -> None:
    x = 1.0
    for way in ways:
        group = SubElement(
            svg, "g", {"class": f"arrow {css_class(way)}", "transform": f"translate({_number(x)} {y})"}
        )
        SubElement(group, "line", {"x1": "0", "y1": "-4", "x2": "30", "y2": "-4"})
        SubElement(group, "polygon", {"points": "39,-4 30,-9.5 30,1.5"})
        _text(group, way.value, (47, 0), "label")
        x += 66 + 7.2 * len(way.value)
