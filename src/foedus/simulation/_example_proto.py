# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tf.train.Example`` messages to features and back, without TensorFlow.

The messages, in the protocol buffer language (field numbers after the equals sign):

```
Example  { Features features = 1; }
Features { map<string, Feature> feature = 1; }      an entry is a message { key = 1; value = 2; }
Feature  { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
BytesList { repeated bytes value = 1; }    FloatList { repeated float value = 1; }    Int64List likewise
```

Numbers may be packed or not, as the format allows. Beyond that the decoder is strict: every byte must belong
to one of these fields, and neither a message nor a feature may come twice. Its work is linear in the number
of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from foedus.errors import CorruptDataError

Feature: TypeAlias = np.ndarray[Any, Any] | list[bytes] | None
"""float32[n], int64[n], a list of n byte strings, or None for a feature of no kind, which has no values."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_Wires: TypeAlias = Mapping[int, tuple[int, ...]]
"""The fields that a message may have, and the wire types of each."""
_ONE_MESSAGE: _Wires = {1: (_LENGTH,)}
_ENTRY: _Wires = {1: (_LENGTH,), 2: (_LENGTH,)}
_KINDS: _Wires = {_BYTES_LIST: (_LENGTH,), _FLOAT_LIST: (_LENGTH,), _INT64_LIST: (_LENGTH,)}
_FLOATS: _Wires = {1: (_LENGTH, _FIXED32)}
_INTEGERS: _Wires = {1: (_LENGTH, _VARINT)}
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_VARINT_BYTES = 10


def decode_example(message: bytes) -> dict[str, Feature]:
    """Decodes one message.

    Args:
        message: The bytes of a ``tf.train.Example``.

    Returns:
        Its features by name.

    Raises:
        CorruptDataError: If the bytes are no such message.
    """
    features: dict[str, Feature] = {}
    for _, start, end in _once(message, 0, len(message), _ONE_MESSAGE):
        for _, _, entry, entry_end in _fields(message, start, end, _ONE_MESSAGE):
            name, feature = _entry(message, entry, entry_end)
            if name in features:
                raise _corrupt(f"the feature {name!r} is there twice", entry)
            features[name] = feature
    return features


def _entry(message: bytes, start: int, end: int) -> tuple[str, Feature]:
    parts = {number: (begin, stop) for number, begin, stop in _once(message, start, end, _ENTRY)}
    name = _name(message, *parts.get(1, (start, start)))
    try:
        return name, _feature(message, *parts.get(2, (end, end)))
    except CorruptDataError as error:
        raise CorruptDataError(error.headline, at=f"{error.at}, in the feature {name!r}") from None


def _name(message: bytes, start: int, end: int) -> str:
    try:
        return message[start:end].decode("utf-8")
    except UnicodeDecodeError:
        raise _corrupt("the name of a feature is not UTF-8", start) from None


def _feature(message: bytes, start: int, end: int) -> Feature:
    found = list(_once(message, start, end, _KINDS))
    if len(found) > 1:
        raise _corrupt("a feature is of two kinds", start)
    if not found:
        return None
    kind, begin, stop = found[0]
    if kind == _BYTES_LIST:
        return [message[a:b] for _, _, a, b in _fields(message, begin, stop, _ONE_MESSAGE)]
    if kind == _FLOAT_LIST:
        return _floats(message, begin, stop)
    return _integers(message, begin, stop)


def _floats(message: bytes, start: int, end: int) -> np.ndarray[Any, Any]:
    pieces = []
    for _, _, begin, stop in _fields(message, start, end, _FLOATS):
        if (stop - begin) % 4:
            raise _corrupt("packed floats end within a number", stop)
        pieces.append(message[begin:stop])
    return np.frombuffer(_joined(pieces), dtype="<f4").astype(np.float32, copy=False)


def _integers(message: bytes, start: int, end: int) -> np.ndarray[Any, Any]:
    pieces = []
    for _, _, begin, stop in _fields(message, start, end, _INTEGERS):
        if stop > begin and message[stop - 1] > 127:
            raise _corrupt("packed integers end within a number", stop)
        pieces.append(message[begin:stop])
    data = _joined(pieces)
    if data.isascii():  # every number is a single byte
        return np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    return _varints(np.frombuffer(data, dtype=np.uint8), start)


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _varints(data: np.ndarray[Any, Any], at: int) -> np.ndarray[Any, Any]:
    """Decodes numbers of seven bits a byte, lowest first, whose last byte alone is below 128: int64[n]."""
    last = np.flatnonzero(data < 128)
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if int(length.max()) > _MOST_VARINT_BYTES or np.any(data[last[length == _MOST_VARINT_BYTES]] > 1):
        raise _corrupt("an integer has more than 64 bits", at)
    values = np.zeros(len(last), dtype=np.uint64)
    for i in range(int(length.max())):
        some = length > i
        values[some] |= (data[first[some] + i] & 127).astype(np.uint64) << np.uint64(7 * i)
    return values.view(np.int64)


def _once(message: bytes, start: int, end: int, wires: _Wires) -> Iterator[tuple[int, int, int]]:
    """The fields of a message in which none is repeated: number, and where its content starts and ends."""
    seen = 0
    for number, _, begin, stop in _fields(message, start, end, wires):
        if seen >> number & 1:
            raise _corrupt(f"field {number} is there twice", begin)
        seen |= 1 << number
        yield number, begin, stop


def _fields(
    message: bytes, start: int, end: int, wires: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and where the content starts and ends."""
    at = start
    while at < end:
        tag, begin = _varint(message, at, end)
        number, wire = tag >> 3, tag & 7
        if wire not in wires.get(number, ()):
            raise _corrupt(f"field {number} of wire type {wire} does not belong there", at)
        if wire == _LENGTH:
            size, begin = _varint(message, begin, end)
        elif wire == _VARINT:
            size = _varint(message, begin, end)[1] - begin
        else:
            size = _FIXED_SIZES[wire]
        if size > end - begin:
            raise _corrupt(f"a field of {size} bytes has only {end - begin}", at)
        at = begin + size
        yield number, wire, begin, at


def _varint(message: bytes, at: int, end: int) -> tuple[int, int]:
    """One number and where it ends."""
    if at < end and message[at] < 128:  # by far the most are like this
        return message[at], at + 1
    value = shift = 0
    for i in range(at, min(end, at + _MOST_VARINT_BYTES)):
        byte = message[i]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, i + 1
        shift += 7
    if end - at < _MOST_VARINT_BYTES:
        raise _corrupt("it ends within a number", end)
    raise _corrupt("a number has more than 64 bits", at)


def _corrupt(what: str, at: int) -> CorruptDataError:
    return CorruptDataError(f"This is no tf.train.Example: {what}", at=f"byte {at}")


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Encodes one message, the same bytes for equal features: sorted by name, numbers packed.

    Args:
        features: As ``decode_example`` returns them.

    Returns:
        The bytes of a ``tf.train.Example``.
    """
    entries = (
        _field(1, _field(1, name.encode("utf-8")) + _field(2, _encoded(features[name])))
        for name in sorted(features)
    )
    return _field(1, b"".join(entries))


def _encoded(feature: Feature) -> bytes:
    if feature is None:
        return b""
    if isinstance(feature, list):
        return _field(_BYTES_LIST, b"".join(_field(1, value) for value in feature))
    if feature.dtype.kind == "f":
        packed, kind = feature.astype("<f4", copy=False).tobytes(), _FLOAT_LIST
    else:
        packed, kind = _packed(feature), _INT64_LIST
    return _field(kind, _field(1, packed) if packed else b"")


def _packed(integers: np.ndarray[Any, Any]) -> bytes:
    if len(integers) and integers.min() >= 0 and integers.max() < 128:
        return integers.astype(np.uint8).tobytes()
    return b"".join(_number(int(value) & (1 << 64) - 1) for value in integers)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _LENGTH]) + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
