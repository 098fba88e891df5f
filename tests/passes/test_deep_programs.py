# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs nested deeper than Python's stack, and long ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

import foedus as fd
from foedus import runtime
from foedus.ir import (
    Block,
    Call,
    Lambda,
    Node,
    Record,
    Reference,
    Selection,
    check,
    free_names,
    parse_program,
    show_program,
    show_program_lines,
)
from foedus.passes import (
    call_dominant,
    inline,
    merge_duplicates,
    remove_dead_code,
    replace_intrinsics,
    to_distribute_aggregate,
    to_map_reduce,
    uniquify,
)
from foedus.types import Struct, Type, int32

DEPTH = 2_000
X = Reference("x", int32)


def calls_in_calls() -> Lambda:
    """f(f(f(...f(x)))), each f a function of the language."""
    double = parse_program("(x:int32 -> generic_plus(<x,x>))")
    body: Node = X
    for _ in range(DEPTH):
        body = Call(double, body)
    return Lambda("x", int32, body)


def functions_in_functions() -> Lambda:
    """A computation that calls a computation that calls a computation."""
    function = parse_program("(x:int32 -> generic_plus(<x,x>))")
    for _ in range(DEPTH):
        function = Lambda("x", int32, Block((("v1", Call(function, X)),), Reference("v1", int32)))
    assert isinstance(function, Lambda)
    return function


def structs_in_structs() -> Lambda:
    """Fields of structs of fields of structs."""
    body: Node = X
    for _ in range(DEPTH):
        body = Selection(Record((("a", body), (None, X))), 0)
    return Lambda("x", int32, body)


def blocks_in_blocks() -> Lambda:
    """Values that are blocks whose values are blocks, all of one name."""
    body: Node = X
    for _ in range(DEPTH):
        body = Block((("x", body),), X)
    return Lambda("x", int32, body)


def functions_that_make_functions() -> Lambda:
    """Each function takes one from outside."""
    body: Node = X
    for i in range(DEPTH):
        body = Call(Lambda(f"y{i % 7}", int32, body), X if i % 2 else Reference(f"y{(i + 1) % 7}", int32))
    for i in range(7):
        body = Block(((f"y{i}", X),), body)
    return Lambda("x", int32, body)


MAKERS = [
    calls_in_calls,
    functions_in_functions,
    structs_in_structs,
    blocks_in_blocks,
    functions_that_make_functions,
]


@pytest.mark.parametrize("make", MAKERS)
def test_depth_is_no_limit(make: Callable[[], Lambda]):
    program = make()
    assert sys.getrecursionlimit() < DEPTH
    assert check(program) == program.type
    assert free_names(program) == set()
    assert show_program(program).startswith("(x:int32 -> ")
    assert show_program_lines(program).startswith("(x:int32 -> ")
    for change in (uniquify, inline, call_dominant, replace_intrinsics):
        changed = change(program)
        assert check(changed) == program.type
    for change in (merge_duplicates, remove_dead_code):
        changed = change(program)
        assert check(changed) == program.type


def test_calls_in_calls_become_calls_one_after_another():
    flat = inline(calls_in_calls())
    assert isinstance(flat.body, Block)
    assert len(flat.body.bindings) == DEPTH
    assert call_dominant(functions_in_functions()) == inline(functions_in_functions())


@pytest.mark.parametrize("make", [runtime.reference, runtime.local])
def test_a_long_computation(make: Callable[[], Any]):
    @fd.computation(fd.int32)
    def increment(x):
        return x + 1

    @fd.computation(fd.at_server(fd.int32), fd.at_clients(fd.int32))
    def long(state, clients):
        for _ in range(DEPTH):
            state = fd.federated_apply(increment, state)
        return {"state": state, "result": fd.federated_sum(clients)}

    with fd.use(make()):
        assert long(1, [2, 3]) == {"state": DEPTH + 1, "result": 5}
    assert to_map_reduce(long.node).type == long.type
    assert to_distribute_aggregate(long.node).type == long.type


def test_wide_structs():
    member: Type = Struct(tuple((f"f{i}", int32) for i in range(DEPTH)))
    x = Reference("x", member)
    fields = tuple((f"g{i}", Selection(x, i)) for i in range(DEPTH))
    program = Lambda("x", member, Record(fields))
    assert check(call_dominant(program)) == program.type
