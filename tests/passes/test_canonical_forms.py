# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Both canonical forms: text in, text out, and back."""

from __future__ import annotations

import pytest

from foedus.ir import check, show_program
from foedus.passes import (
    DistributeAggregateForm,
    MapReduceForm,
    from_distribute_aggregate,
    from_map_reduce,
    to_distribute_aggregate,
    to_map_reduce,
)

from .program_texts import numbered
from .rounds import ROUND, SMALLER, program

MAP_REDUCE = {
    "prepare": """
        (p1:<total=int32,key=uint32[2]> -> (let
          v2=generic_plus(<p1.total,p1.total>)
        in <broadcast=v2,keys=<p1.key>>))
        """,
    "work": """
        (p1:<data=int32,broadcast=int32,keys=<uint32[2]>> -> (let
          v2=generic_plus(<1:int32,2:int32>),
          v3=generic_plus(<p1.data,v2>)
        in <
          simple=<v3,p1.broadcast>,
          secure_sum=<v3,p1.broadcast>,
          secure_sum_bitwidth=<>,
          secure_modular_sum=p1.keys[0]
        >))
        """,
    "zero": """
        ( -> (let
          v1=generic_zero:( -> int32)(),
          v2=generic_lowest:( -> int32)()
        in <v1,v2>))
        """,
    "accumulate": """
        (p1:<<int32,int32>,<int32,int32>> -> (let
          v2=generic_plus(<p1[0][0],p1[1][0]>),
          v3=generic_maximum(<p1[0][1],p1[1][1]>)
        in <v2,v3>))
        """,
    "merge": """
        (p1:<<int32,int32>,<int32,int32>> -> (let
          v2=generic_plus(<p1[0][0],p1[1][0]>),
          v3=generic_maximum(<p1[0][1],p1[1][1]>)
        in <v2,v3>))
        """,
    "report": "(p1:<int32,int32> -> <p1[0],p1[1]>)",
    "max_input": """
        ( -> (let
          v1=generic_plus(<1:int32,2:int32>),
          v2=generic_plus(<v1,100:int32>)
        in <v2,1000:int32>))
        """,
    "bitwidth": "( -> <>)",
    "modulus": "( -> 97:int32)",
    "update": """
        (p1:<
          server=<total=int32,key=uint32[2]>,
          simple=<int32,int32>,
          secure_sum=<int32,int32>,
          secure_sum_bitwidth=<>,
          secure_modular_sum=uint32[2]
        > -> (let
          v2=generic_plus(<p1.server.total,p1.server.total>),
          v3=generic_plus(<v2,p1.simple[0]>)
        in <
          state=<total=v3,key=p1.server.key>,
          result=p1.simple[1],
          measurements=<exact=p1.secure_sum[0],also=p1.secure_sum[1],mixed=p1.secure_modular_sum>
        >))
        """,
}

DISTRIBUTE_AGGREGATE = {
    "server_prepare": """
        (p1:<total=int32,key=uint32[2]>@SERVER -> (let
          v3=federated_map(<fn=(p2:<total=int32,key=uint32[2]> -> p2.total),value=p1>),
          v5=federated_map(<fn=(p4:<total=int32,key=uint32[2]> -> p4.key),value=p1>),
          v8=federated_map(<fn=(p6:int32 -> (let v7=generic_plus(<p6,p6>) in v7)),value=v3>)
        in <sent=<v8,v5>,kept=<v8,v5>>))
        """,
    "server_to_client_broadcast": """
        (p1:<int32@SERVER,uint32[2]@SERVER> -> (let
          v2=federated_broadcast(p1[0]),
          v3=federated_key(<key=p1[1],purpose="noise":str>)
        in <v2,v3>))
        """,
    "client_work": """
        (p1:<data={int32}@CLIENTS,received=<int32@CLIENTS,{uint32[2]}@CLIENTS>> -> (let
          v2=generic_plus(<1:int32,2:int32>),
          v3=federated_zip(<p1.data,p1.received[0],p1.received[1]>),
          v6=federated_map(<
            fn=(p4:<int32,int32,uint32[2]> -> (let
              v5=generic_plus(<p4[0],v2>)
            in <more=v5,rest=p4[1],key=p4[2]>)),
            value=v3
          >),
          v8=federated_map(<fn=(p7:<more=int32,rest=int32,key=uint32[2]> -> p7.more),value=v6>),
          v10=federated_map(<fn=(p9:<more=int32,rest=int32,key=uint32[2]> -> p9.rest),value=v6>),
          v12=federated_map(<fn=(p11:<more=int32,rest=int32,key=uint32[2]> -> p11.key),value=v6>)
        in <v8,v10,v12>))
        """,
    "client_to_server_aggregation": """
        (p1:<{int32}@CLIENTS,{int32}@CLIENTS,{uint32[2]}@CLIENTS> -> (let
          v2=generic_plus(<1:int32,2:int32>),
          v3=federated_sum(p1[0]),
          v4=federated_max(p1[1]),
          v5=generic_plus(<v2,100:int32>),
          v6=federated_secure_sum(<value=p1[0],max_input=v5>),
          v7=federated_secure_sum(<value=p1[1],max_input=1000:int32>),
          v8=federated_secure_modular_sum(<value=p1[2],modulus=97:int32>)
        in <v3,v6,v7,v8,v4>))
        """,
    "server_result": """
        (p1:<
          kept=<int32@SERVER,uint32[2]@SERVER>,
          aggregates=<int32@SERVER,int32@SERVER,int32@SERVER,uint32[2]@SERVER,int32@SERVER>
        > -> (let
          v2=federated_zip(<p1.kept[0],p1.aggregates[0]>),
          v5=federated_map(<fn=(p3:<int32,int32> -> (let v4=generic_plus(p3) in v4)),value=v2>),
          v6=federated_zip(<total=v5,key=p1.kept[1]>),
          v7=federated_zip(<exact=p1.aggregates[1],also=p1.aggregates[2],mixed=p1.aggregates[3]>)
        in <state=v6,result=p1.aggregates[4],measurements=v7>))
        """,
}


def names(form: MapReduceForm | DistributeAggregateForm) -> dict[str, str]:
    return {name: numbered(show_program(node)) for name, node in form.programs.items()}


def read(texts: dict[str, str]) -> dict[str, str]:
    return {name: numbered(show_program(program(text))) for name, text in texts.items()}


def test_map_reduce_form():
    form = to_map_reduce(program(ROUND))
    assert names(form) == read(MAP_REDUCE)
    assert form.purposes == ("noise",)
    assert form.has_secure_sums


def test_distribute_aggregate_form():
    assert names(to_distribute_aggregate(program(ROUND))) == read(DISTRIBUTE_AGGREGATE)


def test_a_form_prints_the_types_of_its_programs():
    node = program("(p:<s=int32@SERVER,c={int32}@CLIENTS> -> <federated_sum(p.c),p.s>)")
    assert str(to_map_reduce(node)).splitlines() == [
        "prepare    (int32 -> <broadcast=<>,keys=<>>)",
        "work       (<data=int32,broadcast=<>,keys=<>> -> "
        "<simple=int32,secure_sum=<>,secure_sum_bitwidth=<>,secure_modular_sum=<>>)",
        "zero       ( -> int32)",
        "accumulate (<int32,int32> -> int32)",
        "merge      (<int32,int32> -> int32)",
        "report     (int32 -> int32)",
        "max_input  ( -> <>)",
        "bitwidth   ( -> <>)",
        "modulus    ( -> <>)",
        "update     (<server=int32,simple=int32,secure_sum=<>,secure_sum_bitwidth=<>,secure_modular_sum=<>> "
        "-> <int32,int32>)",
    ]
    assert str(to_distribute_aggregate(node)).splitlines() == [
        "server_prepare               (int32@SERVER -> <sent=<>,kept=int32@SERVER>)",
        "server_to_client_broadcast   (<> -> <>)",
        "client_work                  (<data={int32}@CLIENTS,received=<>> -> {int32}@CLIENTS)",
        "client_to_server_aggregation ({int32}@CLIENTS -> int32@SERVER)",
        "server_result                (<kept=int32@SERVER,aggregates=int32@SERVER> "
        "-> <int32@SERVER,int32@SERVER>)",
    ]
    assert not to_map_reduce(node).has_secure_sums


def test_what_is_written_from_a_map_reduce_form():
    node = program("(p:<s=int32@SERVER,c={int32}@CLIENTS> -> (let x=federated_sum(p.c) in <p.s,x>))")
    expected = """
        (p1:<s=int32@SERVER,c={int32}@CLIENTS> -> (let
          v1=federated_value@CLIENTS(<>),
          v2=federated_zip(<data=p1.c,broadcast=v1,keys=<>>),
          v3=federated_map(<fn=(p3:<data=int32,broadcast=<>,keys=<>> ->
            <simple=p3.data,secure_sum=<>,secure_sum_bitwidth=<>,secure_modular_sum=<>>),value=v2>),
          v4=federated_map(<fn=(p4:<simple=int32,secure_sum=<>,secure_sum_bitwidth=<>,secure_modular_sum=<>>
            -> p4.simple),value=v3>),
          v5=generic_zero:( -> int32)(),
          v6=federated_aggregate(<
            value=v4,
            zero=v5,
            accumulate=(p6:<int32,int32> -> (let v7=generic_plus(<p6[0],p6[1]>) in v7)),
            merge=(p7:<int32,int32> -> (let v8=generic_plus(<p7[0],p7[1]>) in v8)),
            report=(p8:int32 -> p8)
          >),
          v9=federated_value@SERVER(<>),
          v10=federated_zip(<
            server=p1.s,simple=v6,secure_sum=v9,secure_sum_bitwidth=v9,secure_modular_sum=v9
          >),
          v11=federated_map(<
            fn=(p9:<server=int32,simple=int32,secure_sum=<>,secure_sum_bitwidth=<>,secure_modular_sum=<>>
              -> <p9.server,p9.simple>),
            value=v10
          >),
          v12=federated_map(<fn=(p10:<int32,int32> -> p10[0]),value=v11>),
          v13=federated_map(<fn=(p11:<int32,int32> -> p11[1]),value=v11>)
        in <v12,v13>))
        """
    written = from_map_reduce(to_map_reduce(node))
    assert numbered(show_program(written)) == numbered(show_program(program(expected)))


def test_what_is_written_from_a_distribute_aggregate_form_is_what_it_was():
    node = program("(p1:<s=int32@SERVER,c={int32}@CLIENTS> -> (let v2=federated_sum(p1.c) in <p1.s,v2>))")
    assert from_distribute_aggregate(to_distribute_aggregate(node)) == node


@pytest.mark.parametrize("text", [ROUND, *SMALLER.values()], ids=["a whole round", *SMALLER])
def test_there_and_back(text: str):
    node = program(text)
    map_reduce = to_map_reduce(node)
    again = from_map_reduce(map_reduce)
    assert check(again) == node.type
    assert to_map_reduce(again) == map_reduce
    distribute_aggregate = to_distribute_aggregate(node)
    again = from_distribute_aggregate(distribute_aggregate)
    assert check(again) == node.type
    assert to_distribute_aggregate(again) == distribute_aggregate


# ---------------------------------------------------------------- tiers


def test_tiers_on_the_way_up_are_part_of_the_aggregation():
    node = program(
        "(x:{int32}@CLIENTS -> (let r=federated_sum@REGIONS(x),one=federated_value@REGIONS(1:int32),"
        "z=federated_zip(<r,one>),m=federated_map(<fn=generic_plus:(<int32,int32> -> int32),value=z>) "
        "in federated_max(m)))"
    )
    form = to_distribute_aggregate(node)
    assert names(form)["client_to_server_aggregation"] == numbered(
        show_program(
            program(
                "(p1:{int32}@CLIENTS -> (let v2=federated_sum@REGIONS(p1),"
                "v3=federated_value@REGIONS(1:int32),v4=federated_zip(<v2,v3>),"
                "v5=federated_map(<fn=generic_plus:(<int32,int32> -> int32),value=v4>),"
                "v6=federated_max(v5) in v6))"
            )
        )
    )
    assert to_distribute_aggregate(from_distribute_aggregate(form)) == form


def test_tiers_on_the_way_down_are_part_of_the_broadcast():
    node = program(
        "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> (let r=federated_broadcast@REGIONS(p.s),"
        "m=federated_map(<fn=(y:int32 -> generic_plus(<y,y>)),value=r>),d=federated_broadcast(m) in "
        "federated_sum(federated_zip(<d,p.c>))))"
    )
    form = to_distribute_aggregate(node)
    assert names(form)["server_to_client_broadcast"] == numbered(
        show_program(
            program(
                "(p1:int32@SERVER -> (let v2=federated_broadcast@REGIONS(p1),"
                "v3=federated_map(<fn=(p4:int32 -> (let v5=generic_plus(<p4,p4>) in v5)),value=v2>),"
                "v6=federated_broadcast(v3) in v6))"
            )
        )
    )
    assert to_distribute_aggregate(from_distribute_aggregate(form)) == form
