# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Computations without a canonical form: the error shows the binding that makes it impossible."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import pytest

from foedus.errors import CompositionError
from foedus.intrinsics import TABLE, Flow, Row
from foedus.ir import Call, Foreign, Intrinsic, Lambda, Node, Record, Reference, show_program
from foedus.passes import to_distribute_aggregate, to_map_reduce
from foedus.types import KEY, STRING, Function, Tensor, Type, at_clients, at_server, int32

from .rounds import program

TO = {"map-reduce": to_map_reduce, "distribute-aggregate": to_distribute_aggregate}


def refusal(to: Callable[[Node], object], node: Node) -> str:
    """What the error says, but for this file's line."""
    with pytest.raises(CompositionError) as caught:
        to(node)
    shown, lines = re.subn(r", test_refusals.py:\d+: to\(node\)", "", str(caught.value))
    assert lines == 1
    return shown


def is_refused(form: str, node: Node, text: str) -> None:
    assert refusal(TO[form], node) == textwrap.dedent(text).strip().replace("FORM", f"{form} form")


@pytest.mark.parametrize("form", TO)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What goes down depends on what came up; all that is between is shown.
        (
            "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> (let total=federated_sum(p.c),"
            "named=federated_map(<fn=(t:int32 -> <t>),value=total>),"
            "down=federated_broadcast(named),both=federated_zip(<down,p.c>) in <p.s,federated_max(both)>))",
            """
            This computation has no FORM: a broadcast depends on an aggregate
              found     v5=federated_broadcast(v4)
                        where v4=federated_map(<fn=(p3:int32 -> <p3>),value=v2>)
                        where v2=federated_sum(argument.c)
              expected  one way down and one way up
              at        v5 of the call-dominant form
              hint      send it in the next round, through the state
            """,
        ),
        (
            '(c:{uint32[2]}@CLIENTS -> federated_max(federated_key(<key=federated_sum(c),purpose="a":str>)))',
            """
            This computation has no FORM: a key depends on an aggregate
              found     v3=federated_key(<key=v2,purpose="a":str>)
                        where v2=federated_sum(argument)
              expected  one way down and one way up
              at        v3 of the call-dominant form
              hint      send it in the next round, through the state
            """,
        ),
        # The shortest way is shown, and operators as they were written.
        (
            "(x:{float32}@CLIENTS -> (let mean=federated_mean(x),"
            "far=federated_map(<fn=(t:float32 -> <t>),value=mean>),"
            "down=federated_broadcast(federated_zip(<far,mean>)) in federated_max(down)))",
            """
            This computation has no FORM: a broadcast depends on an aggregate
              found     v6=federated_broadcast(v5)
                        where v5=federated_zip(<v4,v2>)
                        where v2=federated_mean(argument)
              expected  one way down and one way up
              at        v6 of the call-dominant form
              hint      send it in the next round, through the state
            """,
        ),
        # Results that stay at clients.
        (
            "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> <state=p.s,result=<a=federated_sum(p.c),"
            "b=federated_map(<fn=(t:int32 -> <t>),value=p.c>)>>)",
            """
            This computation has no FORM: a result stays at CLIENTS
              found     v4
                        where v4=federated_map(<fn=(p3:int32 -> <p3>),value=argument.c>)
              expected  results at SERVER
              at        .result.b of the result
              hint      aggregate it, or leave it out of the result
            """,
        ),
        # A long binding is cut: its operator and its operands stand at its ends.
        (
            "(x:{int32}@CLIENTS -> federated_map(<fn=(y:int32 -> <a_field=y,another_field=y,one_more_field=y,"
            "and_another_field=y,and_still_one_more_field=y,the_last_field=y>),value=x>))",
            """
            This computation has no FORM: a result stays at CLIENTS
              found     v3
                        where v3=federated_map(<fn=(p2:int32 -> <a_field=p2,another_field=p2,\
one_more_field=p2,and_another_...=p2,the_last_field=p2>),value=argument>)
              expected  results at SERVER
              at        the result
              hint      aggregate it, or leave it out of the result
            """,
        ),
        (
            "(x:{int32}@CLIENTS -> x)",
            """
            This computation has no FORM: a result stays at CLIENTS
              found     argument
              expected  results at SERVER
              at        the result
              hint      aggregate it, or leave it out of the result
            """,
        ),
        (
            "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> <p.s,1:int32>)",
            """
            This computation has no FORM: a result is placed nowhere
              found     1:int32
              expected  results at SERVER
              at        [1] of the result
              hint      place it with federated_value(..., SERVER)
            """,
        ),
        # Arguments that a round does not take.
        (
            "(p:<s=int32,c={int32}@CLIENTS> -> federated_sum(p.c))",
            """
            A FORM takes values at the server and at clients
              found     int32
              expected  T@SERVER or {T}@CLIENTS, or a struct of such
              at        .s of the argument
            """,
        ),
        (
            "(p:<{int32}@CLIENTS,{int32}@REGIONS> -> federated_sum(p[1]))",
            """
            A FORM takes values at the server and at clients
              found     {int32}@REGIONS
              expected  T@SERVER or {T}@CLIENTS, or a struct of such
              at        [1] of the argument
            """,
        ),
        (
            "(p:(int32 -> int32) -> federated_value@SERVER(p(1:int32)))",
            """
            A FORM takes values at the server and at clients
              found     (int32 -> int32)
              expected  T@SERVER or {T}@CLIENTS, or a struct of such
              at        the argument
            """,
        ),
        # What a client is sent depends on what it asks for.
        (
            "(p:<s=int32@SERVER,c={int32[2]}@CLIENTS> -> (let "
            "f=federated_select(<keys=p.c,max_key=p.s,server_value=p.s,select_fn=(a:<int32,int32> -> a)>) in "
            "federated_sum(federated_map(<fn=(x:<int32,int32>* -> 1:int32),value=f>))))",
            """
            This computation has no FORM: what a client is sent depends on what it asks for
              found     v3=federated_select(<keys=argument.c,max_key=argument.s,server_value=argument.s,\
select_fn=(p2:<int32,int32> -> p2)>)
              expected  broadcasts, the same for all clients
              at        v3 of the call-dominant form
              hint      broadcast the whole value and select from it in a federated_map
            """,
        ),
    ],
)
def test_a_computation_with_neither_form(form: str, text: str, expected: str):
    is_refused(form, program(text), expected)


def test_a_map_reduce_form_has_no_tiers():
    is_refused(
        "map-reduce",
        program("(x:{int32}@CLIENTS -> federated_sum(federated_sum@REGIONS(x)))"),
        """
        This computation has no FORM: a value is at REGIONS
          found     v2=federated_sum@REGIONS(argument)
          expected  values at SERVER and at CLIENTS
          at        v2 of the call-dominant form
          hint      the distribute-aggregate form allows tiers on the way
        """,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> (let r=federated_broadcast@REGIONS(p.s),"
            "u=federated_sum@REGIONS(p.c) in federated_sum(federated_zip(<r,u>))))",
            """
            This computation has no FORM: what a tier was sent is needed again on the way up
              found     v4=federated_zip(<v2,v3>)
                        where v2=federated_broadcast@REGIONS(argument.s)
              expected  values on the way up that depend on the clients alone
              at        v4 of the call-dominant form
              hint      apply it at the server, or at the clients
            """,
        ),
        (
            "(s:int32@SERVER -> federated_sum(federated_broadcast@REGIONS(s)))",
            """
            This computation has no FORM: what a tier was sent is needed again on the way up
              found     v3=federated_sum(v2)
                        where v2=federated_broadcast@REGIONS(argument)
              expected  values on the way up that depend on the clients alone
              at        v3 of the call-dominant form
              hint      apply it at the server, or at the clients
            """,
        ),
        (
            "(x:{int32}@CLIENTS -> federated_sum@REGIONS(x))",
            """
            This computation has no FORM: a result stays at REGIONS
              found     v2
                        where v2=federated_sum@REGIONS(argument)
              expected  results at SERVER
              at        the result
              hint      aggregate it, or leave it out of the result
            """,
        ),
        (
            "(x:{int32}@CLIENTS -> federated_max(federated_broadcast(federated_sum@REGIONS(x))))",
            """
            This computation has no FORM: a broadcast depends on an aggregate
              found     v3=federated_broadcast(v2)
                        where v2=federated_sum@REGIONS(argument)
              expected  one way down and one way up
              at        v3 of the call-dominant form
              hint      send it in the next round, through the state
            """,
        ),
    ],
)
def test_tiers_go_one_way(text: str, expected: str):
    is_refused("distribute-aggregate", program(text), expected)


def applied(name: str, argument: Node, result: Type) -> Call:
    return Call(Intrinsic(name, Function(argument.type, result)), argument)


def test_a_purpose_that_is_computed():
    purpose = Call(Foreign("none", None, Function(None, Tensor(STRING)), "0" * 64), None)
    request = Record((("key", Reference("k", at_server(KEY))), ("purpose", purpose)))
    keys = applied("federated_key", request, at_clients(KEY))
    node = Lambda("k", at_server(KEY), applied("federated_max", keys, at_server(KEY)))
    is_refused(
        "map-reduce",
        node,
        """
        This computation has no FORM: the purpose of a key is computed
          found     v3=federated_key(<key=argument,purpose=v2>)
          expected  a constant
          at        v3 of the call-dominant form
          hint      give it as a string
        """,
    )
    form = to_distribute_aggregate(node)
    assert "none#0000000000000000()" in show_program(form.server_to_client_broadcast)


def test_operators_that_a_map_reduce_form_does_not_know(monkeypatch: pytest.MonkeyPatch):
    product = Row("federated_product", "({T}@P -> T@Q)", Flow.UP, lambda given, _: at_server(int32))
    monkeypatch.setitem(TABLE, "federated_product", product)
    node = Lambda(
        "x",
        at_clients(int32),
        applied("federated_product", Reference("x", at_clients(int32)), at_server(int32)),
    )
    is_refused(
        "map-reduce",
        node,
        """
        This computation has no FORM: it has no place for federated_product
          found     v2=federated_product(argument)
          expected  federated_value, federated_eval, federated_map, federated_zip, federated_aggregate, \
federated_secure_sum, federated_secure_sum_bitwidth, federated_secure_modular_sum, federated_broadcast, \
federated_key
          at        v2 of the call-dominant form
          hint      say it with federated_aggregate
        """,
    )
    assert "federated_product" in show_program(to_distribute_aggregate(node).client_to_server_aggregation)
