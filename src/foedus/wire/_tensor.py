# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors to pieces of a body and back.

A tensor is its shape and its elements in row-major order, little endian, in pieces of at most ``PIECE``
bytes (strings one by one). Nothing is allocated for more than there is.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from foedus.types import STRING, Array, Tensor
from foedus.wire._stream import Reader, Writer

PIECE = 1 << 26
"""Most bytes of an array in one piece, far below what MessagePack can count."""
_MOST_DIMENSIONS = 64
"""NumPy's own limit."""


def write_tensor(writer: Writer, array: Array, type_: Tensor) -> None:
    """Writes a tensor.

    Args:
        writer: Where to.
        array: The tensor.
        type_: Its type.
    """
    writer.length(array.ndim)
    for size in array.shape:
        writer.item(size)
    if type_.dtype == STRING:
        for string in array.ravel():
            writer.item(str(string))
        return
    data = little_endian(np.ascontiguousarray(array).reshape(-1)).view(np.uint8)
    for start in range(0, len(data), PIECE):
        writer.item(data[start : start + PIECE].data)


def little_endian(array: Array, byteorder: str = sys.byteorder) -> Array:
    """Swaps the bytes of each number where the machine's order is the other one; its own inverse.

    Args:
        array: An array whose numbers are in the machine's order, or little endian.
        byteorder: The machine's order.

    Returns:
        The array with the other one of the two.
    """
    if byteorder == "little":
        return array
    # A dtype that NumPy does not know itself, such as bfloat16, can only be swapped as whole numbers.
    whole = array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array
    return whole.byteswap().view(array.dtype)


def _read_shape(reader: Reader, type_: Tensor, path: str) -> tuple[int, ...]:
    rank = reader.length(path)
    if rank > _MOST_DIMENSIONS:
        raise reader.broken(f"{rank} dimensions", path)
    shape = tuple(reader.integer(path) for _ in range(rank))
    wanted = type_.shape
    if wanted is not None and (
        len(wanted) != rank or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True))
    ):
        raise reader.broken(f"the shape {list(shape)} where {type_} should be", path)
    return shape


def read_tensor(reader: Reader, type_: Tensor, path: str) -> Array:
    """Reads a tensor.

    Args:
        reader: Where from.
        type_: The type that it should have.
        path: Where it stands, for errors.

    Returns:
        The tensor.

    Raises:
        CorruptDataError: If no such tensor stands there.
    """
    shape = _read_shape(reader, type_, path)
    is_string = type_.dtype == STRING
    size = math.prod(shape) * (1 if is_string else type_.dtype.itemsize)
    # Nothing is allocated for more than there is: a string takes one byte at least.
    if size > reader.rest:
        raise reader.broken(f"{size} bytes of {type_.dtype.name}{list(shape)} in {reader.rest} bytes", path)
    flat = _read_strings(reader, size, path) if is_string else _read_numbers(reader, type_, size, path)
    try:
        return flat.reshape(shape)
    except ValueError as error:
        raise reader.broken(f"the shape {list(shape)}, which no array can have", path) from error


def _read_strings(reader: Reader, count: int, path: str) -> Array:
    flat: Array = np.empty(count, dtype=object)
    for i in range(count):
        flat[i] = reader.text(path)
    return flat


def _read_numbers(reader: Reader, type_: Tensor, size: int, path: str) -> Array:
    data: Array = np.empty(size, dtype=np.uint8)
    for start in range(0, size, PIECE):
        stop = min(start + PIECE, size)
        data[start:stop] = np.frombuffer(reader.blob(stop - start, path), dtype=np.uint8)
    if type_.dtype.kind == "b" and size and int(data.max()) > 1:
        raise reader.broken(f"the byte {int(data.max())} for a truth value", path)
    return little_endian(data.view(type_.dtype))
