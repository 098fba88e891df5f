# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Derived operators become their bodies: text in, text out."""

from __future__ import annotations

import pytest

import foedus as fd
from foedus.ir import Intrinsic, check, parse_program, show_program_lines, walk
from foedus.passes import call_dominant, expand, replace_intrinsics
from foedus.types import Federated, Function, Struct

from .program_texts import is_text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "(x:{float32}@CLIENTS -> federated_sum(x))",
            """
            (p1:{float32}@CLIENTS -> (let
              v2=generic_zero:( -> float32)(),
              v3=federated_aggregate(<value=p1,zero=v2,accumulate=(p4:<float32,float32> -> (let
                v5=generic_plus(p4)
              in v5)),merge=(p6:<float32,float32> -> (let
                v7=generic_plus(p6)
              in v7)),report=(p8:float32 -> p8)>)
            in v3))
            """,
        ),
        (
            "(x:{int32}@CLIENTS -> federated_max(x))",
            """
            (p1:{int32}@CLIENTS -> (let
              v2=generic_lowest:( -> int32)(),
              v3=federated_aggregate(<value=p1,zero=v2,accumulate=(p4:<int32,int32> -> (let
                v5=generic_maximum(p4)
              in v5)),merge=(p6:<int32,int32> -> (let
                v7=generic_maximum(p6)
              in v7)),report=(p8:int32 -> p8)>)
            in v3))
            """,
        ),
        # What a derived operator is derived from is derived itself.
        (
            "(x:{int32*}@CLIENTS -> federated_map(<fn=sequence_sum:(int32* -> int32),value=x>))",
            """
            (p1:{int32*}@CLIENTS -> (let
              v2=federated_map(<fn=(p3:int32* -> (let
                v4=generic_zero:( -> int32)(),
                v5=sequence_reduce(<value=p3,zero=v4,op=(p6:<int32,int32> -> (let
                  v7=generic_plus(p6)
                in v7))>)
              in v5)),value=p1>)
            in v2))
            """,
        ),
    ],
)  # fmt: skip
def test_bodies(before: str, after: str):
    program = parse_program(before)
    replaced = replace_intrinsics(program)
    assert check(replaced) == program.type
    is_text(call_dominant(replaced), after)


def test_a_mean_is_two_sums_and_these_are_folds():
    program = parse_program("(x:{float32}@CLIENTS -> federated_mean(x))")
    sums = replace_intrinsics(program, lambda row: row.name == "federated_mean")
    assert [n.name for n in walk(call_dominant(sums)) if isinstance(n, Intrinsic)] == [
        "federated_sum", "federated_map", "federated_sum", "federated_zip", "federated_map", "generic_divide",
    ]  # fmt: skip
    folds = [n.name for n in walk(replace_intrinsics(program)) if isinstance(n, Intrinsic)]
    assert folds.count("federated_aggregate") == 2
    assert "federated_sum" not in folds


def test_runtimes_keep_what_they_know():
    program = parse_program("(x:{float32}@CLIENTS -> federated_mean(x))")
    assert expand(program) is program
    sequences = parse_program("(x:int32* -> sequence_sum(x))")
    assert "sequence_sum" not in show_program_lines(expand(sequences))


def test_results_keep_their_containers():
    @fd.computation(fd.at_clients({"a": fd.int32, "b": [fd.float32]}))
    def total(x):
        return fd.federated_sum(x)

    result = replace_intrinsics(total.node).type
    assert isinstance(result, Function)
    assert isinstance(result.result, Federated)
    assert isinstance(result.result.member, Struct)
    assert result.result.member.container is dict
    assert getattr(result.result.member.fields[1][1], "container", None) is list
