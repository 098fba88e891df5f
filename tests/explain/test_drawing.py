# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The drawing of the data flow stays readable, however much crosses."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

import foedus as fd

from .explained_programs import (
    COUNTRIES,
    DISTRICTS,
    crossing_often,
    in_regions,
    in_two_tiers,
    protected,
)

WIDTH = 1040


def drawn(program: fd.Computation, **members) -> ElementTree.Element:
    page = fd.explain(program, **members).to_html()
    found = re.search(r"<svg .*?</svg>", page, re.DOTALL)
    assert found
    return ElementTree.fromstring(found.group())


def arrows(svg: ElementTree.Element) -> list[ElementTree.Element]:
    """The arrows in order, without those of the legend."""
    return [g for g in svg.iter("g") if g.find("rect") is not None]


def texts(element: ElementTree.Element, sort: str) -> list[str]:
    return [text.text or "" for text in element.iter("text") if text.get("class") == sort]


def test_bands_stand_from_the_server_down():
    svg = drawn(in_two_tiers, clients=9, tiers={COUNTRIES: 2, DISTRICTS: 1})
    assert texts(svg, "name") == ["SERVER", "COUNTRIES", "DISTRICTS", "CLIENTS"]
    assert texts(svg, "detail") == ["one server", "2 members", "1 member", "9 clients"]
    assert texts(drawn(protected), "name") == ["PROGRAM", "SERVER", "CLIENTS"]
    assert texts(drawn(protected), "detail") == ["constants", "one server", "every client"]


def test_arrows_go_from_band_to_band_in_order():
    svg = drawn(in_regions)
    bands = dict(zip(texts(svg, "name"), svg.findall("rect"), strict=True))
    found = arrows(svg)
    assert [texts(arrow, "number") for arrow in found] == [["1"], ["2"], ["3"], ["4"], ["5"], ["6"]]
    assert [arrow.get("class") for arrow in found][-2:] == ["arrow plain-sum", "arrow raw-collection"]
    assert texts(found[0], "label") == ["sum", "value"]
    assert texts(found[0], "size") == ["8 B", "plain sum"]
    ends = [
        ("CLIENTS", "REGIONS"),
        ("SERVER", "REGIONS"),
        ("REGIONS", "CLIENTS"),
        *[("REGIONS", "SERVER")] * 2,
    ]
    for arrow, (origin, destination) in zip(found, [*ends, ("CLIENTS", "SERVER")], strict=True):
        line, tip = arrow.find("line"), arrow.find("polygon")
        assert line is not None
        assert tip is not None
        _touches(bands[origin], float(line.get("y1", "")))
        _touches(bands[destination], float(tip.get("points", "").split()[0].split(",")[1]))


def _touches(band: ElementTree.Element, y: float) -> None:
    top = float(band.get("y", ""))
    assert y in (top, top + float(band.get("height", "")))


def test_the_legend_has_the_ways_that_occur():
    legend = [g for g in drawn(in_regions).iter("g") if g.find("rect") is None]
    assert [texts(g, "label") for g in legend] == [["copy"], ["plain sum"], ["raw collection"]]


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 15, 25])
def test_arrows_stay_apart_and_inside(steps: int, alike: bool):
    """From 2 to 50 crossings."""
    svg = drawn(crossing_often(steps, alike=alike))
    found = arrows(svg)
    assert 1 <= len(found) <= 30
    pills = [rect for arrow in found for rect in arrow.findall("rect")]
    edges = [(float(p.get("x", "")), float(p.get("width", ""))) for p in pills]
    assert all(x + width <= other for (x, width), (other, _) in itertools.pairwise(edges))
    assert edges[0][0] > 100
    assert edges[-1][0] + edges[-1][1] <= WIDTH


def test_neighbours_of_one_kind_become_one_arrow():
    (arrow,) = arrows(drawn(crossing_often(5, alike=True)))
    assert texts(arrow, "number") == ["1–10"]
    assert texts(arrow, "label") == ["10 values"]
    assert texts(arrow, "size") == ["40 B", "plain sum"]
    title = arrow.find("title")
    assert title is not None
    assert len((title.text or "").splitlines()) == 10


def test_what_does_not_fit_beside_each_other_becomes_one_arrow_a_kind():
    down, up = arrows(drawn(crossing_often(20, alike=False)))
    assert (texts(down, "number"), texts(up, "number")) == (["20×"], ["20×"])
    assert texts(up, "label") == ["20 values"]


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((), "4 B"),
        ((249,), "996 B"),
        ((250,), "1 kB"),
        ((12345,), "49.4 kB"),
        ((10**6,), "4 MB"),
        ((249_900,), "1000 kB"),
        ((10**9,), "4 GB"),
        ((10**15,), "4 PB"),
        ((10**18,), "4000 PB"),
    ],
)
def test_bytes_are_rounded(shape: tuple[int, ...], text: str):
    @fd.computation(fd.at_clients(fd.tensor("float32", shape)))
    def total(x):
        return fd.federated_sum(x)

    assert texts(arrows(drawn(total))[0], "size")[0] == text


def test_a_long_name_is_cut():
    long = fd.tier("A_TIER_WITH_A_LONG_NAME")

    @fd.computation(fd.at_clients(fd.float32))
    def total(x):
        return fd.federated_sum(fd.federated_sum(x, to=long))

    assert texts(drawn(total), "name")[1] == "A_TIER_WITH_A…"
