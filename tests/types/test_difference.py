# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Assignability, rule by rule (spec, section 2), and the error that a user sees where it fails."""

from __future__ import annotations

import pytest
from hypothesis import given

from foedus import testing
from foedus.errors import PlacementError, StructureError, TypeMismatchError
from foedus.types import (
    Difference,
    Struct,
    Tensor,
    Type,
    check_assignable,
    difference,
    is_assignable,
    is_equivalent,
    parse,
)


@pytest.mark.parametrize(
    ("target", "source"),
    [
        # A1: tensors
        ("float32", "float32"),
        ("float32[?]", "float32[3]"),
        ("float32[?]", "float32[?]"),
        ("float32[2,?]", "float32[2,3]"),
        ("float32[...]", "float32"),
        ("float32[...]", "float32[2,?]"),
        ("float32[...]", "float32[...]"),
        # A2: structs
        ("<>", "<>"),
        ("<a=int32>", "<a=int32>"),
        ("<a=int32,b=bool>", "<int32,bool>"),
        ("<a=int32,b=bool>", "<int32,b=bool>"),
        ("<int32,bool>", "<int32,bool>"),
        ("<a=<b=float32[?]>>", "<<float32[2]>>"),
        # A3: sequences
        ("float32[?]*", "float32[3]*"),
        ("<a=int32>*", "<int32>*"),
        # A4: functions
        ("( -> float32[?])", "( -> float32[3])"),
        ("(float32[3] -> int32)", "(float32[?] -> int32)"),
        ("((float32[?] -> int32) -> int32)", "((float32[3] -> int32) -> int32)"),
        # A5: placed values
        ("{float32[?]}@CLIENTS", "{float32[3]}@CLIENTS"),
        ("{float32}@CLIENTS", "float32@CLIENTS"),
        ("float32@CLIENTS", "float32@CLIENTS"),
        ("float32@SERVER", "float32@SERVER"),
        # A6: placements and type variables
        ("placement", "placement"),
        ("T", "T"),
    ],
)
def test_assignable(target: str, source: str):
    assert difference(parse(target), parse(source)) is None
    assert is_assignable(parse(target), parse(source))


@pytest.mark.parametrize(
    ("target", "source", "path", "expected", "found", "reason"),
    [
        # A1: tensors
        ("float32", "float64", "", "float32", "float64", "dtype"),
        ("float32", "float32[1]", "", "float32", "float32[1]", "shape"),
        ("float32[3]", "float32[?]", "", "float32[3]", "float32[?]", "shape"),
        ("float32[?]", "float32[...]", "", "float32[?]", "float32[...]", "shape"),
        ("float32[2,?]", "float32[3,3]", "", "float32[2,?]", "float32[3,3]", "shape"),
        # A2: structs
        ("<a=int32>", "<b=int32>", "", "<a=int32>", "<b=int32>", "field"),
        ("<int32>", "<a=int32>", "", "<int32>", "<a=int32>", "field"),
        ("<a=int32,b=bool>", "<b=bool,a=int32>", "", "<a=int32,b=bool>", "<b=bool,a=int32>", "field"),
        ("<a=int32>", "<a=int32,b=bool>", "", "<a=int32>", "<a=int32,b=bool>", "field"),
        ("<a=int32,b=bool>", "<a=int32>", "", "<a=int32,b=bool>", "<a=int32>", "field"),
        ("<a=int32,b=bool>", "<a=bool,c=bool>", ".a", "int32", "bool", "dtype"),
        ('<"a b"=<int32>>', "<<str>>", '."a b"[0]', "int32", "str", "dtype"),
        ("<>", "<int32>", "", "<>", "<int32>", "field"),
        ("<int32>", "int32", "", "<int32>", "int32", "kind"),
        # A3: sequences
        ("float32[3]*", "float32[?]*", "*", "float32[3]", "float32[?]", "shape"),
        ("<a=int32>*", "<a=bool>*", "*.a", "int32", "bool", "dtype"),
        # A4: functions
        ("(int32 -> int32)", "( -> int32)", "", "(int32 -> int32)", "( -> int32)", "kind"),
        ("( -> int32)", "(int32 -> int32)", "", "( -> int32)", "(int32 -> int32)", "kind"),
        ("(float32[?] -> int32)", "(float32[3] -> int32)", "(", "float32[?]", "float32[3]", "shape"),
        ("(<a=int32> -> int32)", "(<a=bool> -> int32)", "(.a", "int32", "bool", "dtype"),
        ("( -> <a=int32>)", "( -> <a=bool>)", ").a", "int32", "bool", "dtype"),
        # A5: placed values
        ("int32@SERVER", "{int32}@CLIENTS", "", "int32@SERVER", "{int32}@CLIENTS", "placement"),
        ("int32@CLIENTS", "{int32}@CLIENTS", "", "int32@CLIENTS", "{int32}@CLIENTS", "all_equal"),
        ("{<a=int32>}@CLIENTS", "{<a=bool>}@CLIENTS", ".a", "int32", "bool", "dtype"),
        ("int32@SERVER", "int32", "", "int32@SERVER", "int32", "kind"),
        # A6: placements and type variables
        ("T", "U", "", "T", "U", "kind"),
        ("placement", "int32", "", "placement", "int32", "kind"),
    ],
)
def test_not_assignable(target: str, source: str, path: str, expected: str, found: str, reason: str):
    assert difference(parse(target), parse(source)) == Difference(path, parse(expected), parse(found), reason)
    assert not is_assignable(parse(target), parse(source))


@given(testing.types())
def test_every_type_is_assignable_to_itself(type_: Type):
    assert difference(type_, type_) is None
    assert is_equivalent(type_, parse(str(type_)))


@given(testing.types(), testing.types(), testing.types())
def test_assignability_is_transitive(one: Type, two: Type, three: Type):
    if is_assignable(one, two) and is_assignable(two, three):
        assert is_assignable(one, three)


def loosened(type_: Type) -> Type:
    """The type with every shape in it unknown."""
    match type_:
        case Tensor(dtype):
            return Tensor(dtype, None)
        case Struct(fields):
            return Struct(tuple((name, loosened(t)) for name, t in fields))
        case _:
            return type_


@given(testing.plain_types())
def test_a_known_shape_is_assignable_to_an_unknown_one_and_not_back(type_: Type):
    loose = loosened(type_)
    assert is_assignable(loose, type_)
    assert is_assignable(type_, loose) == (loose == type_)


@pytest.mark.parametrize(
    ("target", "source", "sort", "message"),
    [
        (
            "<model=<w=float32[10],b=float32>>",
            "<model=<w=float64[10],b=float32>>",
            TypeMismatchError,
            """
            Wrong dtype in the argument of `next`
              found     float64[10]
              expected  float32[10]
              at        .model.w of the argument of `next`, HERE
            """,
        ),
        (
            "<model=<w=float32[10]>>",
            "<model=<w=float32[9]>>",
            TypeMismatchError,
            """
            Wrong shape in the argument of `next`
              found     float32[9]
              expected  float32[10]
              at        .model.w of the argument of `next`, HERE
            """,
        ),
        (
            "int32@SERVER",
            "{int32}@CLIENTS",
            PlacementError,
            """
            Wrong placement in the argument of `next`
              found     {int32}@CLIENTS
              expected  int32@SERVER
              at        the argument of `next`, HERE
            """,
        ),
        (
            "int32@CLIENTS",
            "{int32}@CLIENTS",
            TypeMismatchError,
            """
            One value for all is needed, and there is one for each in the argument of `next`
              found     {int32}@CLIENTS
              expected  int32@CLIENTS
              at        the argument of `next`, HERE
            """,
        ),
        (
            "<model=<w=int32,b=int32>>",
            "<model=<w=int32>>",
            StructureError,
            """
            The field 'b' is missing in the argument of `next`
              found     fields w
              expected  fields w, b
              at        .model of the argument of `next`, HERE
            """,
        ),
        (
            "<w=int32>",
            "<w=int32,b=int32>",
            StructureError,
            """
            There is no field 'b' in the argument of `next`
              found     fields w, b
              expected  fields w
              at        the argument of `next`, HERE
            """,
        ),
        (
            "<w=int32,b=int32>",
            "<b=int32,w=int32>",
            StructureError,
            """
            The fields of the argument of `next` differ in number or order
              found     fields b, w
              expected  fields w, b
              at        the argument of `next`, HERE
            """,
        ),
        (
            "<>",
            "<int32>",
            StructureError,
            """
            The fields of the argument of `next` differ in number or order
              found     fields [0]
              expected  fields none
              at        the argument of `next`, HERE
            """,
        ),
        (
            "int32*",
            "int32",
            TypeMismatchError,
            """
            Wrong type in the argument of `next`
              found     int32
              expected  int32*
              at        the argument of `next`, HERE
            """,
        ),
    ],
)
def test_the_error_names_the_path_to_the_first_difference(refused, target, source, sort, message):
    with refused(sort, message):
        check_assignable(parse(target), parse(source), "the argument of `next`")


def test_a_hint_says_what_to_do(refused):
    message = """
    Wrong dtype in the weight
      found     str
      expected  int32
      at        the weight, HERE
      hint      count the letters
    """
    with refused(TypeMismatchError, message):
        check_assignable(parse("int32"), parse("str"), "the weight", hint="count the letters")
