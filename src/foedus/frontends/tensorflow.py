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
from foedus.foreign import Encoded, Nature, NoJax, Running, Way
from foedus.frontends._tensorflow_graph import read, write
from foedus.frontends._tensorflow_lowering import Obstacle, leaf_in_jax, refuse_lowering
from foedus.frontends._tensorflow_tracing import TensorflowLeaf, load, trace
from foedus.ir import Foreign
from foedus.types import Function, Type

__all__ = ["KIND"]

_NAME = "tensorflow"


@final
class TensorflowKind:
    """Implements ``foedus.foreign.Kind`` for TensorFlow."""

    nature = Nature.TRACED

    def trace(self, fn: Callable[..., Any], parameter: Type | None, *, way: Way | None = None) -> Foreign:
        """See ``Kind.trace``."""
        leaf = trace(fn, parameter, way)
        _require_way(leaf)
        content = leaf.portable.content()
        if leaf.portable.obstacle is not None:
            # What it captures, or calls back, is not in its content: it is equal to itself only.
            content += secrets.token_bytes(16)
        return _foreign(leaf, content)

    def run(self, payload: TensorflowLeaf, argument: Any) -> Any:
        """See ``Kind.run``: one compiled graph, the same for all clients."""
        return payload.run(argument)

    def running(self, payload: TensorflowLeaf) -> tuple[Running, ...]:
        """See ``Kind.running``: lowered where that is exact, else natively."""
        found = self.as_jax(payload)
        if isinstance(found, NoJax):
            way, reason = Way.NATIVE, found.reason
        elif payload.way is None:
            way, reason = Way.LOWERED, "it computes on numbers alone, and XLA compiles it exactly"
        else:
            way, reason = Way.LOWERED, "it was told to be lowered, and XLA compiles it exactly"
        return (Running(payload.name, payload.line, way, reason),)

    def as_jax(self, payload: TensorflowLeaf) -> Callable[[Any], Any] | NoJax:
        """See ``Kind.as_jax``: as XLA compiles the graph. ``jax.grad`` works, once; ``jax.vmap`` loops.

        Operations that fail natively on data that they cannot take, such as an index out of range, give
        some value here, as they do in JAX.
        """
        if payload.way is Way.NATIVE:
            return NoJax("it was told to run natively")
        found = _in_jax(payload)
        return NoJax(str(found)) if isinstance(found, Obstacle) else found

    def encode(self, payload: TensorflowLeaf, type_: Function) -> Encoded:
        """See ``Kind.encode``: as a graph of TensorFlow's own format."""
        return Encoded(_NAME, write(payload.portable, payload.name, payload.way))

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """See ``Kind.decode``: refuses operations that do more than compute, whoever sent them."""

        def refuse(found: str) -> NoReturn:
            raise CorruptDataError(
                "The stored leaf cannot be read",
                found=found[:1000],
                expected=f"TensorFlow code of type {type_}",
                at=place(),
            )

        graph, way = read(data, refuse)
        try:
            leaf = load(graph, type_, way)
            _require_way(leaf)
            return _foreign(leaf, data)
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


def _in_jax(leaf: TensorflowLeaf) -> Callable[[Any], Any] | Obstacle:
    """The leaf's form for JAX, made once."""
    if not leaf.lowered:
        leaf.lowered.append(leaf_in_jax(leaf.function, leaf.type, leaf.portable.graph, leaf.captures))
    return leaf.lowered[0]


def _require_way(leaf: TensorflowLeaf) -> None:
    """Refuses a leaf that was told to be lowered, and cannot be."""
    found = _in_jax(leaf) if leaf.way is Way.LOWERED else None
    if isinstance(found, Obstacle):
        refuse_lowering(leaf.name, found, leaf.function)


def _foreign(leaf: TensorflowLeaf, content: bytes) -> Foreign:
    told = "" if leaf.way is None else leaf.way.value
    head = f"{_NAME}\0{leaf.type}\0{told}\0".encode("utf-8", "surrogatepass")
    return Foreign(_NAME, leaf, leaf.type, hashlib.sha256(head + content).hexdigest())


KIND = TensorflowKind()
