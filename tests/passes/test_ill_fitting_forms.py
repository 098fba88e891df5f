# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Forms whose programs do not fit together are refused when they are built."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foedus.errors import CompositionError, TypeMismatchError
from foedus.ir import Reference
from foedus.passes import to_distribute_aggregate, to_map_reduce
from foedus.types import Function, Struct, at_clients, at_server, int32

from .rounds import ROUND, program

MAP_REDUCE = to_map_reduce(program(ROUND))
SMALL = to_distribute_aggregate(program("(p:<s=int32@SERVER,c={int32}@CLIENTS> -> <federated_sum(p.c),p.s>)"))
SERVER = "<total=int32,key=uint32[2]>"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "prepare",
            "(s:int32 -> <broadcast=s,keys=<>>)",
            """
            This is no map-reduce form: prepare does not take what it is given
              found     (int32 -> <broadcast=int32,keys=<>>)
              expected  (<total=int32,key=uint32[2]> -> <broadcast=int32,keys=<>>)
              at        HERE
            """,
        ),
        (
            "prepare",
            f"(s:{SERVER} -> <sent=s.total,keys=<s.key>>)",
            """
            This is no map-reduce form: prepare returns other fields
              found     <sent=int32,keys=<uint32[2]>>
              expected  <broadcast=...,keys=...>
              at        HERE
            """,
        ),
        (
            "prepare",
            f"(s:{SERVER} -> <broadcast=s.total,keys=<s.key,s.key>>)",
            """
            This is no map-reduce form: keys of prepare returns another type
              found     <uint32[2],uint32[2]>
              expected  <uint32[2]>
              at        HERE
            """,
        ),
        (
            "zero",
            "(x:int32 -> <x,x>)",
            """
            This is no map-reduce form: zero does not take what it is given
              found     (int32 -> <int32,int32>)
              expected  ( -> <int32,int32>)
              at        HERE
            """,
        ),
        (
            "zero",
            "1:int32",
            """
            This is no map-reduce form: zero is not a function
              found     int32
              expected  (T -> U)
              at        HERE
            """,
        ),
        (
            "accumulate",
            "(x:<<int32,int32>,<int32,int32>> -> x)",
            """
            This is no map-reduce form: accumulate returns another type
              found     <<int32,int32>,<int32,int32>>
              expected  <int32,int32>
              at        HERE
            """,
        ),
        (
            "max_input",
            "( -> <1:int32>)",
            """
            This is no map-reduce form: max_input does not match what is added
              found     <int32>
              expected  an integer, or a struct like <int32,int32>
              at        HERE
            """,
        ),
        (
            "modulus",
            "( -> 1.5:float32)",
            """
            This is no map-reduce form: modulus does not match what is added
              found     float32
              expected  an integer, or a struct like uint32[2]
              at        HERE
            """,
        ),
        (
            "modulus",
            "( -> <1:int32,2:int32>)",
            """
            This is no map-reduce form: modulus does not match what is added
              found     <int32,int32>
              expected  an integer, or a struct like uint32[2]
              at        HERE
            """,
        ),
        (
            "zero",
            "( -> (let x=federated_value@SERVER(1:int32) in <1:int32,2:int32>))",
            """
            This is no map-reduce form: zero is not local
              found     federated_value
              expected  operators on values that are not placed
              at        HERE
            """,
        ),
    ],
)
def test_a_map_reduce_form(name: str, text: str, expected: str, refused):
    with refused(CompositionError, expected):
        replace(MAP_REDUCE, **{name: program(text)})


def test_bounds_may_be_one_for_all():
    assert replace(MAP_REDUCE, max_input=program("( -> 9:int64)")).max_input == program("( -> 9:int64)")


@pytest.mark.parametrize("form", [MAP_REDUCE, SMALL])
def test_a_program_that_is_not_closed(form):
    for name in form.programs:
        with pytest.raises(TypeMismatchError, match="Nothing in the program is called 'x'"):
            replace(form, **{name: Reference("x", int32)})


@pytest.mark.parametrize("form", [MAP_REDUCE, SMALL])
def test_a_result_that_is_not_at_the_server(form, refused):
    name = "map-reduce" if form is MAP_REDUCE else "distribute-aggregate"
    result = Struct((("state", at_server(int32)), ("more", Struct(((None, at_clients(int32)),)))))
    with refused(
        CompositionError,
        f"""
        This is no {name} form: the result .more[0] is not at the server
          found     {{int32}}@CLIENTS
          expected  T@SERVER
          at        HERE
        """,
    ):
        replace(form, type=Function(form.type.parameter, result))
    with refused(
        CompositionError,
        f"""
        This is no {name} form: the result is not at the server
          found     int32
          expected  T@SERVER
          at        HERE
        """,
    ):
        replace(form, type=Function(form.type.parameter, int32))


def test_another_result(refused):
    other = to_map_reduce(program("(x:{int32}@CLIENTS -> federated_sum(x))"))
    with refused(
        CompositionError,
        """
        This is no map-reduce form: update returns another type
          found     int32
          expected  float32
          at        HERE
        """,
    ):
        replace(other, type=program("(x:{int32}@CLIENTS -> federated_value@SERVER(1.5:float32))").type)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "server_prepare",
            "(s:int32@SERVER -> (let d=federated_broadcast(s) in <sent=<>,kept=s>))",
            """
            This is no distribute-aggregate form: server_prepare goes elsewhere
              found     federated_broadcast at CLIENTS
              expected  operators that stay at SERVER
              at        HERE
            """,
        ),
        (
            "server_to_client_broadcast",
            "(s:<> -> (let u=federated_sum(federated_value@CLIENTS(1:int32)) in <>))",
            """
            This is no distribute-aggregate form: server_to_client_broadcast moves values up
              found     federated_sum
              expected  no operator that moves values up
              at        HERE
            """,
        ),
        (
            "client_work",
            "(g:<data={int32}@CLIENTS,received=<>> -> (let u=federated_value@SERVER(1:int32) in g.data))",
            """
            This is no distribute-aggregate form: client_work goes elsewhere
              found     federated_value at SERVER
              expected  operators that stay at CLIENTS
              at        HERE
            """,
        ),
        (
            "client_to_server_aggregation",
            "(x:{int32}@CLIENTS -> federated_sum(federated_broadcast(federated_sum(x))))",
            """
            This is no distribute-aggregate form: client_to_server_aggregation moves values down
              found     federated_broadcast
              expected  no operator that moves values down
              at        HERE
            """,
        ),
        (
            "server_result",
            "(g:<kept=int32@SERVER,aggregates=int32@SERVER> -> g.kept)",
            """
            This is no distribute-aggregate form: server_result returns another type
              found     int32@SERVER
              expected  <int32@SERVER,int32@SERVER>
              at        HERE
            """,
        ),
        (
            "client_to_server_aggregation",
            "(x:{float32}@CLIENTS -> federated_sum(x))",
            """
            This is no distribute-aggregate form: client_to_server_aggregation does not take what it is given
              found     ({float32}@CLIENTS -> float32@SERVER)
              expected  ({int32}@CLIENTS -> float32@SERVER)
              at        HERE
            """,
        ),
    ],
)
def test_a_distribute_aggregate_form(name: str, text: str, expected: str, refused):
    with refused(CompositionError, expected):
        replace(SMALL, **{name: program(text)})
