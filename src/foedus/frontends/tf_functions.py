# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Functions over tensors of TensorFlow to bytes and back, as leaves of the language are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from foedus.errors import CorruptDataError, place
from foedus.frontends._tensorflow_tracing import TensorflowLeaf
from foedus.frontends._tensorflow_values import from_user, to_user
from foedus.ir import Foreign
from foedus.lang import computation, tensorflow
from foedus.types import Struct, Type, parts_of
from foedus.wire import Sender, decode_program, encode_program


def write_function(fn: Callable[..., Any], *types: Type) -> tuple[bytes, Type]:
    """Traces a function, and writes its graph.

    Args:
        fn: A function over tensors and containers of them; it may change nothing.
        *types: The types of its arguments.

    Returns:
        The bytes, and the type of the function's result.

    Raises:
        TracingError: If it cannot be traced, or is not pure.
    """
    made = computation(tensorflow(fn), *types)
    return encode_program(made.node), made.type.result


def read_function(data: bytes, arguments: int) -> tuple[Callable[..., Any], list[Type], Type]:
    """Reads a function back. Its graph can do nothing but compute, whoever wrote it.

    Args:
        data: What ``write_function`` wrote.
        arguments: How many it takes.

    Returns:
        The function over tensors, with arguments by position; the types of these, and of its result.

    Raises:
        CorruptDataError: If the bytes are no such function.
    """
    node = decode_program(data, sender=Sender.TRUSTED)
    leaf: Any = node.payload if isinstance(node, Foreign) else None
    if not isinstance(leaf, TensorflowLeaf):
        raise CorruptDataError(
            "What was read is no function of TensorFlow",
            found=type(node).__name__,
            expected="one leaf of the kind 'tensorflow'",
            at=place(),
        )
    parameter = leaf.type.parameter
    several = parameter.fields if isinstance(parameter, Struct) and arguments > 1 else ((None, parameter),)
    types = [t for _, t in several if t is not None]
    if len(types) != arguments:
        raise CorruptDataError(
            "What was read is a function of other arguments",
            found=leaf.type,
            expected=f"a function of {arguments}",
            at=place(),
        )

    def call(*given: Any) -> Any:
        flat = [
            tensor
            for argument, type_ in zip(given, types, strict=True)
            for tensor in from_user(_in_order(argument, type_))
        ]
        return to_user(iter(leaf.function(*flat)), leaf.type.result)

    return tf.autograph.experimental.do_not_convert(call), types, leaf.type.result


def _in_order(value: Any, type_: Type) -> Any:
    """A value with its fields in the order of its type; fields with names are found by them."""
    parts = parts_of(value) if isinstance(type_, Struct) else None
    if not isinstance(type_, Struct) or parts is None:
        return value
    named = {name: item for name, item in parts if name is not None}
    found = [
        item if name is None else named.get(name, item)
        for (name, _), (_, item) in zip(type_.fields, parts, strict=True)
    ]
    return [_in_order(item, t) for item, (_, t) in zip(found, type_.fields, strict=True)]
