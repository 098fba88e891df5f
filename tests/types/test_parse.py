# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The compact notation: printing and parsing are inverses, and errors show where a text is no type."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.errors import TypeSyntaxError
from foedus.types import Abstract, Struct, Type, at_server, int32, parse, parse_prefix, show, tensor

TEXTS = [
    "int32",
    "bfloat16[2,?]",
    "float32[...]",
    "str",
    "<>",
    "<a=int32,b=bool>",
    "<int32,int32>",
    '<"a b"=int32,"1"=str,int32>',
    '<"say \\"hi\\""=int32>',
    '<"\\ud800"=int32>',
    "float32[?,784]*",
    "<x=float32,y=int32>*",
    "( -> int32)",
    "(<a={float32[10]}@CLIENTS,b=float32@SERVER> -> (int32 -> str))",
    "{float32[10]}@CLIENTS",
    "float32@CLIENTS",
    "{int32}@SERVER",
    "{float32*}@CLIENTS",
    "float32*@SERVER",
    "placement",
    "T",
    "{T}@CLIENTS",
    "<int32=str,in=bool>",
    "<größe=int32>",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_parsed_prints_as_it_was(text: str):
    assert show(parse(text)) == text


@given(testing.types())
def test_what_is_printed_parses_to_the_same(type_: Type):
    assert parse(str(type_)) == type_


@given(testing.types(), testing.types())
def test_types_that_print_alike_are_equal(one: Type, other: Type):
    assert (str(one) == str(other)) == (one == other)


@given(st.text(alphabet='<>{}[]()=,*@?->".\\int32 abCLIENTSERV'))
def test_any_other_text_is_refused_or_means_what_it_prints(text: str):
    try:
        type_ = parse(text)
    except TypeSyntaxError:
        return
    assert parse(show(type_)) == type_


def test_blanks_between_tokens_do_not_count():
    assert parse(" < a = int32 , { float32 [ 2 , ? ] } @ CLIENTS > ") == parse(
        "<a=int32,{float32[2,?]}@CLIENTS>"
    )


def test_a_prefix_says_where_the_text_goes_on():
    assert parse_prefix("x:float32[2] -> x", 2) == (tensor("float32", (2,)), 12)


def test_a_name_that_needs_no_quotes_may_have_them():
    assert parse('<"a"=int32>') == Struct((("a", int32),))


def test_a_word_that_is_no_dtype_is_a_variable():
    assert parse("float8") == Abstract("float8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            """
            This is not a type: expected a type
              found     
                        ^ character 1
            """,
        ),
        (
            "int32 int32",
            """
            This is not a type: something follows the type
              found     int32 int32
                              ^ character 7
            """,
        ),
        (
            "<a=int32,b=>",
            """
            This is not a type: expected a type
              found     <a=int32,b=>
                                   ^ character 12
            """,
        ),
        (
            "<a=int32 b=int32>",
            """
            This is not a type: expected ','
              found     <a=int32 b=int32>
                                 ^ character 10
            """,
        ),
        (
            "{int32}@HERE",
            """
            This is not a type: expected a placement, one of CLIENTS, SERVER
              found     {int32}@HERE
                                ^ character 9
            """,
        ),
        (
            "{int32}",
            """
            This is not a type: expected '@'
              found     {int32}
                               ^ character 8
            """,
        ),
        (
            "float32[2,x]",
            """
            This is not a type: expected a dimension
              found     float32[2,x]
                                  ^ character 11
            """,
        ),
        (
            "float32[1234567890123456789]",
            """
            This is not a type: a dimension that no array can have
              found     float32[1234567890123456789]
                                ^ character 9
            """,
        ),
        (
            "(int32 -> int32",
            """
            This is not a type: expected ')'
              found     (int32 -> int32
                                       ^ character 16
            """,
        ),
        (
            "<a=int32,a=int32>",
            """
            This is not a type: A struct has two fields called 'a'
              found     <a=int32,a=int32>
                                         ^ character 18
            """,
        ),
        (
            '<"\\x"=int32>',
            """
            This is not a type: a name with a bad escape
              found     <"\\x"=int32>
                         ^ character 2
            """,
        ),
        (
            "int32**",
            """
            This is not a type: A sequence holds plain values only
              found     int32**
                               ^ character 8
            """,
        ),
        (
            "(" * 300,
            """
            This is not a type: nested deeper than 200 levels
              found     ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((
                                                      ^ character 201
            """,
        ),
    ],
)
def test_an_error_shows_where_the_text_stops_being_a_type(text: str, message: str):
    with pytest.raises(TypeSyntaxError) as caught:
        parse(text)
    assert str(caught.value) == textwrap.dedent(message).strip("\n").rstrip(" ")


def test_a_text_may_name_only_known_placements():
    with pytest.raises(TypeSyntaxError):
        parse(str(at_server(int32)), placements=())
