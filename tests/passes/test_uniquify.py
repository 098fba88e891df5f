# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Unique names: text in, text out."""

from __future__ import annotations

import pytest
from hypothesis import given

from foedus import testing
from foedus.ir import Block, Lambda, Node, Reference, check, parse_program, show_program, walk
from foedus.passes import uniquify
from foedus.testing import Program
from foedus.types import int32


def bound_names(program: Node) -> list[str]:
    lambdas = [n.parameter for n in walk(program) if isinstance(n, Lambda) and n.parameter is not None]
    return lambdas + [name for n in walk(program) if isinstance(n, Block) for name, _ in n.bindings]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # An inner binding hides an outer one, and no longer after it.
        ("(x:int32 -> <(x:bool -> x)(true:bool),x>)", "(x:int32 -> <(x_1:bool -> x_1)(true:bool),x>)"),
        # Siblings.
        (
            "<(x:int32 -> x),(x:int32 -> x),(let x=1:int32 in x)>",
            "<(x:int32 -> x),(x_1:int32 -> x_1),(let x_2=1:int32 in x_2)>",
        ),
        # In a block a name can be bound again, in terms of itself too.
        (
            "(let x=1:int32,x=<x,x>,x=<x> in x)",
            "(let x=1:int32,x_1=<x,x>,x_2=<x_1> in x_2)",
        ),
        # A value is named before what it is bound to is in scope.
        (
            "(x:int32 -> (let y=x,x=<y>,y=x in <x,y>))",
            "(x:int32 -> (let y=x,x_1=<y>,y_1=x_1 in <x_1,y_1>))",
        ),
        # What is bound by a block that is a value ends with that block.
        (
            "(let x=1:int32,y=(let x=true:bool in x) in <x,y>)",
            "(let x=1:int32,y=(let x_1=true:bool in x_1) in <x,y>)",
        ),
        # Numbers that are taken are left out, those of names that come later too.
        (
            "(x:int32 -> (let x=<x>,x=<x> in (x_1:int32 -> <x_1,x>)))",
            "(x:int32 -> (let x_2=<x>,x_3=<x_2> in (x_1:int32 -> <x_1,x_3>)))",
        ),
    ],
)  # fmt: skip
def test_names_become_different(before: str, after: str):
    program = parse_program(before)
    unique = uniquify(program)
    assert show_program(unique) == after
    assert check(unique) == program.type


def test_a_free_name_is_kept_and_not_captured():
    x = Reference("x", int32)
    program = Lambda("y", int32, Lambda("x", int32, x))
    assert show_program(uniquify(Block((("z", x), ("x", x)), program))) == (
        "(let z=x,x_1=x in (y:int32 -> (x_2:int32 -> x_2)))"
    )


def test_a_function_that_stands_in_two_places_becomes_two():
    same = parse_program("(x:int32 -> x)")
    assert (
        show_program(uniquify(Block((("f", same),), same))) == "(let f=(x:int32 -> x) in (x_1:int32 -> x_1))"
    )


def test_a_program_with_different_names_is_returned_as_it_is():
    program = parse_program("(x:int32 -> (let y=<x> in (z:bool -> <y,z>)))")
    assert uniquify(program) is program
    again = parse_program("(x:int32 -> (let x=<x> in (x:bool -> x)))")
    assert uniquify(uniquify(again)) == uniquify(again)


@given(testing.programs())
def test_all_names_of_generated_programs_become_different(program: Program):
    names = bound_names(uniquify(program.computation.node))
    assert len(set(names)) == len(names)
