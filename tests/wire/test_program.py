# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs to bytes and back."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings

import foedus as fd
from foedus import ir, testing, types, wire
from foedus.errors import CorruptDataError, UnsupportedError
from foedus.ir import Block, Call, Intrinsic, Lambda, Literal, Node, Record, Reference, Selection
from foedus.types import CLIENTS, SERVER, Abstract, Function, Struct, Tensor
from foedus.wire import Sender, _extent
from foedus.wire._envelope import HEAD

from .stored_programs import containers, program_of, stream, with_words, word

UNARY = Function(types.float32, types.float32)


def again(node: Node) -> Node:
    return wire.decode_program(wire.encode_program(node), sender=Sender.TRUSTED)


def same(one: Node, other: Node) -> bool:
    """Whether two programs are equal, in the parts that comparing nodes leaves out too."""
    return (
        one == other
        and one.type == other.type
        and ir.show_program(one) == ir.show_program(other)
        and [type(node) for node in ir.walk(one)] == [type(node) for node in ir.walk(other)]
    )


@given(testing.programs())
def test_programs_come_back(words: None, program: testing.Program):
    node = with_words(program.computation.node)
    data = wire.encode_program(node)
    found = wire.decode_program(data, sender=Sender.TRUSTED)
    assert same(found, node)
    assert wire.encode_program(found) == data


def is_written(node: Node) -> bool:
    """Host code is not."""
    return not isinstance(node, ir.Foreign) or node.kind != "numpy"


@settings(max_examples=8)
@given(testing.programs().filter(lambda program: all(map(is_written, ir.walk(program.computation.node)))))
def test_programs_with_code_in_jax_come_back(program: testing.Program):
    data = wire.encode_program(program.computation.node)
    found = wire.decode_program(data, sender=Sender.TRUSTED)
    assert found.type == program.computation.type
    assert wire.encode_program(found) == data


def test_equal_programs_give_equal_bytes(words: None):
    def build() -> Node:
        x = Reference("x", types.float32)
        leaf = word("half", UNARY)
        return Lambda("x", types.float32, Record((("a", Call(leaf, x)), ("b", Call(leaf, x)))))

    assert wire.encode_program(build()) == wire.encode_program(build())


def test_the_bytes_of_a_program_stay_what_they_are(words: None):
    x = Reference("x", types.float32)
    body = Record(((None, Call(word("half", UNARY), x)), ("c", Literal(b"\7\0\0\0", types.int32))), tuple)
    data = wire.encode_program(Lambda("x", types.float32, body))
    tables = [
        *(1, 0),
        *(3, "(float32 -> float32)", "", "float32", "", "int32", ""),
        *(1, 2),
    ]
    nodes = [
        *(3, 0),
        *(0, "x", 1),
        *(7, 0, 1, 1),
        *(1, 0),
        *(4, 1, 2, 0, 2, 1, "c", 3),
        *(6, 1, "x", 1, 4),
    ]
    expected = stream(*tables) + b"\x90" + stream(b"\7\0\0\0") + stream(1, "word", 0, 4, b"half", 6, *nodes)
    assert data[HEAD:].hex() == expected.hex()
    assert data[:19].hex() == "89464f454455530a010003" + len(expected).to_bytes(8, "little").hex()


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


class Point(NamedTuple):
    x: Any
    y: Any


class Words(list):
    """A list of somebody's own."""


def test_containers_come_back_but_no_class_of_a_user():
    def struct(container: type | None, *names: str | None) -> Struct:
        return Struct(tuple((name, types.int32) for name in names), container)

    parts = {
        None: struct(None, None, "b"),
        tuple: struct(tuple, None),
        list: struct(list, None, None),
        dict: struct(dict, "a", "b"),
        OrderedDict: struct(OrderedDict, "b", "a"),
        type(None): struct(type(None)),
        Layer: struct(Layer, "w", "b"),
        Point: struct(Point, "x", "y"),
        Words: struct(Words, None),
    }
    type_ = Struct(tuple((None, part) for part in parts.values()), list)
    found = again(Lambda("x", types.at_server(type_), Reference("x", types.at_server(type_))))
    expected = [list, *list(parts)[:6], OrderedDict, OrderedDict, list]
    assert isinstance(found, Lambda)
    assert found.parameter_type is not None
    assert containers(found.parameter_type) == expected
    assert containers(found.body.type) == expected


def test_containers_of_records_come_back():
    one = Literal(b"\1", Tensor(types.DTYPES["int8"], ()))
    fields = (("x", one), ("y", one))
    for container, expected in ((Point, OrderedDict), (dict, dict), (None, None), (OrderedDict, OrderedDict)):
        found = again(Record(fields, container))
        assert isinstance(found, Record)
        assert found.container is expected


def test_constants_come_back_bit_for_bit():
    for dtype in types.DTYPES.values():
        if dtype == types.STRING:
            array = np.array(["", "né\0", "\ud800"], dtype=object)
        else:
            array = np.frombuffer(bytes(range(1, 1 + 3 * dtype.itemsize)), dtype=np.uint8)
            array = (array & 1 if dtype.kind == "b" else array).view(dtype)
        node = ir.literal(array, Tensor(dtype, (3,)))
        found = again(node)
        assert found == node
    assert again(ir.literal(np.zeros((2, 0), np.int8), Tensor(types.DTYPES["int8"], (2, 0)))).type == Tensor(
        types.DTYPES["int8"], (2, 0)
    )


def test_nodes_of_every_class_come_back(words: None):
    x = Reference("x", types.at_server(types.float32))
    mapped = Function(
        Struct((("fn", UNARY), ("value", types.at_server(types.float32)))), types.at_server(types.float32)
    )
    argument = Record((("fn", word("half", UNARY)), ("value", x)))
    applied = Call(Intrinsic("federated_map", mapped), argument)
    block = Block((("y", applied), ("z", Record(((None, Reference("y", x.type)),)))), _first("z", x.type))
    node = Lambda("x", x.type, Call(Lambda(None, None, block), None))
    assert same(again(node), node)


def _first(name: str, member: types.Type) -> Node:
    return Selection(Reference(name, Struct(((None, member),))), 0)


def test_shared_parts_are_stored_once_and_shared_again(words: None):
    leaf = word("w" * 1000, UNARY)
    part = Lambda("x", types.float32, Call(leaf, Reference("x", types.float32)))
    other = Lambda("x", types.float32, Call(leaf, Reference("x", types.float32)))
    data = wire.encode_program(Record(tuple((None, p) for p in (part, part, other) * 20)))
    assert len(data) < 1400
    found = wire.decode_program(data, sender=Sender.TRUSTED)
    assert isinstance(found, Record)
    assert len({id(child) for _, child in found.fields}) == 1


def test_tiers_travel_with_their_place():
    continents = types.tier("CONTINENTS")
    regions = types.tier("REGIONS", above=continents)

    @fd.computation(types.Federated(types.int32, regions, all_equal=False))
    def passed(x: Any) -> Any:
        return x

    data = wire.encode_program(passed.node)
    assert wire.decode_program(data) == passed.node
    assert wire.decode_program(data, placements=[continents, regions]) == passed.node
    with pytest.raises(CorruptDataError, match="the tier 'REGIONS', which is none of those allowed"):
        wire.decode_program(data, placements=[continents, types.tier("REGIONS")])


def test_a_program_of_a_newer_format():
    with pytest.raises(CorruptDataError) as caught:
        wire.decode_program(program_of(2, 0, 0, 0, 0, 0))
    assert str(caught.value).split("\n  at ")[0] == (
        "This program has a format that this version of Foedus does not read\n"
        "  found     format 2\n"
        "  expected  1"
    )
    assert caught.value.hint == "install a newer version of Foedus"


def test_a_program_is_not_a_value():
    data = wire.encode_program(Literal(b"\1", Tensor(types.DTYPES["int8"], ())))
    with pytest.raises(CorruptDataError, match="These bytes hold something else\n  found     a program"):
        wire.decode_value(data, types.int32)


def refused(node: Node) -> str:
    with pytest.raises(UnsupportedError) as caught:
        wire.encode_program(node)
    return str(caught.value).split("\n  at ")[0]


def test_a_program_that_is_too_deep_is_not_written():
    deep = reduce(lambda inner, _: Lambda(None, None, inner), range(250), ir.constant(1))
    assert refused(deep) == (
        "This program cannot be written to bytes\n  found     nodes or types nested deeper than 200 levels"
    )


def test_a_type_that_is_deeper_than_the_interpreter_is_not_written():
    deep = reduce(lambda inner, _: Struct(((None, inner),)), range(5000), types.int32)
    assert "types nested too deep" in refused(Lambda("x", deep, ir.constant(1)))


def test_a_program_that_is_larger_than_it_looks_is_not_written():
    node: Node = ir.constant(1)
    for _ in range(64):
        node = Record(((None, node), (None, node)))
    assert f"more than {_extent.MOST_WORK} parts of types at its nodes" in refused(node)


def test_what_cannot_be_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("foedus.wire._program.MOST_NODES", 2)
    many = Record(tuple((None, ir.constant(i)) for i in range(3)))
    assert "3 literals, where at most 2 can be" in refused(many)


def test_code_that_cannot_be_read_back_is_not_written(words: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("foedus.wire._program.MOST_LEAF_BYTES", 3)
    assert "4 bytes of code of type (float32 -> float32)" in refused(word("half", UNARY))


@pytest.mark.parametrize(
    "placement",
    [
        types.PlacementLiteral("LOST", default_all_equal=False, above=None),
        types.PlacementLiteral("LOST", default_all_equal=False, above=CLIENTS),
        types.PlacementLiteral("SERVER", default_all_equal=False, above=SERVER),
    ],
)
def test_a_placement_without_a_place_is_not_written(placement: types.PlacementLiteral):
    type_ = types.Federated(types.int32, placement, all_equal=False)
    assert refused(Lambda("x", type_, ir.constant(1))).startswith("This placement cannot be written to bytes")


def test_host_code_is_not_written():
    @fd.host(returns=types.int32)
    def length(text: str) -> int:
        return len(text)

    program = fd.computation(types.at_server(types.string))(lambda text: fd.federated_apply(length, text))
    assert "The host code 'length' cannot be stored" in refused(program.node)


def test_type_variables_are_written_like_other_types():
    node = Lambda("x", Abstract("T"), Reference("x", Abstract("T")))
    assert again(node) == node
