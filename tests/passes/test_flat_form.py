# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Passes to flat and call-dominant form: text in, text out."""

from __future__ import annotations

import re
import textwrap

import pytest

from foedus.ir import Lambda, Node, check, parse_program, show_program_lines
from foedus.passes import call_dominant, inline, merge_duplicates, remove_dead_code


def flat(text: str) -> Lambda:
    node = parse_program(text)
    assert isinstance(node, Lambda)
    return node


def is_text(node: Node, text: str) -> None:
    """Which numbers the names have is no part of what a pass promises, only which are the same."""
    check(node)
    assert numbered(show_program_lines(node)) == numbered(textwrap.dedent(text).strip())


def numbered(text: str) -> str:
    """The text with its names numbered in the order in which they come."""
    names: dict[str, str] = {}
    return re.sub(r"\b[pv]\d+\b", lambda name: names.setdefault(name.group(), f"n{len(names)}"), text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A function of the language is applied where it is called.
        (
            "(x:int32@SERVER -> (f:(int32@SERVER -> int32@CLIENTS) -> f(x))"
            "((y:int32@SERVER -> federated_broadcast(y))))",
            """
            (p1:int32@SERVER -> (let
              v2=federated_broadcast(p1)
            in v2))
            """,
        ),
        # What is used twice is computed once, and in the order in which it is bound.
        (
            "(x:int32@SERVER -> (let a=federated_broadcast(x),b=federated_sum(a) in <b,a,b>))",
            """
            (p1:int32@SERVER -> (let
              v2=federated_broadcast(p1),
              v3=federated_sum(v2)
            in <v3,v2,v3>))
            """,
        ),
        # Fields of known structs are taken, of arguments they stay.
        (
            "(x:<a=int32@SERVER,b=<int32@SERVER>> -> (let s=<y=x.a,z=x.b[0]> in federated_zip(<s.z,s.y>)))",
            """
            (p1:<a=int32@SERVER,b=<int32@SERVER>> -> (let
              v2=federated_zip(<p1.b[0],p1.a>)
            in v2))
            """,
        ),
        # A function that is an argument of an operator becomes flat itself.
        (
            "(x:{int32}@CLIENTS -> federated_map(<fn=(y:int32 -> (z:<int32> -> z[0])(<y>)),value=x>))",
            """
            (p1:{int32}@CLIENTS -> (let
              v2=federated_map(<fn=(p3:int32 -> p3),value=p1>)
            in v2))
            """,
        ),
        # A function that is returned, or that nobody calls, leaves nothing behind.
        (
            "(x:int32 -> (let f=(y:int32 -> <y,x>) in f(f(x)[0])))",
            """
            (p1:int32 -> (let
            in <p1,p1>))
            """,
        ),
        # Functions keep the names of the place where they were made.
        (
            "(x:int32 -> (let f=( -> x) in (x:bool -> <x,f()>)(true:bool)))",
            """
            (p1:int32 -> (let
            in <true:bool,p1>))
            """,
        ),
        # A struct takes on the names of the parameter that it is passed as.
        (
            "(x:int32@SERVER -> (y:<a=int32@SERVER> -> federated_zip(y))(<x>))",
            """
            (p1:int32@SERVER -> (let
              v2=federated_zip(<a=p1>)
            in v2))
            """,
        ),
        # Without argument.
        (
            "( -> federated_value@SERVER(1:int32))",
            """
            ( -> (let
              v1=federated_value@SERVER(1:int32)
            in v1))
            """,
        ),
        # An operator as a whole program.
        (
            "federated_sum:({int32}@CLIENTS -> int32@SERVER)",
            """
            (p1:{int32}@CLIENTS -> (let
              v2=federated_sum(p1)
            in v2))
            """,
        ),
    ],
)  # fmt: skip
def test_inlining(before: str, after: str):
    node = parse_program(before)
    assert inline(node).type == node.type
    is_text(inline(node), after)


def test_equal_calls_become_one():
    program = flat(
        "(x:int32@SERVER -> (let a=federated_broadcast(x),b=federated_broadcast(x),"
        "c=federated_zip(<a,b>),d=federated_zip(<b,a>),e=federated_zip(<a=b>) in <c,d,e>))"
    )
    is_text(
        merge_duplicates(program),
        """
        (x:int32@SERVER -> (let
          a=federated_broadcast(x),
          c=federated_zip(<a,a>),
          e=federated_zip(<a=a>)
        in <c,c,e>))
        """,
    )


def test_calls_that_differ_in_a_constant_stay_apart():
    text = (
        '(k:uint32[2]@SERVER -> (let a=federated_key(<key=k,purpose="one":str>),'
        'b=federated_key(<key=k,purpose="two":str>) in <a,b>))'
    )
    assert merge_duplicates(flat(text)) == flat(text)


def test_what_nothing_needs_goes():
    program = flat(
        "(x:int32@SERVER -> (let a=federated_broadcast(x),b=federated_sum(a),c=federated_zip(<a>) in c))"
    )
    is_text(
        remove_dead_code(program),
        """
        (x:int32@SERVER -> (let
          a=federated_broadcast(x),
          c=federated_zip(<a>)
        in c))
        """,
    )


def test_call_dominant_form_is_all_of_them():
    program = parse_program(
        "(x:int32@SERVER -> (let twice=(y:int32@SERVER -> <federated_broadcast(y),federated_broadcast(y)>),"
        "unused=federated_sum(twice(x)[0]) in federated_zip(twice(x))))"
    )
    is_text(
        call_dominant(program),
        """
        (p1:int32@SERVER -> (let
          v2=federated_broadcast(p1),
          v7=federated_zip(<v2,v2>)
        in v7))
        """,
    )
