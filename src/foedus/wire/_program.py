# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs to bytes: tables of what they are made of, each thing once, in an envelope.

```
format       1
tiers        count, then for each its name, 1 if a value there is one for all by default else 0, and what
             is above it: 0 for the server, k for the k-th tier
types        count, then for each its text, and a digit for each struct in it (``Container``), in reading
             order; nothing where all are 0
literals     count, then for each the number of its type, and a tensor
leaves       count, then for each its kind, the number of its type, the number of its bytes, and these
nodes        count, then for each its ``Tag`` and what belongs to it
```

Numbers of types, literals, leaves and nodes count from 0; a node refers to nodes before it, and the last one
is the program. What belongs to a node (``?`` stands for 0, or for 1 and what follows):

```
reference    its name, its type                literal      its literal
operator     its name, its type                leaf         its leaf
selection    the source, the index             function     ? a name, a type; then the body
record       its container, the number of fields, then for each ? a name; then the node
call         the function, ? the argument
block        the number of bindings, for each a name and the node; then the result
```
"""

from __future__ import annotations

import dataclasses
import enum
from collections import OrderedDict
from collections.abc import Mapping
from typing import assert_never, final

from foedus.errors import UnsupportedError, place
from foedus.foreign import kind
from foedus.ir import (
    Block,
    Call,
    Foreign,
    Intrinsic,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
    children,
    value_of,
)
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral, Struct, Type, walk
from foedus.wire._envelope import Content, seal
from foedus.wire._extent import MOST_LEAVES, MOST_NODES, MOST_TEXT, MOST_TIERS, MOST_TYPES, Extents
from foedus.wire._stream import Writer
from foedus.wire._tensor import write_tensor
from foedus.wire._type import written

FORMAT = 1
"""The version of the body of a program."""
MOST_LEAF_BYTES = 1 << 26
"""Most bytes of one leaf."""


class Tag(enum.IntEnum):
    """Which node it is; a number is never given a second meaning."""

    REFERENCE = 0
    LITERAL = 1
    OPERATOR = 2
    LEAF = 3
    RECORD = 4
    SELECTION = 5
    FUNCTION = 6
    CALL = 7
    BLOCK = 8


class Container(enum.IntEnum):
    """What a struct's values are put back into. No class is named: a user's own becomes ``MAPPING``."""

    NONE = 0
    TUPLE = 1
    LIST = 2
    DICT = 3
    MAPPING = 4
    NOTHING = 5


CLASSES: dict[Container, type | None] = {
    Container.NONE: None,
    Container.TUPLE: tuple,
    Container.LIST: list,
    Container.DICT: dict,
    Container.MAPPING: OrderedDict,
    Container.NOTHING: type(None),
}
"""The class that each container becomes."""


def container_code(cls: type[object] | None) -> Container:
    """How a container is written: named tuples and dataclasses as mappings that keep the order of fields."""
    if cls is None:
        return Container.NONE
    if cls is type(None):
        return Container.NOTHING
    if issubclass(cls, OrderedDict) or dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"):
        return Container.MAPPING
    if issubclass(cls, Mapping):
        return Container.DICT
    return Container.LIST if issubclass(cls, list) else Container.TUPLE


def encode_program(node: Node) -> bytes:
    """Writes a program to bytes.

    Leaves are written by their front ends: JAX code as StableHLO for CPU, CUDA and TPU, so that the program
    runs where its source is not. Named tuples and dataclasses in types come back as ``OrderedDict``, since no
    class is named in the bytes.

    Args:
        node: A closed program, such as the ``node`` of a ``foedus.lang.Computation``.

    Returns:
        The bytes. Equal programs give equal bytes in one version of Foedus and of JAX.

    Raises:
        UnsupportedError: If a leaf has no form as bytes, or the program is too large or too deep.
    """
    tables = _Tables()
    try:
        tables.node(node)
    except RecursionError as error:
        raise _too_large("types nested too deep") from error
    tables.require_small()
    writer = Writer()
    writer.item(FORMAT)
    tables.write(writer)
    return seal(Content.PROGRAM, writer.body())


def _too_large(found: str) -> UnsupportedError:
    return UnsupportedError("This program cannot be written to bytes", found=found, at=place())


@final
class _Tables:
    """What a program is made of, in order, each thing once."""

    def __init__(self) -> None:
        self.tiers: dict[PlacementLiteral, int] = {}
        self.types: dict[tuple[str, str], int] = {}
        self.literals: dict[Literal, int] = {}
        self.leaves: dict[tuple[str, int, bytes], int] = {}
        self.nodes: dict[tuple[int | str, ...], int] = {}
        self._names = {CLIENTS.name, SERVER.name}
        self._seen: dict[int, int] = {}
        self._exported: dict[tuple[str, str, int], int] = {}
        self._extents = Extents()

    def require_small(self) -> None:
        """Raises unless the tables can be read back."""
        text = sum(len(text) for text, _ in self.types)
        for what, size, most in (
            ("tiers", len(self.tiers), MOST_TIERS),
            ("types", len(self.types), MOST_TYPES),
            ("characters of types", text, MOST_TEXT),
            ("literals", len(self.literals), MOST_NODES),
            ("leaves", len(self.leaves), MOST_LEAVES),
            ("nodes", len(self.nodes), MOST_NODES),
        ):
            if size > most:
                raise _too_large(f"{size} {what}, where at most {most} can be")

    def write(self, writer: Writer) -> None:
        """Writes all tables."""
        writer.item(len(self.tiers))
        for placement in self.tiers:
            writer.item(placement.name)
            writer.item(int(placement.default_all_equal))
            above = placement.above
            writer.item(0 if above is None or above == SERVER else 1 + self.tiers[above])
        writer.item(len(self.types))
        for text, containers in self.types:
            writer.item(text)
            writer.item(containers)
        writer.item(len(self.literals))
        for literal in self.literals:
            writer.item(self.type_(literal.type))
            write_tensor(writer, value_of(literal), literal.type)
        writer.item(len(self.leaves))
        for name, type_, data in self.leaves:
            writer.item(name)
            writer.item(type_)
            writer.item(len(data))
            writer.item(memoryview(data))
        writer.item(len(self.nodes))
        for entry in self.nodes:
            for item in entry:
                writer.item(item)

    def node(self, root: Node) -> int:
        """The number of a node, and of everything in it before."""
        pending = [root]
        while pending:
            now = pending[-1]
            if id(now) in self._seen:
                pending.pop()
                continue
            missing = [child for child in children(now) if id(child) not in self._seen]
            pending += reversed(missing)
            if not missing:
                self._add(now)
        return self._seen[id(root)]

    def _add(self, node: Node) -> None:
        excess = self._extents.add(node)
        if excess is not None:
            raise _too_large(excess)
        entry = self._entry(node)
        self._seen[id(node)] = self.nodes.setdefault(entry, len(self.nodes))

    def _entry(self, node: Node) -> tuple[int | str, ...]:
        match node:
            case Reference(name, type_):
                return (Tag.REFERENCE, name, self.type_(type_))
            case Literal(type=type_):
                self.type_(type_)
                return (Tag.LITERAL, self.literals.setdefault(node, len(self.literals)))
            case Intrinsic(name, type_):
                return (Tag.OPERATOR, name, self.type_(type_))
            case Foreign():
                return (Tag.LEAF, self.leaf(node))
            case Record(fields, container):
                named = [((0,) if name is None else (1, name), child) for name, child in fields]
                parts = [item for name, child in named for item in (*name, self._seen[id(child)])]
                return (Tag.RECORD, container_code(container), len(fields), *parts)
            case Selection(source, index):
                return (Tag.SELECTION, self._seen[id(source)], index)
            case Lambda(parameter, parameter_type, body):
                if parameter is None or parameter_type is None:
                    return (Tag.FUNCTION, 0, self._seen[id(body)])
                return (Tag.FUNCTION, 1, parameter, self.type_(parameter_type), self._seen[id(body)])
            case Call(function, argument):
                given = () if argument is None else (self._seen[id(argument)],)
                return (Tag.CALL, self._seen[id(function)], len(given), *given)
            case Block(bindings, result):
                bound = [item for name, child in bindings for item in (name, self._seen[id(child)])]
                return (Tag.BLOCK, len(bindings), *bound, self._seen[id(result)])
            case _:
                assert_never(node)

    def leaf(self, node: Foreign) -> int:
        """The number of a leaf."""
        known = (node.kind, node.digest, self.type_(node.type))
        if known not in self._exported:
            self._exported[known] = self._export(node)
        return self._exported[known]

    def _export(self, node: Foreign) -> int:
        encoded = kind(node.kind).encode(node.payload, node.type)
        if len(encoded.data) > MOST_LEAF_BYTES:
            raise UnsupportedError(
                "This local code cannot be written to bytes",
                found=f"{len(encoded.data)} bytes of code of type {node.type}"[:1000],
                expected=f"at most {MOST_LEAF_BYTES}",
                at=place(),
                hint="large arrays that it captures can be made arguments",
            )
        entry = (encoded.kind, self.type_(node.type), encoded.data)
        return self.leaves.setdefault(entry, len(self.leaves))

    def type_(self, type_: Type) -> int:
        """The number of a type."""
        for part in walk(type_):
            if isinstance(part, Federated):
                self.placement(part.placement)
        codes = [str(int(container_code(t.container))) for t in walk(type_) if isinstance(t, Struct)]
        containers = "".join(codes)
        entry = (written(type_), containers if containers.strip("0") else "")
        return self.types.setdefault(entry, len(self.types))

    def placement(self, placement: PlacementLiteral) -> None:
        """Makes a placement known, and those above it before."""
        if placement in (CLIENTS, SERVER) or placement in self.tiers:
            return
        above = placement.above
        if above is None or above == CLIENTS or placement.name in self._names:
            raise UnsupportedError(
                "This placement cannot be written to bytes",
                found=f"{placement} below {above}",
                expected="a tier between the server and the clients, with a name of its own",
                at=place(),
                hint="declare it with foedus.types.tier",
            )
        self.placement(above)
        self._names.add(placement.name)
        self.tiers[placement] = len(self.tiers)
