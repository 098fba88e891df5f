# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes, literals and walking over programs."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.errors import StructureError, TypeMismatchError
from foedus.ir import (
    Block,
    Call,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
    children,
    constant,
    free_names,
    leaves_of,
    literal,
    parse_program,
    rebuild,
    show_program,
    value_of,
    walk,
)
from foedus.testing import Program
from foedus.types import Struct, Tensor, Type, int32, type_of

ONE = parse_program("1:int32")


def test_every_node_knows_its_type():
    assert str(parse_program("<a=1:int32,true:bool>").type) == "<a=int32,bool>"
    assert str(parse_program("(x:int32 -> <x,x>)").type) == "(int32 -> <int32,int32>)"
    assert str(parse_program("( -> 1:int32)").type) == "( -> int32)"
    assert str(parse_program("(x:int32 -> <x,x>)(1:int32)").type) == "<int32,int32>"
    assert str(parse_program("(let x=1:int32 in <x>)").type) == "<int32>"


def test_a_selection_needs_a_struct(refused):
    message = """
    Only a struct has fields
      found     int32
      expected  <...>
      at        field 0, HERE
    """
    with refused(StructureError, message):
        Selection(ONE, 0)


def test_a_selection_needs_a_field(refused):
    message = """
    There is no field 2
      found     fields a, [1]
      expected  the number of one, below 2
      at        HERE
    """
    with refused(StructureError, message):
        Selection(parse_program("<a=1:int32,2:int32>"), 2)


def test_a_call_needs_a_function(refused):
    message = """
    Only a function can be called
      found     int32
      expected  (T -> U)
      at        HERE
    """
    with refused(TypeMismatchError, message):
        Call(ONE, None)


def test_a_call_needs_an_argument_of_its_parameters_type(refused):
    message = """
    Wrong dtype in the argument of a call
      found     int32
      expected  bool
      at        .a of the argument of a call, HERE
    """
    with refused(TypeMismatchError, message):
        Call(parse_program("(x:<a=bool> -> x)"), parse_program("<a=1:int32>"))


def test_a_call_needs_its_argument(refused):
    message = """
    A call lacks its argument
      found     nothing
      expected  int32
      at        HERE
    """
    with refused(TypeMismatchError, message):
        Call(parse_program("(x:int32 -> x)"), None)


def test_a_call_has_no_argument_too_many(refused):
    message = """
    A call has an argument too many
      found     int32
      expected  nothing
      at        HERE
    """
    with refused(TypeMismatchError, message):
        Call(parse_program("( -> 1:int32)"), ONE)


def test_a_parameter_has_a_name_and_a_type(refused):
    message = """
    A parameter needs a name and a type
      found     {}
      expected  both, or neither
      at        HERE
    """
    with refused(TypeMismatchError, message.format("x")):
        Lambda("x", None, ONE)
    with refused(TypeMismatchError, message.format("int32")):
        Lambda(None, int32, ONE)


def test_containers_take_no_part_in_comparison():
    assert Record((("a", ONE),), dict) == Record((("a", ONE),))


@given(st.data())
def test_constants_keep_their_value(data: st.DataObject):
    type_ = data.draw(testing.plain_types().filter(lambda t: "*" not in str(t)))
    value = data.draw(testing.values(type_))
    node = constant(value)
    assert node.type == type_of(value)
    for leaf in walk(node):
        if isinstance(leaf, Literal):
            array = value_of(leaf)
            assert literal(array, leaf.type) == leaf
            assert array.shape == leaf.type.shape


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, 2], ">i4"),
        np.arange(6, dtype=np.float64).reshape(2, 3).T,
        np.array([0.0, -0.0, np.nan, np.inf]),
        np.array([1.5, np.nan], ml_dtypes.bfloat16),
        np.array(["a\0", ""], dtype=object),
        np.array("a\0", dtype=object),
        np.array([], np.complex64),
        np.array(2**64 - 1, np.uint64),
        np.zeros((0, 3), bool),
    ],
)
def test_a_literal_keeps_every_bit(array: Any):
    type_ = type_of(array)
    assert isinstance(type_, Tensor)
    back = value_of(literal(array, type_))
    assert back.shape == array.shape
    assert back.astype(array.dtype).tobytes() == array.tobytes() or back.tolist() == array.tolist()


def test_a_constant_struct_remembers_its_container():
    node = constant({"a": OrderedDict(b=1), "c": [2, (3,), None]})
    assert isinstance(node.type, Struct)
    containers = [t.container for t in types_of(node) if isinstance(t, Struct)]
    assert containers == [dict, OrderedDict, list, tuple, type(None)]


def types_of(node: Node) -> list[Type]:
    return [n.type for n in walk(node) if isinstance(n, Record)]


PROGRAM = parse_program("(x:<a=int32> -> (let y=x.a,z=(w:int32 -> <w,y>) in z(y)))")


def test_children_are_in_the_order_of_evaluation():
    assert isinstance(PROGRAM, Lambda)
    block = PROGRAM.body
    assert isinstance(block, Block)
    assert children(PROGRAM) == (block,)
    assert children(block) == (*(node for _, node in block.bindings), block.result)
    assert children(ONE) == ()


def test_walking_reads_a_program_from_left_to_right():
    texts = [show_program(node) for node in walk(PROGRAM)]
    assert texts[2:] == ["x.a", "x", "(w:int32 -> <w,y>)", "<w,y>", "w", "y", "z(y)", "z", "y"]


@pytest.mark.parametrize(
    ("text", "inner", "names"),
    [
        ("(x:int32 -> (let y=x in <x,y>))", (), set()),
        ("(x:int32 -> (let y=x in <x,y>))", (0,), {"x"}),
        ("(x:int32 -> (let y=x in <x,y>))", (0, 1), {"x", "y"}),
        ("(x:int32 -> (let x=<x> in x))", (0,), {"x"}),
        ("(x:int32 -> (let y=x,x=y in <x>))", (0,), {"x"}),
        ("(x:int32 -> (x:bool -> x))", (0,), set()),
    ],
)
def test_free_names_are_those_that_nothing_inside_binds(text: str, inner: tuple[int, ...], names: set[str]):
    node = parse_program(text)
    for index in inner:
        node = children(node)[index]
    assert free_names(node) == names


def test_rebuilding_puts_other_nodes_in_place():
    def renamed(node: Node) -> Node:
        if isinstance(node, Reference):
            return Reference(f"{node.name}_", node.type)
        return rebuild(node, [renamed(child) for child in children(node)])

    body = parse_program("(x:<a=int32> -> (let y=x.a in (w:int32 -> <b=w,y>)(y)))")
    assert show_program(renamed(body)) == "(x:<a=int32> -> (let y=x_.a in (w:int32 -> <b=w_,y_>)(y_)))"


@given(testing.programs())
def test_rebuilding_from_the_same_nodes_changes_nothing(program: Program):
    for node in walk(program.computation.node):
        assert rebuild(node, children(node)) is node


def test_leaves_are_found_by_the_hash_that_prints():
    large = constant(np.zeros(100, np.int32))
    node = Record(((None, large), (None, constant(np.zeros(3, np.int32)))))
    assert list(leaves_of(node).values()) == [large]
    assert show_program(large).removeprefix("literal#") in leaves_of(node)


def test_a_literal_of_another_type_is_another_leaf():
    one, other = (constant(np.zeros(100, dtype)) for dtype in (np.int32, np.float32))
    assert show_program(one) != show_program(other)
    assert int32 != one.type
