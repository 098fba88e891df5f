# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Mutations of what was written, with the checksum made right again, so that they reach the readers of
bodies.

Whatever comes out is a typed error, or what such bytes may well mean: a program that is written again and
read
again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import foedus as fd
from foedus import ir, testing, types, wire
from foedus.errors import CorruptDataError, TypeMismatchError
from foedus.ir import Call, Lambda, Literal, Node, Record, Reference
from foedus.types import Function
from foedus.wire import Sender
from foedus.wire._envelope import HEAD, Content, seal
from foedus.wire._stream import Writer

from .stored_programs import stream, with_words, word


@fd.computation(fd.at_clients(types.to_type({"x": "float32", "w": "float32"})), fd.at_server(types.KEY))
def averages(values: Any, key: Any) -> Any:
    scaled = fd.federated_map(lambda v: v["x"] * v["w"], values)
    noise = fd.federated_map(lambda k: (k[0] % 2).astype("float32"), fd.federated_key(key, "noise"))
    both = fd.federated_map(lambda pair: pair[0] + pair[1], (scaled, noise))
    constant = fd.federated_value(["a", 2.5], fd.SERVER)
    return {"mean": fd.federated_mean(both, scaled), "sum": fd.federated_sum(both), "constant": constant}


def in_tiers() -> Node:
    """A program with tiers, constants of all sorts, and nodes that tracing does not make."""
    regions = types.tier("REGIONS", above=types.tier("CONTINENTS"))
    type_ = types.Federated(types.sequence(types.struct(a=types.int8)), regions, all_equal=True)
    constants = [ir.constant(value) for value in ("né", 1.5, np.arange(3), True, None)]
    fields = tuple((f"c{i}", constant) for i, constant in enumerate(constants))
    leaf = word("half", Function(types.float32, types.float32))
    inner = Lambda(None, None, Record((*fields, ("leaf", leaf), ("x", Reference("x", type_)))))
    return Lambda("x", type_, Call(inner, None))


@functools.cache
def bodies() -> list[bytes]:
    nodes = (with_words(averages.node), in_tiers(), Literal(b"\1", types.bool_))
    return [wire.encode_program(node)[HEAD:] for node in nodes]


@st.composite
def mutations(draw: st.DrawFn, body: bytes | None = None) -> bytes:
    """A body with a few bytes changed, left out, put in, or taken from elsewhere in it."""
    data = bytearray(draw(st.sampled_from(bodies())) if body is None else body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "insert", "copy", "number"])):
            case "change":
                data[at] ^= draw(st.integers(1, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "copy":
                start = draw(st.integers(0, len(data)))
                data[at:at] = data[start : start + draw(st.integers(1, 40))]
            case _:
                data[at : at + 1] = stream(draw(st.integers(0, 40) | st.integers(0, 2**63)))
        data = data or bytearray(b"\0")
    return bytes(data)


def outcome(read: Callable[[], Any]) -> Any:
    """What was read, or the class of the error, which is one of two."""
    try:
        return read()
    except (CorruptDataError, TypeMismatchError) as error:
        return type(error)


def check_program(body: bytes) -> Any:
    data = seal(Content.PROGRAM, body)
    found = outcome(lambda: wire.decode_program(data, sender=Sender.TRUSTED))
    if not isinstance(found, type):
        again = wire.decode_program(wire.encode_program(found), sender=Sender.TRUSTED)
        assert again == found
        assert ir.check(again) == again.type
    return found


@settings(max_examples=1500)
@given(mutations())
def test_mutations_of_programs(words: None, body: bytes):
    check_program(body)


@settings(max_examples=300)
@given(st.lists(st.integers(0, 9) | st.sampled_from(["int32", "x", "{T}@CLIENTS", b"\0"]), max_size=40))
def test_streams_of_likely_pieces(words: None, pieces: list[int | str | bytes]):
    check_program(stream(1, *pieces))


@settings(max_examples=200)
@given(testing.programs(), st.data())
def test_mutations_of_generated_programs(words: None, program: testing.Program, data: st.DataObject):
    body = wire.encode_program(with_words(program.computation.node))[HEAD:]
    check_program(data.draw(mutations(body)))


def test_every_byte_of_a_body_matters(words: None):
    """Changing one byte gives an error or another program, never the same."""
    body = bodies()[0]
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        found = check_program(bytes(changed))
        assert isinstance(found, type) or wire.encode_program(found)[HEAD:] != body


@settings(max_examples=500)
@given(st.text('<>{}[](),=*@?.-> abint32CLIENTSERVERTfloat_"\\0', max_size=60) | st.text(max_size=30))
def test_texts_of_types(text: str):
    writer = Writer()
    writer.item(text)
    found = outcome(lambda: wire.decode_type(seal(Content.TYPE, writer.body())))
    if not isinstance(found, type):
        assert wire.decode_type(wire.encode_type(found)) == found


@settings(max_examples=500)
@given(st.data())
def test_mutations_of_a_type(data: st.DataObject):
    text = list(str(averages.type))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.text("<>{}()@*,=a1T", max_size=3))
    test_texts_of_types.hypothesis.inner_test("".join(text))
