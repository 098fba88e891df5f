# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An explanation as a page: well-formed, escaped, self-contained, with everything that the text says."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import foedus as fd

from .explained_programs import REGIONS, RUNS, in_regions, letters, nothing_crosses, protected

VOID = {"meta"}
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "h3",
    "p",
    "span",
    "dl",
    "div",
    "dt",
    "dd",
    "section",
    "article",
    "ul",
    "li",
    "code",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "svg",
    "rect",
    "text",
    "g",
    "line",
    "polygon",
}
EVIL = """<script>alert("1")</script> & '<b>' \x00\x1b\ud800 --> ]]> ü"""


class Page(HTMLParser):
    """Reads a page; refuses tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


PAGES = {name: fd.explain(run.program, clients=10).to_html() for name, run in RUNS.items()}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_is_well_formed_and_needs_nothing_else(page: str):
    read = Page(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert set(read.tags) <= TAGS
    assert not {name for name, _ in read.attributes} & {"src", "href", "action", "data", "srcset"}
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert not re.search(r"https?:|//|url\(|@import|@font-face|javascript", page)
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_page_has_every_crossing_and_the_type(run):
    explanation = fd.explain(run.program, clients=10)
    page = Page(explanation.to_html())
    assert str(run.program.type) in page.text
    for crossing in explanation.crossings:
        assert f"{crossing.operator}: {crossing.what}" in page.text
        assert str(crossing.type) in page.text


def test_a_page_says_who_sees_what():
    text = Page(fd.explain(in_regions, 1000, tiers={REGIONS: 5}).to_html()).text
    for line in (
        "a client receives4 bytes",
        "a client sends12 bytes",
        "in all, both ways16.1 kB",
        "up as raw collection1 value",
        "up as plain sum3 values",
        "up as secure sumnothing",
        "Has from the start: target=float32@SERVER",
        "The server receives 2 values from each member of REGIONS as plain sums: its code sees only totals,",
        "federated_mean: value float32, 4 bytes (no.\u00a04)",
        "The server receives 1 value from each client as a raw collection: its code sees every single value.",
        "REGIONS5 members",
        "Each member of REGIONS receives 1 value from the server as a copy.",
        "Each client receives 1 value from its member of REGIONS as a copy.",
        "Has at the end: [0]=float32@SERVER, [1]=float32@SERVER",
    ):
        assert line in text, line


def test_a_page_says_what_protects():
    text = Page(fd.explain(protected).to_html()).text
    assert (
        "The server receives 1 value from each client hidden: it answers without learning what was asked"
        in text
    )
    assert "3 values from each client as secure sums: nobody sees single values, only totals" in text
    assert "up as hidden1 value" in text
    assert "Each client receives 1 value from the program as a copy." in text


def test_a_page_marks_host_code_and_bytes_that_nobody_knows():
    text = Page(fd.explain(letters).to_html()).text
    assert "CLIENTSnumpy1host code: runs as plain Python, one client after another" in text
    assert "SERVERnumpy1host code: runs as plain Python" in text
    assert "SERVERjax2–" in text
    assert "a client sendsas many bytes as data has" in text


def test_where_nothing_crosses_there_is_no_drawing():
    page = Page(fd.explain(nothing_crosses).to_html())
    assert "svg" not in page.tags
    assert "Nothing crosses between clients and server." in page.text
    assert "Receives nothing from others." in page.text


def test_everything_is_escaped():
    @fd.computation(fd.at_clients(fd.to_type({"<i>&\"'": fd.float32, "b" * 80: fd.float32})))
    def odd(x):
        return fd.federated_sum(x)

    page = replace(fd.explain(odd), name=EVIL).to_html()
    read = Page(page)
    assert set(read.tags) <= TAGS
    assert "<i>&" in read.text
    assert """<script>alert("1")</script> & '<b>' ��� --> ]]> ü""" in read.text
    page.encode("utf-8")


def test_like_crossings_are_listed_together():
    @fd.computation(fd.at_clients(fd.float32))
    def sums(x):
        parts = [fd.federated_sum(fd.federated_map(lambda v, i=i: v + i, x)) for i in range(12)]
        return (fd.federated_max(x), *parts)

    text = Page(fd.explain(sums).to_html()).text
    assert "federated_sum: value float32, 4 bytes each (no.\u00a01–12)" in text
    assert "[6]=float32@SERVER and 6 more" in text
