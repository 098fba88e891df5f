# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The typing rules of the operators: what each accepts, and what it makes of it (spec, section 4)."""

from __future__ import annotations

import pytest

from foedus.intrinsics import TABLE, result_type
from foedus.types import CLIENTS, SERVER, PlacementLiteral, parse, tier

REGIONS = tier("REGIONS")
PLACEMENTS = {p.name: p for p in (CLIENTS, SERVER, REGIONS)}
MEAN = "federated_weighted_mean"


def placement_of(operator: str) -> tuple[str, PlacementLiteral | None]:
    name, _, placement = operator.partition("@")
    return name, PLACEMENTS[placement] if placement else None


@pytest.mark.parametrize(
    ("operator", "argument", "result"),
    [
        # I1
        ("federated_value@SERVER", "int32", "int32@SERVER"),
        ("federated_value@CLIENTS", "<a=str,b=<int32*>>", "<a=str,b=<int32*>>@CLIENTS"),
        ("federated_value@CLIENTS", "<>", "<>@CLIENTS"),
        # I2
        ("federated_eval@SERVER", "( -> int32)", "int32@SERVER"),
        ("federated_eval@CLIENTS", "( -> <a=int32>)", "{<a=int32>}@CLIENTS"),
        # I3
        ("federated_broadcast", "int32@SERVER", "int32@CLIENTS"),
        ("federated_broadcast", "<a=str,b=int32*>@SERVER", "<a=str,b=int32*>@CLIENTS"),
        ("federated_broadcast@REGIONS", "int32@SERVER", "int32@REGIONS"),
        ("federated_broadcast", "{int32}@REGIONS", "{int32}@CLIENTS"),
        # I4
        ("federated_key", "<key=uint32[2]@SERVER,purpose=str>", "{uint32[2]}@CLIENTS"),
        # I5
        ("federated_map", "<fn=(int32 -> str),value={int32}@CLIENTS>", "{str}@CLIENTS"),
        ("federated_map", "<fn=(int32 -> str),value=int32@CLIENTS>", "{str}@CLIENTS"),
        ("federated_map", "<fn=(int32 -> str),value=int32@SERVER>", "str@SERVER"),
        ("federated_map", "<fn=(int32[?] -> str),value=int32[3]@SERVER>", "str@SERVER"),
        ("federated_map", "<fn=(<a=int32,b=str> -> str),value={<int32,str>}@CLIENTS>", "{str}@CLIENTS"),
        ("federated_map", "<fn=(int32* -> str),value={int32*}@CLIENTS>", "{str}@CLIENTS"),
        # I6
        ("federated_zip", "<{int32}@CLIENTS,{str}@CLIENTS>", "{<int32,str>}@CLIENTS"),
        ("federated_zip", "<a={int32}@CLIENTS,b=str@CLIENTS>", "{<a=int32,b=str>}@CLIENTS"),
        ("federated_zip", "<int32@CLIENTS,str@CLIENTS>", "<int32,str>@CLIENTS"),
        ("federated_zip", "<int32@SERVER,b=<str@SERVER>>", "<int32,b=<str>>@SERVER"),
        ("federated_zip", "<int32@SERVER,<>>", "<int32,<>>@SERVER"),
        ("federated_zip", "<a={int32*}@CLIENTS>", "{<a=int32*>}@CLIENTS"),
        # I7
        (
            "federated_aggregate",
            "<value={int32}@CLIENTS,zero=float32,accumulate=(<float32,int32> -> float32),"
            "merge=(<float32,float32> -> float32),report=(float32 -> <a=str>)>",
            "<a=str>@SERVER",
        ),
        (
            "federated_aggregate",
            "<value={str*}@CLIENTS,zero=<>,accumulate=(<<>,str*> -> <>),merge=(<<>,<>> -> <>),"
            "report=(<> -> <>)>",
            "<>@SERVER",
        ),
        # I8
        ("federated_sum", "{int32}@CLIENTS", "int32@SERVER"),
        ("federated_sum", "int32@CLIENTS", "int32@SERVER"),
        ("federated_sum", "{<a=uint8[2],b=<complex64>>}@CLIENTS", "<a=uint8[2],b=<complex64>>@SERVER"),
        ("federated_sum", "{bfloat16}@CLIENTS", "bfloat16@SERVER"),
        ("federated_sum", "{<>}@CLIENTS", "<>@SERVER"),
        ("federated_sum@REGIONS", "{int32}@CLIENTS", "{int32}@REGIONS"),
        ("federated_sum", "{int32}@REGIONS", "int32@SERVER"),
        # I9
        ("federated_mean", "{float32[2,0]}@CLIENTS", "float32[2,0]@SERVER"),
        ("federated_mean", "{<a=float16,b=complex128>}@CLIENTS", "<a=float16,b=complex128>@SERVER"),
        ("federated_mean", "{bfloat16}@CLIENTS", "bfloat16@SERVER"),
        # I10
        (MEAN, "<value={float32[2]}@CLIENTS,weight={float64}@CLIENTS>", "float32[2]@SERVER"),
        (MEAN, "<value={<a=float32>}@CLIENTS,weight=int32@CLIENTS>", "<a=float32>@SERVER"),
        (MEAN, "<value=float32@CLIENTS,weight={bfloat16}@CLIENTS>", "float32@SERVER"),
        # I11
        ("federated_min", "{int8}@CLIENTS", "int8@SERVER"),
        ("federated_max", "{<a=float32[2],b=bfloat16>}@CLIENTS", "<a=float32[2],b=bfloat16>@SERVER"),
    ],
)  # fmt: skip
def test_an_operator_has_the_type_that_its_rule_gives(operator: str, argument: str, result: str):
    name, placement = placement_of(operator)
    found = result_type(name, parse(argument, PLACEMENTS.values()), placement)
    assert found == parse(result, PLACEMENTS.values())


def test_the_result_remembers_containers():
    zipped = result_type("federated_zip", parse("<a={int32}@CLIENTS>"))
    assert str(zipped) == "{<a=int32>}@CLIENTS"


def test_the_table_names_its_rows():
    assert all(row.name == name for name, row in TABLE.items())
