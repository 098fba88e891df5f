# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The envelope: what is checked before a body is read, and in which order."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus import types, wire
from foedus.errors import CorruptDataError
from foedus.wire._envelope import HEAD, MAGIC

STEADY = settings(deadline=None, derandomize=True)

STATE = types.struct(w=types.tensor("float32", (3,)), note=types.string, step=types.int32)
DATA = wire.encode_value({"w": [1.0, 2.0, 3.0], "note": "né", "step": 7}, STATE)


def read(data: bytes) -> str:
    """The error's text up to the user's line."""
    with pytest.raises(CorruptDataError) as caught:
        wire.decode_value(data, STATE)
    lines = str(caught.value).splitlines()
    return "\n".join(line for line in lines if not line.startswith("  at "))


def patched(offset: int, layout: str, value: int) -> bytes:
    data = bytearray(DATA)
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


def test_other_files():
    assert read(b"PK\x03\x04 and so on") == (
        "These bytes were not written by Foedus\n"
        "  found     b'PK\\x03\\x04 and' at the start\n"
        "  expected  b'\\x89FOEDUS\\n'"
    )


def test_a_newer_format():
    assert read(patched(8, "<H", 2)) == (
        "These bytes have a newer format than this version of Foedus reads\n"
        "  found     format 2\n"
        "  expected  at most 1\n"
        "  hint      install a newer version of Foedus"
    )


def test_a_format_that_never_was():
    assert read(patched(8, "<H", 0)).startswith(
        "These bytes name a format that never was\n  found     format 0"
    )


def test_a_type_where_a_value_should_be():
    assert read(wire.encode_type(STATE)) == (
        "These bytes hold something else\n  found     a type\n  expected  a value"
    )
    assert "content of kind 9" in read(patched(10, "<B", 9))


def test_a_value_where_a_type_should_be():
    with pytest.raises(CorruptDataError, match="These bytes hold something else"):
        wire.decode_type(DATA)


def test_a_file_that_ends_too_early():
    assert read(DATA[:-1]) == (
        "These bytes end too early\n"
        f"  found     {len(DATA) - 1} bytes\n"
        f"  expected  {len(DATA)}\n"
        "  hint      get them again: writing or sending them was cut short"
    )


@pytest.mark.parametrize("size", range(len(DATA)))
def test_every_truncation(size: int):
    assert read(DATA[:size]).startswith("These bytes end too early")


def test_something_follows():
    assert read(DATA + b"\0").startswith(f"Something follows the end\n  found     {len(DATA) + 1} bytes")


def test_a_huge_declared_length():
    assert read(patched(11, "<Q", 2**64 - 1)).startswith("These bytes end too early")


def test_damage():
    assert read(patched(len(DATA) - 1, "<B", 0xFF)) == (
        "These bytes are damaged: their checksum is not the one that was written\n"
        "  hint      get them again, or use an older copy"
    )


def test_every_changed_byte_is_noticed():
    for i in range(len(DATA)):
        for flip in (0x01, 0x80, 0xFF):
            data = bytearray(DATA)
            data[i] ^= flip
            with pytest.raises(CorruptDataError):
                wire.decode_value(bytes(data), STATE)


def test_version_and_kind_are_under_the_checksum():
    """Or else a type whose kind is damaged could be taken for a value."""
    data = bytearray(wire.encode_type(types.int32))
    data[10] = 2
    with pytest.raises(CorruptDataError, match="damaged"):
        wire.decode_value(bytes(data), types.int32)


@STEADY
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes):
    with pytest.raises(CorruptDataError):
        wire.decode_value(data, STATE)
    with pytest.raises(CorruptDataError):
        wire.decode_type(data)


@STEADY
@given(st.binary(max_size=200), st.sampled_from([1, 2]))
def test_random_bodies_under_a_right_checksum(body: bytes, kind: int):
    front = struct.pack("<8sHBQ", MAGIC, 1, kind, len(body))
    data = front + hashlib.sha256(front + body).digest() + body
    assert len(data) == HEAD + len(body)
    with pytest.raises(CorruptDataError):
        wire.decode_value(data, STATE)


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(view: type):
    assert wire.decode_value(view(DATA), STATE)["step"] == 7
