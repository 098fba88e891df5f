# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values to bytes and back."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections import OrderedDict
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foedus import data, types, wire
from foedus.errors import (
    CorruptDataError,
    PlacementError,
    StructureError,
    TypeMismatchError,
    UnsupportedError,
)
from foedus.types import Sequence, Struct, Tensor
from foedus.wire import _tensor
from foedus.wire._envelope import HEAD, Content, seal
from foedus.wire._stream import Writer

STEADY = settings(deadline=None, derandomize=True)


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


def again(value: Any, type_: types.Type) -> Any:
    return wire.decode_value(wire.encode_value(value, type_), type_)


def packed(item: int | str) -> bytes:
    writer = Writer()
    writer.item(item)
    return writer.body()


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal bit for bit, containers included."""
    if isinstance(one, np.ndarray | np.generic) and one.dtype != object:
        return (
            type(one) is type(two)
            and one.dtype == two.dtype
            and one.shape == two.shape
            and (np.asarray(one).tobytes() == np.asarray(two).tobytes())
        )
    if isinstance(one, np.ndarray):
        return one.shape == two.shape and one.ravel().tolist() == two.ravel().tolist()
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


# A string may hold what is no Unicode: that is how bytes which are no UTF-8 are kept.
strings = st.text(st.characters(codec=None), max_size=5)


def arrays(dtype: np.dtype, shape: tuple[int, ...]) -> st.SearchStrategy:
    if dtype == types.STRING:
        flat = st.lists(strings, min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
        return flat.map(lambda items: np.array([*items, None], dtype=object)[:-1].reshape(shape))
    if dtype == ml_dtypes.bfloat16:
        return hnp.arrays(np.uint16, shape).map(lambda a: a.view(dtype))
    return hnp.arrays(dtype, shape)


@st.composite
def tensors(draw: st.DrawFn, unknown: bool = True) -> tuple[Any, types.Type]:
    dtype = draw(st.sampled_from(list(types.DTYPES.values())))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    array = draw(arrays(dtype, shape))
    declared: tuple[int | None, ...] | None = shape
    if unknown:
        declared = draw(st.just(None) | st.tuples(*(st.sampled_from([s, None]) for s in shape)))
    type_ = Tensor(dtype, declared)
    return types.from_plain(array, type_), type_


@st.composite
def sequences(draw: st.DrawFn) -> tuple[Any, types.Type]:
    dtype = draw(st.sampled_from([types.DTYPES["int16"], types.STRING, types.DTYPES["bfloat16"]]))
    items = draw(st.lists(arrays(dtype, (2,)), max_size=3))
    return [{"x": item, "e": {}} for item in items], Sequence(types.to_type({"x": (dtype, (2,)), "e": {}}))


@st.composite
def structs(draw: st.DrawFn, inner: st.SearchStrategy) -> tuple[Any, types.Type]:
    container = draw(st.sampled_from([dict, OrderedDict, tuple, list, Point]))
    items = draw(
        st.lists(inner, min_size=2, max_size=2) if container is Point else st.lists(inner, max_size=3)
    )
    names: Any = [None] * len(items)
    if container in (dict, OrderedDict):
        names = draw(
            st.lists(st.text("aé*'", max_size=3), min_size=len(items), max_size=len(items), unique=True)
        )
    names = ["x", "y"] if container is Point else names
    type_ = Struct(tuple((name, t) for name, (_, t) in zip(names, items, strict=True)), container)
    return types.pack(type_, [value for value, _ in items]), type_


typed_values = st.recursive(tensors() | sequences(), structs, max_leaves=5)


@STEADY
@given(typed_values)
def test_values_come_back(typed: tuple[Any, types.Type]):
    value, type_ = typed
    assert same(again(value, type_), value)


@STEADY
@given(typed_values, st.data())
def test_a_changed_byte_is_noticed(typed: tuple[Any, types.Type], choice: st.DataObject):
    value, type_ = typed
    encoded = bytearray(wire.encode_value(value, type_))
    encoded[choice.draw(st.integers(0, len(encoded) - 1))] ^= choice.draw(st.integers(1, 255))
    with pytest.raises(CorruptDataError):
        wire.decode_value(bytes(encoded), type_)


@STEADY
@given(tensors(unknown=False) | sequences(), st.data())
def test_a_changed_body_under_a_right_checksum(typed: tuple[Any, types.Type], choice: st.DataObject):
    """It either is another value of the type, or refused: nothing else can happen."""
    value, type_ = typed
    body = bytearray(wire.encode_value(value, type_)[HEAD:])
    text = len(packed(types.show(type_)))
    body[choice.draw(st.integers(text, len(body) - 1))] ^= choice.draw(st.integers(1, 255))
    try:
        read = wire.decode_value(seal(Content.VALUE, bytes(body)), type_)
    except CorruptDataError:
        return
    wire.encode_value(read, type_)


@pytest.mark.parametrize("name", types.DTYPES)
def test_every_dtype(name: str):
    value = (
        np.array(["", "é\0", "\ud800"], dtype=object)
        if name == "str"
        else np.arange(3).astype(types.DTYPES[name])
    )
    type_ = types.tensor(name, (3,))
    assert same(again(value, type_), value)


def test_containers_come_back():
    value = (Layer(np.float32(1), ()), [Point(1, "two"), None], {"a": ()}, OrderedDict(b=True))
    type_ = types.type_of(value)
    read = again(value, type_)
    assert read == (Layer(1.0, ()), [Point(1, "two"), None], {"a": ()}, OrderedDict(b=True))
    assert [type(part) for part in read] == [Layer, list, dict, OrderedDict]


def test_bits_of_not_a_number_come_back():
    bits = np.array([0x7FC00001, 0xFFC12345, 0x80000000], dtype=np.uint32)
    value = bits.view(np.float32)
    assert again(value, types.tensor("float32", (3,))).view(np.uint32).tolist() == bits.tolist()


def test_an_array_is_written_whatever_lies_in_memory():
    value = np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4))[::2, ::-1]
    assert again(value, types.tensor("int16", (2, 4))).tolist() == value.tolist()


def test_arrays_that_come_back_can_be_changed():
    read = again(np.zeros(2), types.tensor("float64", (2,)))
    read += 1
    assert read.tolist() == [1.0, 1.0]


def test_a_large_array_goes_in_pieces():
    value = np.arange(_tensor.PIECE // 4 + 3, dtype=np.uint32)
    assert np.array_equal(again(value, types.tensor("uint32", (None,))), value)


def test_what_is_at_the_server_is_its_member():
    placed = types.struct(a=types.at_server(types.int32), b=types.float32)
    encoded = wire.encode_value({"a": 1, "b": 2.0}, placed)
    assert encoded == wire.encode_value({"a": 1, "b": 2.0}, types.struct(a=types.int32, b=types.float32))
    assert wire.decode_value(encoded, types.at_server(types.struct(a=types.int32, b=types.float32))) == {
        "a": 1,
        "b": 2,
    }


def test_a_sequence_may_be_given_in_columns_and_with_transforms():
    type_ = types.sequence({"x": types.int32})
    assert again({"x": np.arange(3, dtype=np.int32)}, type_) == [{"x": 0}, {"x": 1}, {"x": 2}]
    cohort = data.cohort_of([[1, 2, 3]], types.sequence(types.int32))
    ragged = dataclasses.replace(cohort.value, transforms=(data.Take(2), data.Repeat(2)))
    assert again(data.Elements(ragged, 0, 0), types.sequence(types.int32)) == [1, 2, 1, 2]


def test_the_bytes_of_a_value_stay_what_they_are():
    """What was once written stays readable: a change here needs a new version of the format."""
    encoded = wire.encode_value(
        {"w": [[1, 2]], "s": "a"}, types.struct(w=types.tensor("int16", (1, None)), s=types.string)
    )
    body = b"\xb4<w=int16[1,?],s=str>\x92\x92\x01\x02\xc4\x04\x01\x00\x02\x00\x90\xa1a"
    assert encoded[:19].hex() == f"89464f454455530a010002{len(body):02x}00000000000000"
    assert encoded[HEAD:] == body


def test_numbers_are_little_endian_on_every_machine():
    for name in ("int16", "float64", "complex64", "bfloat16", "bool"):
        array = np.arange(2).astype(types.DTYPES[name])
        swapped = _tensor.little_endian(array, "big")
        assert swapped.dtype == array.dtype
        assert _tensor.little_endian(swapped, "big").tobytes() == array.tobytes()
    assert _tensor.little_endian(np.array([1], dtype=np.int16), "big").tobytes() == b"\0\1"
    assert _tensor.little_endian(np.array([1], dtype=ml_dtypes.bfloat16), "big").tobytes() == b"\x3f\x80"


# ------------------------------------------------------------------ other types


def test_another_type_is_named_at_the_first_path_where_it_differs():
    stored = types.to_type({"m": {"a": ("float32", (3,)), "b": "float32"}})
    asked = types.to_type({"m": {"a": ("float32", (4,)), "b": "int32"}})
    encoded = wire.encode_value({"m": {"a": np.zeros(3, np.float32), "b": 1.0}}, stored)
    with pytest.raises(TypeMismatchError) as caught:
        wire.decode_value(encoded, asked)
    lines = str(caught.value).splitlines()
    assert lines[:3] == [
        "Wrong shape in the stored value",
        "  found     float32[3]",
        "  expected  float32[4]",
    ]
    assert lines[3].startswith("  at        .m.a of the stored value, test_value.py:")


def test_a_missing_field_is_named():
    encoded = wire.encode_value({"w": 1.0}, types.struct(w=types.float32))
    with pytest.raises(StructureError, match="The field 'b' is missing in the stored value"):
        wire.decode_value(encoded, types.struct(w=types.float32, b=types.float32))


def test_a_stored_value_may_be_read_as_a_wider_type():
    encoded = wire.encode_value(([1, 2], 3), types.to_type((("int32", (2,)), "int32")))
    read = wire.decode_value(encoded, types.struct(a=types.tensor("int32", (None,)), b=types.int32))
    assert read["a"].tolist() == [1, 2]
    assert read["b"] == 3


def test_a_value_of_another_type_is_not_written():
    with pytest.raises(TypeMismatchError, match="Wrong shape in the value to write"):
        wire.encode_value(np.zeros(3, np.float32), types.tensor("float32", (2,)))


@pytest.mark.parametrize("all_equal", [False, True])
def test_values_at_clients_are_out_of_scope(all_equal: bool):
    type_ = types.struct(x=types.at_clients(types.int32, all_equal=all_equal))
    with pytest.raises(UnsupportedError) as caught:
        wire.encode_value({"x": [1]}, type_)
    assert str(caught.value).splitlines()[:3] == [
        "Values at CLIENTS cannot be written to bytes",
        f"  found     {'int32@CLIENTS' if all_equal else '{int32}@CLIENTS'}",
        "  expected  a value at the server, or one without a placement",
    ]
    assert not isinstance(caught.value, PlacementError)


@pytest.mark.parametrize(
    "type_", [types.Function(None, types.int32), types.Placement(), types.struct(types.Abstract("T"))]
)
def test_only_values_are_values(type_: types.Type):
    with pytest.raises(UnsupportedError, match="This is not the type of a value"):
        wire.decode_value(b"", type_)


# ------------------------------------------------------------------ hostile bodies under a right checksum


def body(type_: types.Type, rest: bytes) -> bytes:
    return seal(Content.VALUE, packed(types.show(type_)) + rest)


VECTOR = types.tensor("float32", (None,))
HOSTILE: list[tuple[types.Type, bytes, str]] = [
    (VECTOR, b"\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xc4\x00", "36893488147419103228 bytes of float32"),
    (VECTOR, b"\x91\x02\xc4\x07\0\0\0\0\0\0\0", "7 bytes where 8 bytes should be"),
    (VECTOR, b"\x91\x02\xc4\x09\0\0\0\0\0\0\0\0\0", "9 bytes where 8 bytes should be"),
    (VECTOR, b"\x91\x01\xc6\xff\xff\xff\xff\0\0\0\0", "no number, string or bytes"),
    (VECTOR, b"\x91\x01\xa4abcd", "str where 4 bytes should be"),
    (VECTOR, b"\x91\xff", "int for a length"),
    (VECTOR, b"\x91\xc3\xc4\x04abcd", "bool for a length"),
    (VECTOR, b"\x92\x01\x01\xc4\x04abcd", "the shape [1, 1] where float32[?] should be"),
    (VECTOR, b"\xdd\xff\xff\xff\xff", "a list of 4294967295 items in 0 bytes"),
    (VECTOR, b"\x05", "no list"),
    (VECTOR, b"", "no list"),
    (
        types.tensor("float32", (2,)),
        b"\x91\x03\xc4\x0cabcdabcdabcd",
        "the shape [3] where float32[2] should be",
    ),
    (types.tensor("int8", None), b"\xdc\x00\x41" + b"\x01" * 65 + b"\xc4\x01a", "65 dimensions"),
    (
        types.tensor("int8", None),
        b"\x93\x00" + b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff" * 2,
        "which no array can have",
    ),
    (types.tensor("str", (None,)), b"\x91\xce\xff\xff\xff\xff\xa1a", "4294967295 bytes of str"),
    (types.tensor("str", (None,)), b"\x91\x01\xa2\xff\xfe", "no number, string or bytes"),
    (types.tensor("str", (None,)), b"\x91\x01\xc4\x01a", "bytes for a string"),
    (types.bool_, b"\x90\xc4\x01\x02", "the byte 2 for a truth value"),
    (types.struct(types.int8), b"\x92\x90\xc4\x01a\x90\xc4\x01a", "2 fields where 1 should be"),
    (types.struct(types.int8), b"\x91" * 2000, "no number, string or bytes"),
    (
        types.sequence(types.int8),
        b"\xdd\xff\xff\xff\xff\x90\xc4\x01a",
        "a list of 4294967295 items in 4 bytes",
    ),
    (types.EMPTY, b"\x90\x90", "1 bytes that nothing explains"),
    (types.int8, b"\x90\xc7\x00\x05", "ExtType where 1 bytes should be"),
    (types.int8, b"\x90\x81\x01\x01", "no number, string or bytes"),
    (types.int8, b"\x90\xc1", "no number, string or bytes"),
]


@pytest.mark.parametrize(("type_", "rest", "found"), HOSTILE)
def test_a_made_up_body_is_refused(type_: types.Type, rest: bytes, found: str):
    encoded = body(type_, rest)
    tracemalloc.start()
    with pytest.raises(CorruptDataError) as caught:
        wire.decode_value(encoded, type_)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.headline == "These bytes do not hold what they say they do"
    assert found in str(caught.value.found)
    assert peak < 4_000_000


def test_a_made_up_type_is_refused():
    encoded = seal(Content.VALUE, packed("<" * 1000) + b"\x90")
    with pytest.raises(CorruptDataError, match="The stored type cannot be read"):
        wire.decode_value(encoded, types.int32)


def test_the_path_of_what_is_broken_is_named():
    encoded = body(types.struct(a=types.sequence(types.bool_)), b"\x91\x92\x90\xc4\x01\x01\x90\xc4\x01\x07")
    with pytest.raises(CorruptDataError) as caught:
        wire.decode_value(encoded, types.struct(a=types.sequence(types.bool_)))
    assert caught.value.at is not None
    assert caught.value.at.startswith(".a[1] of the value")
