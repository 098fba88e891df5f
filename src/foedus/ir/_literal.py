# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Constants: from values to nodes and back."""

from __future__ import annotations

import json

import numpy as np

from foedus.ir._nodes import Literal, Node, Record
from foedus.types import STRING, Array, PlainValue, Struct, Tensor, Type, to_plain, type_of


def literal(array: Array, type_: Tensor) -> Literal:
    """A constant tensor.

    Args:
        array: Its value as an array of the right dtype.
        type_: Its type; unknown dimensions become those of the array.

    Returns:
        The node.
    """
    known = Tensor(type_.dtype, tuple(np.shape(array)))
    if type_.dtype == STRING:
        return Literal(json.dumps(np.asarray(array, dtype=object).tolist()).encode(), known)
    little = np.ascontiguousarray(array, dtype=type_.dtype.newbyteorder("<"))
    return Literal(little.tobytes(), known)


def value_of(node: Literal) -> Array:
    """The array of a constant; it must not be written to."""
    shape = tuple(size or 0 for size in node.type.shape or ())
    if node.type.dtype == STRING:
        strings = np.empty(shape, dtype=object)
        strings[...] = np.array(json.loads(node.data), dtype=object).reshape(shape)
        return strings
    array = np.frombuffer(node.data, dtype=node.type.dtype.newbyteorder("<")).reshape(shape)
    return array.astype(node.type.dtype, copy=False)


def constant(value: object) -> Node:
    """A node for any plain Python or NumPy value; structs keep their container."""
    type_ = type_of(value)
    return _constant(to_plain(value, type_, "a constant"), type_)


def _constant(plain: PlainValue, type_: Type) -> Node:
    match type_:
        case Tensor():
            return literal(plain, type_)
        case Struct(fields, container):
            inner = zip(fields, plain, strict=True)
            return Record(tuple((name, _constant(item, t)) for (name, t), item in inner), container)
        case _:
            raise AssertionError(f"{type_} has no constants; please report")
