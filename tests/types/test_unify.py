# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Schemes: matching them against types, and filling them in."""

import pytest

from foedus.errors import TypeMismatchError
from foedus.types import CLIENTS, SERVER, Abstract, PlacementLiteral, parse, substitute, tier, unify

P = PlacementLiteral("P", default_all_equal=False, above=SERVER)


@pytest.mark.parametrize(
    ("scheme", "type_", "expected"),
    [
        ("T", "int32", {"T": "int32"}),
        ("(T -> U)", "(<int32,str> -> float32*)", {"T": "<int32,str>", "U": "float32*"}),
        ("<a=T,b=T>", "<a=int32,b=int32>", {"T": "int32"}),
        ("{T}@CLIENTS", "{float32[10]}@CLIENTS", {"T": "float32[10]"}),
        ("float32[?]", "float32[3]", {}),
        ("( -> T)", "( -> <>)", {"T": "<>"}),
        ("<T*,(T -> U)>", "<int32*,(int32 -> placement)>", {"T": "int32", "U": "placement"}),
    ],
)
def test_a_scheme_finds_its_variables(scheme, type_, expected):
    found = unify(parse(scheme), parse(type_))
    assert {label: str(bound) for label, bound in found.items()} == expected


def test_a_placement_can_be_a_variable():
    scheme = parse("(<fn=(T -> U),value={T}@P> -> {U}@P)", (P,))
    type_ = parse("(<fn=(int32 -> str),value={int32}@CLIENTS> -> {str}@CLIENTS)")
    found = unify(scheme, type_, placements=(P,))
    assert found["P"] == CLIENTS
    assert substitute(scheme, found) == type_


@pytest.mark.parametrize(
    ("scheme", "type_", "headline"),
    [
        ("<T,T>", "<int32,float32>", "The variable T would be two types"),
        ("<a=T>", "<b=int32>", "A type is no instance of a scheme"),
        ("T*", "int32", "A type is no instance of a scheme"),
        ("(T -> U)", "( -> int32)", "A type is no instance of a scheme"),
        ("{T}@CLIENTS", "int32@SERVER", "A type is no instance of a scheme"),
        ("float32[3]", "float32[?]", "A type is no instance of a scheme"),
        ("{T}@CLIENTS", "{int32}@TIER", "A type is no instance of a scheme"),
    ],
)
def test_what_is_no_instance_is_refused(scheme, type_, headline):
    with pytest.raises(TypeMismatchError, match=headline):
        unify(parse(scheme), parse(type_, (CLIENTS, SERVER, tier("TIER"))))


def test_missing_variables_stay():
    assert substitute(parse("<T,U>"), {"T": parse("int32")}) == parse("<int32,U>")
    assert substitute(Abstract("T"), {"T": CLIENTS}) == Abstract("T")


def test_variables_are_filled_in_wherever_they_stand():
    scheme = parse("<a=T*,(T -> U),( -> placement),{U}@CLIENTS>")
    bindings = {"T": parse("int32"), "U": parse("str"), "CLIENTS": parse("int32")}
    assert substitute(scheme, bindings) == parse("<a=int32*,(int32 -> str),( -> placement),{str}@CLIENTS>")
