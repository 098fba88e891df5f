# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Rounds that have both canonical forms, and some that have one or none, as text."""

from __future__ import annotations

from foedus.ir import Node, parse_program
from foedus.types import CLIENTS, SERVER, tier

REGIONS = tier("REGIONS")

ROUND = """
(p:<state=<total=int32,key=uint32[2]>@SERVER,clients={int32}@CLIENTS> -> (let
  total=federated_map(<fn=(s:<total=int32,key=uint32[2]> -> s.total),value=p.state>),
  key=federated_map(<fn=(s:<total=int32,key=uint32[2]> -> s.key),value=p.state>),
  twice=federated_map(<fn=(t:int32 -> generic_plus(<t,t>)),value=total>),
  limit=federated_broadcast(twice),
  keys=federated_key(<key=key,purpose="noise":str>),
  three=generic_plus(<1:int32,2:int32>),
  work=federated_map(<
    fn=(g:<int32,int32,uint32[2]> -> <more=generic_plus(<g[0],three>),rest=g[1],key=g[2]>),
    value=federated_zip(<p.clients,limit,keys>)
  >),
  more=federated_map(<fn=(w:<more=int32,rest=int32,key=uint32[2]> -> w.more),value=work>),
  rest=federated_map(<fn=(w:<more=int32,rest=int32,key=uint32[2]> -> w.rest),value=work>),
  bits=federated_map(<fn=(w:<more=int32,rest=int32,key=uint32[2]> -> w.key),value=work>),
  sum=federated_sum(more),
  most=federated_max(rest),
  exact=federated_secure_sum(<value=more,max_input=generic_plus(<three,100:int32>)>),
  also=federated_secure_sum(<value=rest,max_input=1000:int32>),
  mixed=federated_secure_modular_sum(<value=bits,modulus=97:int32>),
  new=federated_map(<fn=(x:<int32,int32> -> generic_plus(x)),value=federated_zip(<twice,sum>)>)
in <
  state=federated_zip(<total=new,key=key>),
  result=most,
  measurements=federated_zip(<exact=exact,also=also,mixed=mixed>)
>))
"""
"""A step of a process with everything that a map-reduce form can hold, but for sums of so many bits."""

SMALLER = {
    "a mean of clients": "(x:{float32}@CLIENTS -> federated_mean(x))",
    "a weighted mean": (
        "(p:<value={<a=float32,b=float64>}@CLIENTS,weight={int32}@CLIENTS> -> federated_weighted_mean(p))"
    ),
    "least and greatest": (
        "(x:{<a=int32,b=float32>}@CLIENTS -> <least=federated_min(x),most=federated_max(x)>)"
    ),
    "the server alone": "(x:int32@SERVER -> federated_map(<fn=(t:int32 -> generic_plus(<t,t>)),value=x>))",
    "what is passed on": (
        "(p:<state=<int32>@SERVER,clients={int32}@CLIENTS> -> <p.state,federated_sum(p.clients)>)"
    ),
    "no argument": (
        "( -> <federated_sum(federated_value@CLIENTS(1:int32)),federated_value@SERVER(true:bool)>)"
    ),
    "what each client makes": (
        "( -> federated_sum(federated_eval@CLIENTS(( -> generic_plus(<1:int32,2:int32>)))))"
    ),
    "a broadcast that comes back": (
        "(p:<s=int32@SERVER,c={int32}@CLIENTS> -> federated_sum(federated_broadcast(p.s)))"
    ),
    "a value that is one for all clients": (
        "(p:<c=int32@CLIENTS,d={int32}@CLIENTS> -> federated_sum(federated_zip(p)))"
    ),
    "a state alone": (
        "(p:<state=int32@SERVER,clients={int32}@CLIENTS> -> federated_map(<"
        "fn=generic_plus:(<int32,int32> -> int32),value=federated_zip(<p.state,federated_sum(p.clients)>)>))"
    ),
    "several values at each place": (
        "(p:<a=int32@SERVER,x={int32}@CLIENTS,b=float32@SERVER,y={float32}@CLIENTS> -> <"
        "federated_sum(federated_zip(<p.x,p.y>)),federated_zip(<b=p.b,a=p.a>),"
        "federated_min(federated_broadcast(p.a)),federated_mean(federated_broadcast(p.b))>)"
    ),
    "two keys of one purpose": (
        "(p:<one=uint32[2]@SERVER,other=uint32[2]@SERVER,c={int32}@CLIENTS> -> "
        'federated_max(federated_zip(<federated_key(<key=p.one,purpose="a":str>),'
        'federated_key(<key=p.other,purpose="a":str>),federated_key(<key=p.one,purpose="b":str>)>)))'
    ),
    "sums of so many bits": (
        "(x:{<a=int32,b=<int32>>}@CLIENTS -> <"
        "federated_secure_sum_bitwidth(<value=x,bitwidth=<a=7:int32,b=9:int32>>),"
        "federated_secure_sum_bitwidth(<value=x,bitwidth=10:int32>)>)"
    ),
    "values without content": (
        "(p:<s=<>@SERVER,c={<>}@CLIENTS> -> <p.s,federated_sum(p.c),federated_sum(federated_broadcast(p.s)),"
        "federated_sum(federated_zip(<p.c,federated_broadcast(p.s)>))>)"
    ),
    "names and types that are known better": (
        "(p:<s=int32@SERVER,c={int32[2]}@CLIENTS> -> (let named=(q:<s=int32@SERVER,"
        "c={<u=int32[?],v=int32>}@CLIENTS> -> "
        "<federated_map(<fn=(z:<u=int32[?],v=int32> -> z),value=q.c>),q.s>),"
        "made=named(<p.s,federated_zip(<p.c,federated_broadcast(p.s)>)>) in "
        "<federated_sum(federated_map(<fn=(z:<u=int32[?],v=int32> -> z.v),value=made[0]>)),made[1]>))"
    ),
}
"""Rounds that show one thing each."""


def program(text: str) -> Node:
    """The program of a text, in which there may be a tier."""
    return parse_program(text, placements=(CLIENTS, SERVER, REGIONS))
