# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The type checker: rules P1 to P3 of the spec, by programs that nobody could have parsed."""

from __future__ import annotations

import pytest
from hypothesis import given

from foedus import testing
from foedus.errors import FoedusError, PlacementError, TypeMismatchError
from foedus.ir import Block, Call, Intrinsic, Lambda, Node, Record, Reference, check, parse_program
from foedus.testing import Program
from foedus.types import Function, Type, bool_, int32, parse

ONE = parse_program("1:int32")


def operator(name: str, type_: str) -> Intrinsic:
    function = parse(type_)
    assert isinstance(function, Function)
    return Intrinsic(name, function)


def function_of_x(body: Node, type_: Type = int32) -> Lambda:
    return Lambda("x", type_, body)


@given(testing.programs())
def test_generated_programs_are_well_typed_and_closed(program: Program):
    assert check(program.computation.node) == program.computation.type


@pytest.mark.parametrize(
    ("node", "sort", "message"),
    [
        # P1: names
        (
            Reference("y", int32),
            TypeMismatchError,
            """
            Nothing in the program is called 'y'
              found     y of type int32
              expected  one of no names
              at        HERE
            """,
        ),
        (
            function_of_x(Record(((None, Reference("y", int32)),))),
            TypeMismatchError,
            """
            Nothing in the program is called 'y'
              found     y of type int32
              expected  one of x
              at        HERE
            """,
        ),
        (
            function_of_x(Reference("x", bool_)),
            TypeMismatchError,
            """
            'x' is used at another type than it has
              found     bool
              expected  int32
              at        HERE
            """,
        ),
        (
            function_of_x(
                Block((("y", Reference("z", int32)), ("z", Reference("x", int32))), Reference("y", int32))
            ),
            TypeMismatchError,
            """
            Nothing in the program is called 'z'
              found     z of type int32
              expected  one of x
              at        the binding 'y', HERE
            """,
        ),
        (
            Record(((None, parse_program("(let y=1:int32 in y)")), (None, Reference("y", int32)))),
            TypeMismatchError,
            """
            Nothing in the program is called 'y'
              found     y of type int32
              expected  one of no names
              at        HERE
            """,
        ),
        (
            function_of_x(function_of_x(Reference("x", int32), bool_)),
            TypeMismatchError,
            """
            'x' is used at another type than it has
              found     int32
              expected  bool
              at        HERE
            """,
        ),
        (
            Block((("a", Block((("b", function_of_x(Reference("x", bool_))),), ONE)),), ONE),
            TypeMismatchError,
            """
            'x' is used at another type than it has
              found     bool
              expected  int32
              at        the binding 'b' in 'a', HERE
            """,
        ),
        # P3: operators
        (
            operator("federated_sum", "( -> int32@SERVER)"),
            TypeMismatchError,
            """
            federated_sum needs an argument
              found     ( -> int32@SERVER)
              expected  ({T}@P -> T@Q)
              at        HERE
            """,
        ),
        (
            operator("federated_sum", "({int32}@CLIENTS -> int64@SERVER)"),
            TypeMismatchError,
            """
            Wrong dtype in the result of federated_sum:({int32}@CLIENTS -> int64@SERVER)
              found     int32
              expected  int64
              at        the result of federated_sum:({int32}@CLIENTS -> int64@SERVER), HERE
            """,
        ),
        (
            operator("federated_sum", "(int32@SERVER -> int32@SERVER)"),
            PlacementError,
            """
            federated_sum needs a value at CLIENTS
              found     int32@SERVER
              expected  {T}@CLIENTS
              at        the argument, HERE
              hint      it is already one value at the server; use it as it is, or broadcast it first
            """,
        ),
        (
            operator("federated_zip", "(<{int32}@CLIENTS> -> <int32>@CLIENTS)"),
            TypeMismatchError,
            "One value for all is needed, and there is one for each "
            "in the result of federated_zip:(<{int32}@CLIENTS> -> <int32>@CLIENTS)\n"
            "  found     {<int32>}@CLIENTS\n"
            "  expected  <int32>@CLIENTS\n"
            "  at        the result of federated_zip:(<{int32}@CLIENTS> -> <int32>@CLIENTS), HERE",
        ),
    ],
)
def test_what_the_checker_refuses(refused, node: Node, sort: type[FoedusError], message: str):
    with refused(sort, message):
        check(node)


def test_an_unknown_operator_is_refused():
    with pytest.raises(
        TypeMismatchError,
        match=r"^There is no operator 'federated_guess'\n"
        r"  found     federated_guess of type \(int32 -> int32\)\n"
        r"  expected  one of federated_value, .*\n"
        r"  at        test_check.py:\d+: ",
    ):
        check(operator("federated_guess", "(int32 -> int32)"))


def test_a_result_may_be_of_a_wider_type():
    check(operator("federated_zip", "(<int32@CLIENTS> -> {<int32>}@CLIENTS)"))
    check(operator("federated_map", "(<fn=(int32 -> int32[3]),value=int32@SERVER> -> int32[?]@SERVER)"))


def test_mistakes_are_found_wherever_they_stand():
    bad = Reference("nobody", int32)
    places: list[Node] = [
        Record((("a", bad),)),
        Call(function_of_x(Reference("x", int32)), bad),
        Call(Lambda(None, None, bad), None),
        Block((("y", bad),), parse_program("1:int32")),
        Block((), bad),
    ]
    for node in places:
        with pytest.raises(TypeMismatchError, match="Nothing in the program is called 'nobody'"):
            check(node)
