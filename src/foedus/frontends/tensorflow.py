# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorFlow front end: Python functions over tensors, strings and data sets as local code.

See ``foedus.tensorflow``. A function is traced once for its type and run as one compiled graph for every
client. Where it takes and gives tensors of numbers, and XLA compiles it exactly, it also has a form that JAX
can trace.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, NoReturn, final

import tensorflow as tf

from foedus.errors import CorruptDataError, FoedusError, place
from foedus.foreign import Encoded, Nature, NoJax
from foedus.frontends._tensorflow_graph import read, write
from foedus.frontends._tensorflow_lowering import lowered
from foedus.frontends._tensorflow_tracing import TensorflowLeaf, load, trace
from foedus.ir import Foreign
from foedus.types import Function, Type

__all__ = ["KIND"]

_NAME = "tensorflow"


@final
class TensorflowKind:
    """Implements ``foedus.foreign.Kind`` for TensorFlow."""

    nature = Nature.TRACED

    def trace(self, fn: Callable[..., Any], parameter: Type | None) -> Foreign:
        """See ``Kind.trace``."""
        leaf = trace(fn, parameter)
        content = leaf.portable.content()
        if leaf.portable.obstacle is not None:
            # What it captures, or calls back, is not in its content: it is equal to itself only.
            content += secrets.token_bytes(16)
        return _foreign(leaf, content)

    def run(self, payload: TensorflowLeaf, argument: Any) -> Any:
        """See ``Kind.run``: one compiled graph, the same for all clients."""
        return payload.run(argument)

    def as_jax(self, payload: TensorflowLeaf) -> Callable[[Any], Any] | NoJax:
        """See ``Kind.as_jax``: as XLA compiles the graph. ``jax.grad`` works, once; ``jax.vmap`` loops.

        Operations that fail natively on data that they cannot take, such as an index out of range, give
        some value here, as they do in JAX.
        """
        if not payload.lowered:
            function, graph = payload.function, payload.portable.graph
            payload.lowered.append(lowered(function, payload.type, graph, payload.captures))
        return payload.lowered[0]

    def encode(self, payload: TensorflowLeaf, type_: Function) -> Encoded:
        """See ``Kind.encode``: as a graph of TensorFlow's own format."""
        return Encoded(_NAME, write(payload.portable, payload.name))

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """See ``Kind.decode``: refuses operations that do more than compute, whoever sent them."""

        def refuse(found: str) -> NoReturn:
            raise CorruptDataError(
                "The stored leaf cannot be read",
                found=found[:1000],
                expected=f"TensorFlow code of type {type_}",
                at=place(),
            )

        graph = read(data, refuse)
        try:
            return _foreign(load(graph, type_), data)
        except FoedusError:
            raise
        except Exception as error:
            refuse(f"{type(error).__name__}: {error}")

    def examine(self, payload: TensorflowLeaf, type_: Function) -> None:
        """See ``Kind.examine``: reads the constants, which ``decode`` left to the first run."""
        functions = payload.portable.graph.library.function
        nodes = [*payload.portable.graph.node, *(node for f in functions for node in f.node_def)]
        try:
            for node in nodes:
                if node.op == "Const":
                    tf.make_ndarray(node.attr["value"].tensor)
        except Exception as error:
            raise CorruptDataError(
                "The stored leaf cannot be read",
                found=f"{type(error).__name__}: {error}"[:1000],
                expected=f"TensorFlow code of type {type_}",
                at=place(),
            ) from error


def _foreign(leaf: TensorflowLeaf, content: bytes) -> Foreign:
    head = f"{_NAME}\0{leaf.type}\0".encode("utf-8", "surrogatepass")
    return Foreign(_NAME, leaf, leaf.type, hashlib.sha256(head + content).hexdigest())


KIND = TensorflowKind()
