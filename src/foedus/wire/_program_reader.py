# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes to programs, table by table: each is read, checked and made before the next. See ``_program``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never, final

from foedus.errors import ArgumentError, CorruptDataError, place
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
    check,
    literal,
)
from foedus.types import (
    CLIENTS,
    SERVER,
    Federated,
    Function,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
    tier,
)
from foedus.wire._envelope import Bytes, Content, unseal
from foedus.wire._extent import MOST_LEAVES, MOST_NODES, MOST_TEXT, MOST_TIERS, MOST_TYPES, Extents
from foedus.wire._leaves import Sender, StoredLeaf, load_leaves
from foedus.wire._program import CLASSES, FORMAT, MOST_LEAF_BYTES, Container, Tag
from foedus.wire._stream import Reader
from foedus.wire._tensor import read_tensor
from foedus.wire._type import parsed

_NAMED = (Container.DICT, Container.MAPPING)


def decode_program(
    data: Bytes,
    *,
    sender: Sender = Sender.UNTRUSTED,
    placements: Iterable[PlacementLiteral] | None = None,
) -> Node:
    """Reads a program back.

    Args:
        data: What ``encode_program`` wrote, or anything else: it is checked before it is used.
        sender: Whether whoever made the bytes is trusted. If not, local code is first read in a child
            process, once in the life of this one: see ``Sender``.
        placements: The tiers that the program may name; None for any that it declares.

    Returns:
        The program: closed and well typed. Make it callable with ``foedus.lang.Computation(node, name)``.

    Raises:
        CorruptDataError: If the bytes are not a program: truncated, damaged, of a newer format, or made up.
        TypeMismatchError: If they are one that is not well typed.
        UnsupportedError: If the code of a sender that is not trusted calls what stands outside of it.
    """
    reader = Reader(unseal(data, Content.PROGRAM), "the program")
    try:
        return _Program(reader, sender, placements).node()
    except RecursionError as error:
        raise reader.broken("nodes or types nested too deep", "") from error
    except AssertionError as error:
        # An operator's rule met a type that no program written by Foedus has there.
        raise reader.broken(f"an operator at a type that it never has ({error})", "") from error


@final
class _Program:
    """The tables of one program, read in order.

    Args:
        reader: Where from.
        sender: Who wrote it.
        placements: The tiers that it may name.
    """

    def __init__(self, reader: Reader, sender: Sender, placements: Iterable[PlacementLiteral] | None) -> None:
        self.reader = reader
        version = reader.integer("the format")
        if version != FORMAT:
            raise CorruptDataError(
                "This program has a format that this version of Foedus does not read",
                found=f"format {version}",
                expected=str(FORMAT),
                at=place(),
                hint="install a newer version of Foedus" if version > FORMAT else None,
            )
        self.tiers = list(self._tiers(None if placements is None else tuple(placements)))
        self.text = 0
        self.types = [self._type(f"type {i}") for i in range(reader.count("types", MOST_TYPES))]
        self.literals = [self._literal(f"literal {i}") for i in range(reader.count("literals", MOST_NODES))]
        stored = [self._leaf(f"leaf {i}") for i in range(reader.count("leaves", MOST_LEAVES))]
        self.leaves = load_leaves(stored, sender)
        self.nodes: list[Node] = []
        self.extents = Extents()

    def node(self) -> Node:
        """The program."""
        reader = self.reader
        for i in range(reader.count("nodes", MOST_NODES)):
            at = f"node {i}"
            try:
                node = self._node(at)
            except ArgumentError as error:
                raise reader.broken(error.headline, at) from error
            self._within(self.extents.add(node), at)
            self.nodes.append(node)
        if not self.nodes:
            raise reader.broken("no node", "")
        reader.end()
        check(self.nodes[-1])
        return self.nodes[-1]

    def _within(self, excess: str | None, at: str) -> None:
        if excess is not None:
            raise self.reader.broken(excess, at)

    def _flag(self, at: str) -> bool:
        return bool(self.reader.below(2, at))

    def _tiers(self, allowed: tuple[PlacementLiteral, ...] | None) -> Iterator[PlacementLiteral]:
        known = [SERVER]
        for i in range(self.reader.count("tiers", MOST_TIERS)):
            at = f"tier {i}"
            name, default = self.reader.text(at), self._flag(at)
            above = known[self.reader.below(len(known), at)]
            try:
                plain = tier(name, above=above)
            except ArgumentError as error:
                raise self.reader.broken(f"{error.headline}: {name[:80]!r}", at) from error
            placement = PlacementLiteral(plain.name, default, plain.above)
            if any(other.name == name for other in known):
                raise self.reader.broken(f"a second tier {name!r}", at)
            if allowed is not None and placement not in allowed:
                raise self.reader.broken(f"the tier {name!r}, which is none of those allowed", at)
            known.append(placement)
            yield placement

    def _type(self, at: str) -> Type:
        text, containers = self.reader.text(at), self.reader.text(at)
        self.text += len(text)
        self._within(f"more than {MOST_TEXT} characters of types" if self.text > MOST_TEXT else None, at)
        type_ = parsed(text, (CLIENTS, SERVER, *self.tiers))
        codes = iter(containers) if containers else None
        if codes is None:
            return type_
        contained = self._contained(type_, codes, at)
        if next(codes, None) is not None:
            raise self.reader.broken("more containers than structs", at)
        return contained

    def _contained(self, type_: Type, codes: Iterator[str], at: str) -> Type:
        """A type whose structs remember containers, given in reading order."""
        match type_:
            case Struct(fields):
                code = next(codes, "")
                known = code.isdecimal() and code.isascii() and int(code) in CLASSES
                container = self._container(int(code) if known else -1, [name for name, _ in fields], at)
                return Struct(tuple((n, self._contained(t, codes, at)) for n, t in fields), container)
            case Sequence(element):
                return Sequence(self._contained(element, codes, at))
            case Federated(member, placement, all_equal):
                return Federated(self._contained(member, codes, at), placement, all_equal)
            case Function(parameter, result):
                taken = None if parameter is None else self._contained(parameter, codes, at)
                return Function(taken, self._contained(result, codes, at))
            case _:
                return type_

    def _container(self, code: int, names: list[str | None], at: str) -> type | None:
        """The class of a container, if such fields fit into it."""
        if code not in CLASSES:
            raise self.reader.broken("no container", at)
        container = Container(code)
        if container in _NAMED and None in names:
            raise self.reader.broken("a mapping with fields that have no name", at)
        if container is Container.NOTHING and names:
            raise self.reader.broken("nothing, with fields", at)
        return CLASSES[container]

    def _type_at(self, at: str) -> Type:
        return self.types[self.reader.below(len(self.types), at)]

    def _function_at(self, at: str) -> Function:
        type_ = self._type_at(at)
        if not isinstance(type_, Function):
            raise self.reader.broken("what is no function", at)
        return type_

    def _literal(self, at: str) -> Literal:
        type_ = self._type_at(at)
        if not isinstance(type_, Tensor) or type_.shape is None or None in type_.shape:
            raise self.reader.broken("a constant of unknown shape", at)
        return literal(read_tensor(self.reader, type_, at), type_)

    def _leaf(self, at: str) -> StoredLeaf:
        name, type_ = self.reader.text(at), self._function_at(at)
        size = self.reader.below(MOST_LEAF_BYTES + 1, at)
        return StoredLeaf(name, type_, self.reader.blob(size, at))

    def _node_at(self, at: str) -> Node:
        return self.nodes[self.reader.below(len(self.nodes), at)]

    def _node(self, at: str) -> Node:
        reader = self.reader
        tag = Tag(reader.below(len(Tag), at))
        match tag:
            case Tag.REFERENCE:
                return Reference(reader.text(at), self._type_at(at))
            case Tag.LITERAL:
                return self.literals[reader.below(len(self.literals), at)]
            case Tag.OPERATOR:
                return Intrinsic(reader.text(at), self._function_at(at))
            case Tag.LEAF:
                return self._leaf_at(at)
            case Tag.RECORD:
                return self._record(at)
            case Tag.SELECTION:
                return Selection(self._node_at(at), reader.integer(at))
            case Tag.FUNCTION:
                if self._flag(at):
                    return Lambda(reader.text(at), self._type_at(at), self._node_at(at))
                return Lambda(None, None, self._node_at(at))
            case Tag.CALL:
                return self._call(at)
            case Tag.BLOCK:
                count = reader.count(at)
                bindings = tuple((reader.text(at), self._node_at(at)) for _ in range(count))
                return Block(bindings, self._node_at(at))
            case _:
                assert_never(tag)

    def _leaf_at(self, at: str) -> Foreign:
        return self.leaves[self.reader.below(len(self.leaves), at)]

    def _record(self, at: str) -> Record:
        code, count = self.reader.integer(at), self.reader.count(at)
        fields = [(self.reader.text(at) if self._flag(at) else None, self._node_at(at)) for _ in range(count)]
        container = self._container(code, [name for name, _ in fields], at)
        return Record(tuple(fields), container)

    def _call(self, at: str) -> Call:
        function = self._node_at(at)
        argument = self._node_at(at) if self._flag(at) else None
        self._within(self.extents.compare(function, argument), at)
        return Call(function, argument)
