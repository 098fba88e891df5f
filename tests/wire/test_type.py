# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types to bytes and back."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus import types, wire
from foedus.errors import CorruptDataError, UnsupportedError
from foedus.types import Abstract, Federated, Function, Placement, PlacementLiteral, Sequence, Struct, Tensor
from foedus.wire._envelope import Content, seal
from foedus.wire._stream import Writer

STEADY = settings(deadline=None, derandomize=True)

REGIONS = types.tier("REGIONS")


def packed(item: int | str) -> bytes:
    writer = Writer()
    writer.item(item)
    return writer.body()


# Some identifiers of Python have characters that the parser of types does not take for letters.
names_of_fields = st.text(max_size=4).filter(lambda name: name.isascii() or not name.isidentifier())


def named(kinds: st.SearchStrategy) -> st.SearchStrategy:
    names = st.lists(names_of_fields, max_size=3, unique=True)
    return names.flatmap(lambda ns: st.tuples(*(st.tuples(st.sampled_from([n, None]), kinds) for n in ns)))


tensors = st.builds(
    Tensor,
    st.sampled_from(list(types.DTYPES.values())),
    st.none() | st.lists(st.none() | st.integers(0, 10**17), max_size=3).map(tuple),
)
plain = st.recursive(tensors, lambda inner: named(inner).map(Struct), max_leaves=6)
values = plain | st.builds(Sequence, plain)
placed = values | st.builds(Federated, values, st.sampled_from([types.CLIENTS, types.SERVER]), st.booleans())
anything = st.recursive(
    placed | st.just(Placement()) | st.sampled_from("TUV").map(Abstract),
    lambda inner: named(inner).map(Struct) | st.builds(Function, st.none() | inner, inner),
    max_leaves=6,
)


@STEADY
@given(anything)
def test_types_come_back(type_: types.Type):
    assert wire.decode_type(wire.encode_type(type_)) == type_


def test_the_bytes_of_a_type_stay_what_they_are():
    type_ = types.at_server(types.tensor("float32", (2, None)))
    data = wire.encode_type(type_)
    assert data[:19].hex() == "89464f454455530a0100011400000000000000"
    assert data[51:] == b"\xb3float32[2,?]@SERVER"
    assert wire.decode_type(data) == type_


def test_other_placements_are_named_by_the_reader():
    type_ = Federated(types.int32, REGIONS, all_equal=False)
    data = wire.encode_type(type_)
    assert wire.decode_type(data, placements=(REGIONS,)) == type_
    with pytest.raises(CorruptDataError, match="expected a placement, one of CLIENTS, SERVER"):
        wire.decode_type(data)


def test_a_type_that_could_not_be_read_again_is_not_written():
    deep = reduce(lambda inner, _: Struct(((None, inner),)), range(300), types.int32)
    with pytest.raises(UnsupportedError) as caught:
        wire.encode_type(deep)
    assert str(caught.value).split("\n  at ")[0] == (
        "This type cannot be written to bytes\n"
        "  found     This is not a type: nested deeper than 200 levels\n"
        "  expected  at most 200 levels and 4194304 characters of text, with identifiers as labels"
    )


def test_a_type_that_is_deeper_than_the_interpreter_is_not_written():
    deep = reduce(lambda inner, _: Struct(((None, inner),)), range(5000), types.int32)
    with pytest.raises(UnsupportedError, match="nested too deep"):
        wire.encode_type(deep)
    with pytest.raises(UnsupportedError, match="nested too deep"):
        wire.encode_value(1, deep)


def test_a_type_whose_text_means_another_is_not_written():
    placements = [PlacementLiteral("X", default, types.SERVER) for default in (False, True)]
    placed = [Federated(types.int32, placement, all_equal=True) for placement in placements]
    with pytest.raises(UnsupportedError, match="its text means another type"):
        wire.encode_type(Struct(tuple((None, t) for t in placed)))


def test_a_type_whose_text_is_too_long_is_not_written():
    with pytest.raises(UnsupportedError, match="5000000 characters of text"):
        wire.encode_type(Abstract("T" * 5_000_000))


@pytest.mark.parametrize(
    ("body", "headline"),
    [
        (packed("<" * 100_000), "The stored type cannot be read"),
        (packed("float32 float32"), "The stored type cannot be read"),
        (packed("float32[99999999999999999999]"), "The stored type cannot be read"),
        (packed("<a=int32,a=int32>"), "The stored type cannot be read"),
        (packed(" " * (1 << 22) + " int32"), "The stored type is too long"),
        (packed("int32") + b"\0", "These bytes do not hold what they say they do"),
        (packed(3), "These bytes do not hold what they say they do"),
        (b"", "These bytes do not hold what they say they do"),
    ],
)
def test_a_made_up_body_is_refused(body: bytes, headline: str):
    with pytest.raises(CorruptDataError) as caught:
        wire.decode_type(seal(Content.TYPE, body))
    assert caught.value.headline == headline
