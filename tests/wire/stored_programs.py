# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A kind of leaf that is only a word, bodies of programs made by hand, and comparing types with
containers.
"""

from __future__ import annotations

import hashlib
from typing import Any, final

from foedus import ir, types
from foedus.errors import CorruptDataError, UnsupportedError
from foedus.foreign import Encoded, Nature, NoJax
from foedus.ir import Foreign, Node
from foedus.types import Function, Struct, Type
from foedus.wire._envelope import Content, seal
from foedus.wire._stream import Writer


@final
class WordKind:
    """A fake kind: a leaf is a word, which its bytes spell. It computes nothing.

    Of two words, "magic" is refused when it is examined, and "bomb" breaks what examines it.
    """

    nature = Nature.LOADED

    def trace(self, fn: Any, parameter: Type | None) -> Foreign:
        raise NotImplementedError

    def run(self, payload: str, argument: Any) -> Any:
        raise NotImplementedError

    def as_jax(self, payload: str) -> NoJax:
        return NoJax("a word is no code")

    def encode(self, payload: str, type_: Function) -> Encoded:
        return Encoded("word", payload.encode())

    def decode(self, data: bytes, type_: Function) -> Foreign:
        if not data.isalnum():
            raise CorruptDataError("This is no word", found=data[:20])
        return word(data.decode(), type_)

    def examine(self, payload: str, type_: Function) -> None:
        if payload == "magic":
            raise UnsupportedError("There is no magic", found=payload, hint="use words")
        if payload == "bomb":
            raise MemoryError("too much")


def word(text: str, type_: Function) -> Foreign:
    """A leaf of the fake kind."""
    return Foreign("word", text, type_, hashlib.sha256(f"{type_} {text}".encode()).hexdigest())


def with_words(program: Node) -> Node:
    """A program with words in place of its leaves."""

    def replaced(node: Node) -> Node:
        return word(node.digest, node.type) if isinstance(node, Foreign) else node

    return ir.transform(program, replaced)


def stream(*items: int | str | bytes) -> bytes:
    """The pieces of a body; a tensor's shape is given as a tuple."""
    writer = Writer()
    for item in items:
        writer.item(memoryview(item) if isinstance(item, bytes) else item)
    return writer.body()


def program_of(*items: int | str | bytes) -> bytes:
    """A program's bytes with a right checksum, of a body made by hand."""
    return seal(Content.PROGRAM, stream(*items))


def containers(type_: Type) -> list[type | None]:
    """The containers of all structs in a type, in reading order."""
    return [t.container for t in types.walk(type_) if isinstance(t, Struct)]
