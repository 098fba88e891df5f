# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus.errors import CorruptDataError
from foedus.simulation._example_proto import Feature, decode_example, encode_example

NAMES = st.text(max_size=12)
FLOATS = st.lists(st.floats(width=32)).map(lambda values: np.array(values, np.float32))
INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda values: np.array(values, np.int64))
EXAMPLES = st.dictionaries(
    NAMES, FLOATS | INTEGERS | st.lists(st.binary(max_size=20)) | st.none(), max_size=4
)


def assert_same(found: dict[str, Feature], expected: dict[str, Feature]) -> None:
    assert found.keys() == expected.keys()
    for name, feature in expected.items():
        other = found[name]
        if isinstance(feature, np.ndarray):
            assert isinstance(other, np.ndarray)
            assert (other.dtype, other.tobytes()) == (feature.dtype, feature.tobytes())
        else:
            assert other == feature


@given(EXAMPLES)
def test_decoding_is_the_inverse_of_encoding(features: dict[str, Feature]):
    assert_same(decode_example(encode_example(features)), features)


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_decoded_or_refused(message: bytes):
    with suppress(CorruptDataError):
        decode_example(message)


@given(EXAMPLES, st.data())
def test_damaged_messages_are_decoded_or_refused(features: dict[str, Feature], data: st.DataObject):
    message = bytearray(encode_example(features))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CorruptDataError):
        decode_example(bytes(message))


@given(EXAMPLES)
def test_no_beginning_of_a_message_is_taken_for_the_whole(features: dict[str, Feature]):
    message = encode_example(features)
    for end in range(1, len(message)):
        with pytest.raises(CorruptDataError):
            decode_example(message[:end])


def test_the_bytes_are_what_tensorflow_writes():
    message = encode_example({"label": np.array([3]), "pixels": np.array([1.0, 0.5], np.float32)})
    label = b"\x0a\x0e" + b"\x0a\x05label" + b"\x12\x05" + b"\x1a\x03\x0a\x01\x03"
    pixels = b"\x0a\x16" + b"\x0a\x06pixels" + b"\x12\x0c" + b"\x12\x0a\x0a\x08\0\0\x80?\0\0\0?"
    assert message == b"\x0a\x28" + label + pixels


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (b"\x12\x0a\x0d\0\0\x80?\x0d\0\0\0?", np.array([1.0, 0.5], np.float32)),
        (b"\x12\x0b\x0a\x04\0\0\x80?\x0d\0\0\0?", np.array([1.0, 0.5], np.float32)),
        (b"\x1a\x09\x08\x05\x0a\x03\x81\x01\x06\x08\x07", np.array([5, 129, 6, 7])),
        (b"\x1a\x0b\x08" + b"\xff" * 9 + b"\x01", np.array([-1])),
        (b"\x1a\x03\x08\x80\x00", np.array([0])),
        (b"\x1a\x00", np.array([], np.int64)),
        (b"\x12\x02\x0a\x00", np.array([], np.float32)),
    ],
)
def test_numbers_may_be_packed_or_not(lists: bytes, expected: np.ndarray[Any, Any]):
    entry = b"\x0a\x01x\x12" + bytes([len(lists)]) + lists
    features = b"\x0a" + bytes([len(entry)]) + entry
    assert_same(decode_example(b"\x0a" + bytes([len(features)]) + features), {"x": expected})


def message_of(feature: bytes, name: bytes = b"\x0a\x01x") -> bytes:
    entry = name + b"\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


IN_X = ", in the feature 'x'"


@pytest.mark.parametrize(
    ("message", "what", "at"),
    [
        (b"\x0a", "it ends within a number", "byte 1"),
        (b"\x0a\x05\x0a", "a field of 5 bytes has only 1", "byte 0"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "a field of 18446744073709551615 bytes has only 0", "byte 0"),
        (b"\x0a" + b"\xff" * 12, "a number has more than 64 bits", "byte 1"),
        (b"\x12\x00", "field 2 of wire type 2 does not belong there", "byte 0"),
        (b"\x0b", "field 1 of wire type 3 does not belong there", "byte 0"),
        (b"\x00\x00", "field 0 of wire type 0 does not belong there", "byte 0"),
        (b"\x0a\x00\x0a\x00", "field 1 is there twice", "byte 4"),
        (message_of(b"", b"\x0a\x01\xff"), "the name of a feature is not UTF-8", "byte 6"),
        (message_of(b"\x12\x00\x1a\x00"), "a feature is of two kinds", f"byte 9{IN_X}"),
        (message_of(b"\x12\x00\x12\x00"), "field 2 is there twice", f"byte 13{IN_X}"),
        (message_of(b"\x12\x05\x0a\x03abc"), "packed floats end within a number", f"byte 16{IN_X}"),
        (message_of(b"\x1a\x03\x0a\x01\x80"), "packed integers end within a number", f"byte 14{IN_X}"),
        (
            message_of(b"\x1a\x0b\x08" + b"\xff" * 9 + b"\x02"),
            "an integer has more than 64 bits",
            f"byte 11{IN_X}",
        ),
        (
            message_of(b"\x1a\x0d\x0a\x0b" + b"\x80" * 10 + b"\x00"),
            "an integer has more than 64 bits",
            f"byte 11{IN_X}",
        ),
    ],
)
def test_what_is_wrong_and_where(message: bytes, what: str, at: str):
    with pytest.raises(CorruptDataError) as caught:
        decode_example(message)
    assert str(caught.value) == f"This is no tf.train.Example: {what}\n  at        {at}"


def test_a_feature_comes_once():
    one = encode_example({"x": None})[2:]
    with pytest.raises(CorruptDataError, match="the feature 'x' is there twice"):
        decode_example(b"\x0a" + bytes([2 * len(one)]) + one + one)


@pytest.fixture(scope="module")
def example_class() -> Any:
    """The class of the message in Google's implementation, where that is installed."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, str | None]) -> Any:
        made = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = 3 if field in ("value", "feature") and name != "FeatureEntry" else 1
            made.field.add(name=field, number=number, label=label, type=kind, type_name=of)
        return made

    nested, text = 11, 9
    message("BytesList", ("value", 1, 12, None))
    message("FloatList", ("value", 1, 2, None))
    message("Int64List", ("value", 1, 3, None))
    lists = [
        (f"{kind.lower()}_list", i, nested, f".t.{kind}List")
        for i, kind in enumerate(("Bytes", "Float", "Int64"), 1)
    ]
    kinds = message("Feature", *lists)
    kinds.oneof_decl.add(name="kind")
    for field in kinds.field:
        field.oneof_index = 0
    features = message("Features", ("feature", 1, nested, ".t.Features.FeatureEntry"))
    entry = message("FeatureEntry", ("key", 1, text, None), ("value", 2, nested, ".t.Feature"))
    entry.options.map_entry = True
    features.nested_type.add().CopyFrom(entry)
    file.message_type.remove(entry)
    message("Example", ("features", 1, nested, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


@settings(max_examples=50)
@given(features=EXAMPLES)
def test_googles_implementation_agrees(example_class: Any, features: dict[str, Feature]):
    theirs = example_class()
    theirs.features.SetInParent()
    for name, feature in features.items():
        made = theirs.features.feature[name]
        if isinstance(feature, list):
            made.bytes_list.value.extend(feature)
            made.bytes_list.SetInParent()
        elif feature is not None:
            chosen = made.float_list if feature.dtype == np.float32 else made.int64_list
            chosen.value.extend(feature.tolist())
            chosen.SetInParent()
    assert_same(decode_example(theirs.SerializeToString()), features)
    assert example_class.FromString(encode_example(features)).SerializeToString(
        deterministic=True
    ) == theirs.SerializeToString(deterministic=True)
