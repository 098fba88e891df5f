# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Passes to flat and call-dominant form: text in, text out."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import foedus as fd
from foedus import runtime
from foedus.ir import Lambda, parse_program
from foedus.lang import Computation
from foedus.passes import call_dominant, inline, merge_duplicates, remove_dead_code
from foedus.types import Federated

from .program_texts import is_text


def flat(text: str) -> Lambda:
    node = parse_program(text)
    assert isinstance(node, Lambda)
    return node


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


# ---------------------------------------------------------------- names that are used again


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A function keeps the names of the place where it was made, though they are bound again at its call.
        (
            "(v1:int32@SERVER -> (let v2=(p1:bool@SERVER -> federated_zip(<p1,v1>)),"
            "v1=federated_value@SERVER(true:bool),p1=v2(v1) in <p1,v1>))",
            """
            (p1:int32@SERVER -> (let
              v2=federated_value@SERVER(true:bool),
              v3=federated_zip(<v2,p1>)
            in <v3,v2>))
            """,
        ),
        # A function that is called twice has two arguments.
        (
            "(x:int32@SERVER -> (let f=(y:int32@SERVER -> (x:int32@SERVER -> federated_zip(<x,y>))),"
            "g=f(x),x=federated_value@SERVER(2:int32),h=f(x) in <g(x),h(x)>))",
            """
            (p1:int32@SERVER -> (let
              v2=federated_value@SERVER(2:int32),
              v3=federated_zip(<v2,p1>),
              v4=federated_zip(<v2,v2>)
            in <v3,v4>))
            """,
        ),
    ],
)
def test_no_name_is_captured(before: str, after: str):
    is_text(call_dominant(parse_program(before)), after)


def test_duplicates_are_found_by_what_a_name_means_there():
    program = flat(
        "(x:int32@SERVER -> (let a=federated_broadcast(x),x=federated_value@SERVER(1:int32),"
        "b=federated_broadcast(x),c=federated_broadcast(x) in <a,b,c>))"
    )
    is_text(
        merge_duplicates(program),
        """
        (x:int32@SERVER -> (let
          a=federated_broadcast(x),
          x_1=federated_value@SERVER(1:int32),
          b=federated_broadcast(x_1)
        in <a,b,b>))
        """,
    )


def test_what_hides_a_binding_does_not_keep_it():
    program = flat(
        "(x:int32@SERVER -> (let a=federated_broadcast(x),a=federated_value@CLIENTS(1:int32) in a))"
    )
    is_text(
        remove_dead_code(program),
        """
        (x:int32@SERVER -> (let
          a_1=federated_value@CLIENTS(1:int32)
        in a_1))
        """,
    )


# ---------------------------------------------------------------- inside of functions


def test_functions_that_differ_in_names_alone_are_equal():
    program = flat(
        "(x:{<int32,int32>}@CLIENTS -> (let a=federated_map(<fn=(y:<int32,int32> -> y[0]),value=x>),"
        "b=federated_map(<fn=(z:<int32,int32> -> z[0]),value=x>),"
        "c=federated_map(<fn=(y:<int32,int32> -> y[1]),value=x>) in <a,b,c>))"
    )
    is_text(
        merge_duplicates(program),
        """
        (x:{<int32,int32>}@CLIENTS -> (let
          a=federated_map(<fn=(y:<int32,int32> -> y[0]),value=x>),
          c=federated_map(<fn=(y_1:<int32,int32> -> y_1[1]),value=x>)
        in <a,a,c>))
        """,
    )


def test_functions_of_different_parameters_are_different():
    text = (
        "(x:int32 -> (let f=(y:int32 -> (z:int32 -> y)),g=(y_1:int32 -> (z_1:int32 -> z_1)),"
        "h=(y_2:int32 -> (z_2:int32 -> x)) in <f,g,h>))"
    )
    assert merge_duplicates(flat(text)) == flat(text)


def test_blocks_in_functions_are_cleaned_too():
    text = (
        "(x:{int32}@CLIENTS -> federated_map(<fn=(y:int32 -> (let a=generic_plus(<y,y>),"
        "b=generic_plus(<y,y>),c=generic_plus(<a,1:int32>) in generic_plus(<a,b>))),value=x>))"
    )
    is_text(
        call_dominant(parse_program(text)),
        """
        (p1:{int32}@CLIENTS -> (let
          v2=federated_map(<fn=(p3:int32 -> (let
            v4=generic_plus(<p3,p3>),
            v7=generic_plus(<v4,v4>)
          in v7)),value=p1>)
        in v2))
        """,
    )


def test_a_function_whose_block_is_dead_loses_it():
    program = flat("(x:int32 -> (let a=(y:int32 -> (let b=<y> in x)) in <a,x>))")
    is_text(remove_dead_code(program), "(x:int32 -> (let\n  a=(y:int32 -> x)\nin <a,x>))")
    assert remove_dead_code(flat("(x:int32 -> (let a=x in 1:int32))")) == flat(
        "(x:int32 -> (let in 1:int32))"
    )


def test_what_a_function_computes_is_not_moved_out_of_it():
    text = (
        "(x:{int32}@CLIENTS -> (let a=generic_plus(<1:int32,2:int32>),"
        "b=federated_map(<fn=(y:int32 -> (let c=generic_plus(<1:int32,2:int32>) in generic_plus(<y,c>))),"
        "value=x>) in <a,b>))"
    )
    is_text(
        merge_duplicates(flat(text)),
        """
        (x:{int32}@CLIENTS -> (let
          a=generic_plus(<1:int32,2:int32>),
          b=federated_map(<fn=(y:int32 -> (let
            c=generic_plus(<1:int32,2:int32>)
          in generic_plus(<y,c>))),value=x>)
        in <a,b>))
        """,
    )


# ---------------------------------------------------------------- the type stays


def test_a_result_of_unknown_length_stays_one():
    program = parse_program("(x:int32[2] -> (y:int32[?] -> <y,y>)(x))")
    assert inline(program).type == program.type
    assert call_dominant(call_dominant(program)).type == program.type
    is_text(
        call_dominant(program),
        """
        (p1:int32[2] -> (let
          v2=(p3:int32[?] -> p3)(p1)
        in <v2,v2>))
        """,
    )


def test_values_that_were_one_for_each_stay_so():
    @fd.computation(fd.at_clients(fd.int32))
    def same(x):
        return x

    @fd.computation(fd.at_server(fd.int32))
    def spread(x):
        return same(fd.federated_broadcast(x))

    assert isinstance(spread.type.result, Federated)
    assert not spread.type.result.all_equal
    assert inline(spread.node).type == spread.type
    for make in (runtime.reference, runtime.local):
        with fd.use(make(clients=3)):
            assert [int(value) for value in spread(7)] == [7, 7, 7]


def test_containers_come_back():
    @fd.computation(fd.at_server({"a": fd.int32, "b": fd.int32}))
    def as_dict(x):
        return x

    @fd.computation(fd.at_server(fd.int32))
    def made(x):
        return as_dict(fd.federated_zip(OrderedDict(a=x, b=x))), as_dict(fd.federated_zip({"a": x, "b": x}))

    for program in (made.node, inline(made.node), call_dominant(made.node)):
        with fd.use(runtime.reference()):
            one, other = Computation(program, "made")(1)
        assert type(one) is dict
        assert type(other) is dict
