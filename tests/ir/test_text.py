# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The text of programs: printing and parsing are inverses, and errors show where a text is no program."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus import testing
from foedus.errors import FoedusError, StructureError, TypeMismatchError, TypeSyntaxError
from foedus.ir import check, leaves_of, parse_program, show_program, show_program_lines
from foedus.testing import Program
from foedus.types import CLIENTS, SERVER

TEXTS = [
    "3:int32",
    "-3:int8",
    "18446744073709551615:uint64",
    "true:bool",
    "1.5:float32",
    "-0.0:float64",
    "nan:float32",
    "[inf,-inf]:float16[2]",
    "1.5:bfloat16",
    "1.0+2.0j:complex64",
    "-0.0-infj:complex128",
    '"a \\"b\\"":str',
    '["a","\\u0000"]:str[2]',
    "[[1,2],[3,4]]:int32[2,2]",
    "[]:int32[0]",
    "[[],[]]:int32[2,0]",
    "<>",
    "<1:int32,a=<true:bool>>",
    '<"a b"=1:int32>',
    '<"a b"=1:int32>."a b"',
    "<a=1:int32,2:int32>.a",
    "<a=1:int32,2:int32>[1]",
    "<<a=1:int32>>[0].a",
    "(x:int32 -> x)",
    "( -> 1:int32)",
    "( -> 1:int32)()",
    "(x:<a=int32,b={float32}@CLIENTS> -> x.a)",
    "(x:int32 -> x)(1:int32)",
    "(f:(int32 -> int32) -> f(1:int32))",
    "(let x=1:int32 in x)",
    "(let x=1:int32,y=<x,x> in y[0])",
    "(let x=1:int32,x=<x> in x)",
    "(x:int32 -> (let x=<x> in (x:bool -> x)))",
    "federated_value@SERVER(1:int32)",
    "federated_value@CLIENTS(<a=1:int32>)",
    "federated_eval@CLIENTS(( -> 1:int32))",
    "(x:{float32}@CLIENTS -> federated_mean(x))",
    "(x:float32@SERVER -> federated_map(<fn=(y:float32 -> <y,y>),value=x>))",
    "federated_sum:({int32}@CLIENTS -> int32@SERVER)",
    "federated_sum:({int32}@CLIENTS -> int32@SERVER)(federated_value@CLIENTS(1:int32))",
    "(größe:int32 -> größe)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_parsed_prints_as_it_was(text: str):
    node = parse_program(text)
    assert show_program(node) == text
    assert parse_program(show_program_lines(node)) == node
    check(node)


@settings(max_examples=60)
@given(testing.programs())
def test_what_is_printed_parses_to_the_same(program: Program):
    node = program.computation.node
    for text in (show_program(node), show_program_lines(node)):
        again = parse_program(text, leaves_of(node), placements=(CLIENTS, SERVER, *program.tiers))
        assert again == node
        assert check(again) == node.type


def test_blocks_print_with_a_line_a_binding_for_people():
    node = parse_program("(x:int32 -> (let y=<x,x>,z=(let w=y[0] in w) in <y,z>))")
    assert show_program_lines(node) == textwrap.dedent(
        """
        (x:int32 -> (let
          y=<x,x>,
          z=(let
            w=y[0]
          in w)
        in <y,z>))
        """
    ).strip()  # fmt: skip


def test_a_large_literal_prints_as_a_hash():
    node = parse_program(f"[{','.join(map(str, range(100)))}]:int32[100]")
    text = show_program(node)
    assert text.startswith("literal#")
    assert len(text) == len("literal#") + 16
    assert parse_program(text, leaves_of(node)) == node


def test_a_call_of_an_operator_at_another_type_says_which():
    text = "(x:int32@CLIENTS -> federated_sum:({int32}@CLIENTS -> int32@SERVER)(x))"
    assert show_program(parse_program(text)) == text


def test_the_names_of_a_text_need_not_differ():
    node = parse_program("(let x=1:int32 in <x,(let x=true:bool in x),x>)")
    assert str(node.type) == "<int32,bool,int32>"


@given(st.text(alphabet='<>()[]{}=,.:*@->#"\\ 1.5einfjxlettrufederated_summap'))
def test_any_other_text_is_refused_or_means_what_it_prints(text: str):
    try:
        node = parse_program(text)
    except FoedusError:
        return
    assert parse_program(show_program(node), leaves_of(node)) == node


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(x:int32 -> y)",
            """
            This is not a program: nothing is called 'y' here
              found     (x:int32 -> y)
                                    ^ character 13
            """,
        ),
        (
            "<a=1:int32>.b",
            """
            This is not a program: there is no field 'b'
              found     <a=1:int32>.b
                                     ^ character 14
            """,
        ),
        (
            "x",
            """
            This is not a program: nothing is called 'x' here
              found     x
                        ^ character 1
            """,
        ),
        (
            "300:int8",
            """
            This is not a program: the value does not fit its type
              found     300:int8
                                ^ character 9
            """,
        ),
        (
            "1:<int32>",
            """
            This is not a program: only tensors have constants
              found     1:<int32>
                                 ^ character 10
            """,
        ),
        (
            "(let x=1:int32 x)",
            """
            This is not a program: expected ','
              found     (let x=1:int32 x)
                                       ^ character 16
            """,
        ),
        (
            "(x:int32 -> x",
            """
            This is not a program: expected ')'
              found     (x:int32 -> x
                                     ^ character 14
            """,
        ),
        (
            "federated_sum()",
            """
            This is not a program: federated_sum needs an argument
              found     federated_sum()
                                       ^ character 16
            """,
        ),
        (
            "federated_value@HERE(1:int32)",
            """
            This is not a program: expected a placement, one of CLIENTS, SERVER
              found     federated_value@HERE(1:int32)
                                            ^ character 21
            """,
        ),
        (
            "federated_sum:int32",
            """
            This is not a program: an operator has the type of a function
              found     federated_sum:int32
                                           ^ character 20
            """,
        ),
        (
            "jax#0123456789abcdef",
            """
            This is not a program: the table of leaves has no such leaf
              found     jax#0123456789abcdef
                        ^ character 1
            """,
        ),
        (
            "1:int32 2",
            """
            This is not a program: something follows the program
              found     1:int32 2
                                ^ character 9
            """,
        ),
        (
            "",
            """
            This is not a program: expected a name
              found     
                        ^ character 1
            """,
        ),
        (
            "(x:int32 -> x.a)",
            """
            This is not a program: only a struct has fields
              found     (x:int32 -> x.a)
                                     ^ character 14
            """,
        ),
        (
            "(x:int33< -> x)",
            """
            This is not a program: expected '->'
              found     (x:int33< -> x)
                                ^ character 9
            """,
        ),
    ],
)
def test_an_error_shows_where_the_text_is_no_program(text: str, message: str):
    with pytest.raises(TypeSyntaxError) as caught:
        parse_program(text)
    assert str(caught.value) == textwrap.dedent(message).strip("\n").rstrip(" ")


@pytest.mark.parametrize(
    "text",
    ["1:int32[0]", "[1]:int32", "[[1],[2,3]]:int32[2,2]", '"a":int32', "[1]:str[1]", "1.5:int32", "2:bool"],
)
def test_a_constant_fits_its_type(text: str):
    with pytest.raises(TypeSyntaxError, match=r"^This is not a program: the value does not fit its type"):
        parse_program(text)


def test_a_field_by_number_exists():
    with pytest.raises(StructureError, match=r"^There is no field 1\n  found     fields \[0\]\n"):
        parse_program("<1:int32>[1]")


def test_an_operator_in_a_text_keeps_its_rule():
    with pytest.raises(TypeMismatchError, match=r"^federated_sum needs a value at CLIENTS\n"):
        parse_program("(x:int32@SERVER -> federated_sum(x))")


@pytest.mark.parametrize("text", ["(" * 500, "<" * 500, "[" * 500, "(x:int32 -> " * 500, "f(" * 500])
def test_deep_texts_are_refused_and_end_nothing(text: str):
    with pytest.raises(TypeSyntaxError):
        parse_program(text)
