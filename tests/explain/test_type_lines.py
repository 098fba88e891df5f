# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types laid out over lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.explain import show_lines
from foedus.testing import types
from foedus.types import parse, show


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("<a=int32,b=bool>", 16, ["<a=int32,b=bool>"]),
        ("<a=int32,b=bool>", 15, ["<", "  a=int32,", "  b=bool", ">"]),
        ("{<a=int32,b=bool>*}@CLIENTS", 20, ["{<", "  a=int32,", "  b=bool", ">*}@CLIENTS"]),
        (
            "<int32,<x=bool,y=str>>@SERVER",
            15,
            ["<", "  int32,", "  <", "    x=bool,", "    y=str", "  >", ">@SERVER"],
        ),
        ("( -> <a=int32,b=bool>)", 18, ["( -> <", "  a=int32,", "  b=bool", ">)"]),
        ("(int32@SERVER -> {float32}@CLIENTS)", 20, ["(int32@SERVER", "-> {float32}@CLIENTS)"]),
        ('<"a b"=<>,c=placement>', 10, ["<", '  "a b"=<>,', "  c=placement", ">"]),
    ],
)
def test_what_does_not_fit_is_broken_at_its_fields(text: str, width: int, lines: list[str]):
    assert show_lines(parse(text), width=width).splitlines() == lines


@given(types(), st.integers(0, 60))
def test_lines_are_read_as_the_same_type(type_, width):
    lines = show_lines(type_, width=width)
    assert parse(lines) == type_
    assert "".join(line.strip() for line in lines.splitlines()).replace(" ", "") == show(type_).replace(
        " ", ""
    )
