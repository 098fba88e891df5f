# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types as data: what cannot be one, what is inside one, what compares equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from foedus.errors import ArgumentError
from foedus.types import (
    CLIENTS,
    DTYPES,
    SERVER,
    Abstract,
    Federated,
    Function,
    Placement,
    Sequence,
    Struct,
    Tensor,
    at_clients,
    at_server,
    children,
    float32,
    int32,
    is_above,
    sequence,
    struct,
    tensor,
    tier,
    walk,
)

FUNCTION = Function(None, int32)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Tensor(np.dtype("datetime64[s]")),
            f"A tensor cannot have this dtype\n  found     datetime64[s]\n  expected  {', '.join(DTYPES)}",
        ),
        (
            lambda: Tensor(np.dtype(">f4")),
            f"A tensor cannot have this dtype\n  found     >f4\n  expected  {', '.join(DTYPES)}",
        ),
        (lambda: tensor(int, (2, -1)), "A dimension is negative\n  found     (2, -1)"),
        (
            lambda: Struct((("a", int32), (None, int32), ("a", float32))),
            "A struct has two fields called 'a'\n  found     <a=int32,int32,a=float32>",
        ),
        (
            lambda: Sequence(struct(a=sequence(int32))),
            "A sequence holds plain values only\n  found     int32*\n  expected  tensors and structs of them",
        ),
        (
            lambda: Sequence(at_server(int32)),
            "A sequence holds plain values only\n  found     int32@SERVER\n"
            "  expected  tensors and structs of them",
        ),
        (
            lambda: at_clients(struct(int32, FUNCTION)),
            "What is placed at CLIENTS must be a plain value\n  found     ( -> int32)\n"
            "  expected  tensors, sequences and structs of them",
        ),
        (
            lambda: at_server(at_clients(int32)),
            "What is placed at SERVER must be a plain value\n  found     {int32}@CLIENTS\n"
            "  expected  tensors, sequences and structs of them",
        ),
        (lambda: Abstract("float32"), "A type variable cannot have this name\n  found     'float32'"),
        (lambda: Abstract("placement"), "A type variable cannot have this name\n  found     'placement'"),
        (
            lambda: tier("TOWNS", above=CLIENTS),
            "Nothing is below the clients\n  found     a tier 'TOWNS' below CLIENTS",
        ),
        (
            lambda: tier("SERVER"),
            "A tier cannot have this name\n  found     'SERVER'\n  expected  a new identifier",
        ),
        (lambda: Abstract("a b"), "A type variable cannot have this name\n  found     'a b'"),
    ],
)
def test_what_is_no_type_is_refused(make: Callable[[], object], text: str):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == text


def test_children_are_in_reading_order():
    pair = struct(int32, a=float32)
    assert children(pair) == (int32, float32)
    assert children(sequence(pair)) == (pair,)
    assert children(Function(int32, pair)) == (int32, pair)
    assert children(FUNCTION) == (int32,)
    assert children(at_clients(pair)) == (pair,)
    assert children(int32) == children(Placement()) == children(Abstract("T")) == ()


def test_walking_gives_the_outer_type_first():
    type_ = Function(at_clients(struct(int32, sequence(float32))), int32)
    assert [str(t) for t in walk(type_)] == [
        "({<int32,float32*>}@CLIENTS -> int32)",
        "{<int32,float32*>}@CLIENTS",
        "<int32,float32*>",
        "int32",
        "float32*",
        "float32",
        "int32",
    ]


def test_containers_take_no_part_in_comparison():
    fields = (("a", int32),)
    assert Struct(fields, dict) == Struct(fields) == Struct(fields, list)
    assert hash(Struct(fields, dict)) == hash(Struct(fields))


def test_types_of_different_classes_differ():
    kinds = [int32, sequence(int32), struct(int32), Function(None, int32), at_clients(int32), Placement()]
    assert len(set(kinds)) == len(kinds)


def test_what_is_at_clients_is_one_value_each_unless_said_otherwise():
    assert at_clients(int32) == Federated(int32, CLIENTS, all_equal=False)
    assert at_clients(int32, all_equal=True) == Federated(int32, CLIENTS, all_equal=True)
    assert at_server(int32).all_equal


def test_which_placement_is_above_which():
    regions = tier("REGIONS")
    towns, streets = tier("TOWNS", above=regions), tier("STREETS", above=regions)
    in_order = (SERVER, regions, towns, CLIENTS)
    for i, one in enumerate(in_order):
        for k, other in enumerate(in_order):
            assert is_above(one, other) == (i < k), (one, other)
    assert not is_above(towns, streets)
    assert not is_above(streets, towns)
