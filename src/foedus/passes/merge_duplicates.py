# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Common subexpressions: equal bindings of a block become one."""

from __future__ import annotations

from typing import assert_never

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
    transform,
)
from foedus.passes.uniquify import uniquify
from foedus.types import Abstract, Federated, Function, Placement, Sequence, Struct, Tensor, Type


class _Numbering:
    """Gives equal nodes equal numbers, whatever the names of what they bind.

    A parameter is known by how many functions are around its own, so that two functions in one place that
    differ by name alone are equal. Numbers are compared within one block only, where this is enough.
    """

    def __init__(self) -> None:
        self.numbers: dict[tuple[object, ...], int] = {}
        self.types: dict[int, tuple[Type, int]] = {}
        self.names: dict[str, int] = {}

    def number(self, *key: object) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def type_(self, type_: Type | None) -> int:
        """The number of a type, containers included; one that stands in many places is looked at once."""
        if type_ is None:
            return self.number("no type")
        found = self.types.get(id(type_))
        if found is None:
            found = type_, self._type(type_)
            self.types[id(type_)] = found
        return found[1]

    def _type(self, type_: Type) -> int:
        match type_:
            case Struct(fields, container):
                names = tuple(name for name, _ in fields)
                return self.number("struct", container, names, *(self.type_(t) for _, t in fields))
            case Sequence(element):
                return self.number("sequence", self.type_(element))
            case Function(parameter, result):
                return self.number("function type", self.type_(parameter), self.type_(result))
            case Federated(member, placement, all_equal):
                return self.number("federated", placement, all_equal, self.type_(member))
            case Tensor() | Placement() | Abstract():
                return self.number("type", type_)
            case _:
                assert_never(type_)

    def node(self, node: Node, inner: list[int]) -> int:
        """The number of a node, given those of its children."""
        match node:
            case Reference(name):
                return self.names[name]
            case Literal(data, type_):
                return self.number("literal", data, self.type_(type_))
            case Intrinsic(name, type_):
                return self.number("operator", name, self.type_(type_))
            case Foreign(kind, _, type_, digest):
                return self.number("leaf", kind, digest, self.type_(type_))
            case Record(fields, container):
                return self.number("record", container, tuple(name for name, _ in fields), *inner)
            case Selection(_, index):
                return self.number("selection", index, *inner)
            case Lambda(_, parameter_type, _):
                return self.number("function", self.type_(parameter_type), *inner)
            case Call():
                return self.number("call", *inner)
            case Block():
                return inner[-1]
            case _:
                assert_never(node)


class _Merger:
    """Walks through a program whose names differ, and notes which stand for what has a name already."""

    def __init__(self) -> None:
        self.numbering = _Numbering()
        self.same: dict[str, str] = {}
        self.done: list[int] = []
        self.depth = 0

    def bound(self, name: str, first: dict[int, str]) -> None:
        """Takes in a binding, whose number is the last one done."""
        number = self.done[-1]
        self.numbering.names[name] = number
        original = first.setdefault(number, name)
        if original != name:
            self.same[name] = original

    def entered(self, node: Node) -> None:
        if isinstance(node, Lambda) and node.parameter is not None:
            type_ = self.numbering.type_(node.parameter_type)
            self.numbering.names[node.parameter] = self.numbering.number("parameter", self.depth, type_)
        self.depth += isinstance(node, Lambda)

    def left(self, node: Node) -> None:
        self.depth -= isinstance(node, Lambda)
        first = len(self.done) - len(children(node))
        self.done[first:] = [self.numbering.node(node, self.done[first:])]

    def walk(self, program: Node) -> None:
        pending: list[tuple[Node, bool] | tuple[str, dict[int, str]]] = [(program, False)]
        while pending:
            now, more = pending.pop()
            if isinstance(now, str):
                assert isinstance(more, dict)
                self.bound(now, more)
            elif more is True:
                self.left(now)
            else:
                self.entered(now)
                pending.append((now, True))
                if isinstance(now, Block):
                    first: dict[int, str] = {}
                    pending.append((now.result, False))
                    for name, child in reversed(now.bindings):
                        pending += [(name, first), (child, False)]
                else:
                    pending += [(child, False) for child in reversed(children(now))]


def merge_duplicates(program: Lambda) -> Lambda:
    """Computes equal bindings of a block once. All leaves and operators are pure, so the meaning stays.

    Args:
        program: A closed program; flat form (see ``inline``) shows most duplicates.

    Returns:
        The program with each different binding of a block once, at its first place, in functions too. Names
        of parameters make no difference.
    """
    unique = uniquify(program)
    merger = _Merger()
    merger.walk(unique)
    same = merger.same

    def change(node: Node) -> Node:
        match node:
            case Reference(name, type_) if name in same:
                return Reference(same[name], type_)
            case Block(bindings, result) if any(name in same for name, _ in bindings):
                return Block(tuple(b for b in bindings if b[0] not in same), result)
            case _:
                return node

    merged = transform(unique, change) if same else unique
    assert isinstance(merged, Lambda)
    return merged
