# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the text of programs: the exact inverse of printing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from foedus.errors import FoedusError, TypeSyntaxError
from foedus.intrinsics import TABLE, result_type
from foedus.ir._literal import literal
from foedus.ir._nodes import (
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
)
from foedus.types import (
    CLIENTS,
    SERVER,
    Function,
    PlacementLiteral,
    Struct,
    Tensor,
    Type,
    parse_prefix,
    to_plain,
)

_BLANK = re.compile(r"\s*")
_NAME = re.compile(r"[^\W\d]\w*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_REAL = r"[+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|inf|nan)"
_NUMBER = re.compile(rf"{_REAL}(?:{_REAL}j)?", re.IGNORECASE)
_HASH = re.compile(r"([^\W\d]\w*)#([0-9a-f]{16})")
_MOST_NESTED = 200
_WORDS = {"true": True, "false": False}
_Item: TypeAlias = "list[_Item] | str | bool | int | float | complex"


class _Reader:
    """A cursor over one text, and the names in scope."""

    def __init__(
        self, text: str, leaves: Mapping[str, Foreign | Literal], placements: Iterable[PlacementLiteral]
    ) -> None:
        self.text = text
        self.leaves = leaves
        self.placements = tuple(placements)
        self.scope: dict[str, Type] = {}
        self.at = 0
        self.depth = 0

    def error(self, what: str) -> TypeSyntaxError:
        start = max(0, self.at - 30)
        return TypeSyntaxError(
            f"This is not a program: {what}",
            found=f"{self.text[start : self.at + 30]}\n{' ' * (self.at - start)}^ character {self.at + 1}",
        )

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def has(self, sign: str) -> bool:
        """Steps over a sign if it is next."""
        self.blank()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def expect(self, sign: str) -> None:
        if not self.has(sign):
            raise self.error(f"expected {sign!r}")

    def match(self, pattern: re.Pattern[str]) -> str | None:
        self.blank()
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def name(self) -> str:
        name = self.match(_NAME)
        if name is None:
            raise self.error("expected a name")
        return name

    def type_(self) -> Type:
        type_, self.at = parse_prefix(self.text, self.at, self.placements)
        return type_

    def node(self) -> Node:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise self.error(f"nested deeper than {_MOST_NESTED} levels")
        node = self.simple()
        while True:
            self.blank()
            sign = self.text[self.at : self.at + 1]
            if sign == "(":
                node = Call(node, self.argument())
            elif sign in ("[", "."):
                node = self.selection(node)
            else:
                self.depth -= 1
                return node

    def simple(self) -> Node:
        self.blank()
        if self.has("<"):
            return self.record()
        if self.has("("):
            return self.block() if self.match(re.compile(r"let\b")) else self.function()
        found = _HASH.match(self.text, self.at)
        if found is not None:
            return self.leaf(found)
        if _NUMBER.match(self.text, self.at) or self.text[self.at : self.at + 1] in ("[", '"'):
            return self.constant()
        name = self.name()
        if name in _WORDS:
            self.at -= len(name)
            return self.constant()
        return self.operator(name) if name in TABLE else self.reference(name)

    def reference(self, name: str) -> Node:
        if name not in self.scope:
            self.at -= len(name)
            raise self.error(f"nothing is called {name!r} here")
        return Reference(name, self.scope[name])

    def leaf(self, found: re.Match[str]) -> Node:
        leaf = self.leaves.get(found.group(2))
        if leaf is None:
            raise self.error("the table of leaves has no such leaf")
        self.at = found.end()
        return leaf

    def operator(self, name: str) -> Node:
        placement = None
        if self.has("@"):
            known = {placement.name: placement for placement in self.placements}
            placement = known.get(self.name())
            if placement is None:
                raise self.error(f"expected a placement, one of {', '.join(known)}")
        if self.has(":"):
            type_ = self.type_()
            if not isinstance(type_, Function):
                raise self.error("an operator has the type of a function")
            return Intrinsic(name, type_)
        argument = self.argument()
        if argument is None:
            raise self.error(f"{name} needs an argument")
        result = result_type(name, argument.type, placement)
        return Call(Intrinsic(name, Function(argument.type, result)), argument)

    def argument(self) -> Node | None:
        self.expect("(")
        if self.has(")"):
            return None
        node = self.node()
        self.expect(")")
        return node

    def selection(self, node: Node) -> Node:
        struct = node.type
        if not isinstance(struct, Struct):
            raise self.error("only a struct has fields")
        if self.has("["):
            index = self.match(re.compile(r"\d+"))
            self.expect("]")
            return Selection(node, int(index or -1))
        self.expect(".")
        quoted = self.match(_STRING)
        name = json.loads(quoted) if quoted else self.name()
        names = [name for name, _ in struct.fields]
        if name not in names:
            raise self.error(f"there is no field {name!r}")
        return Selection(node, names.index(name))

    def record(self) -> Node:
        fields: list[tuple[str | None, Node]] = []
        while not self.has(">"):
            if fields:
                self.expect(",")
            fields.append((self.field_name(), self.node()))
        return Record(tuple(fields))

    def field_name(self) -> str | None:
        start = self.at
        quoted = self.match(_STRING)
        name = json.loads(quoted) if quoted else self.match(_NAME)
        if name is not None and self.has("="):
            return str(name)
        self.at = start
        return None

    def bind(self, name: str, type_: Type) -> Type | None:
        before = self.scope.get(name)
        self.scope[name] = type_
        return before

    def unbind(self, name: str, before: Type | None) -> None:
        del self.scope[name]
        if before is not None:
            self.scope[name] = before

    def function(self) -> Node:
        if self.has("->"):
            body = self.node()
            self.expect(")")
            return Lambda(None, None, body)
        name = self.name()
        self.expect(":")
        type_ = self.type_()
        self.expect("->")
        before = self.bind(name, type_)
        body = self.node()
        self.unbind(name, before)
        self.expect(")")
        return Lambda(name, type_, body)

    def block(self) -> Node:
        bindings: list[tuple[str, Node]] = []
        scope = dict(self.scope)
        while not self.match(re.compile(r"in\b")):
            if bindings:
                self.expect(",")
            name = self.name()
            self.expect("=")
            node = self.node()
            self.scope[name] = node.type
            bindings.append((name, node))
        result = self.node()
        self.scope = scope
        self.expect(")")
        return Block(tuple(bindings), result)

    def constant(self) -> Node:
        value = self.value()
        self.expect(":")
        type_ = self.type_()
        if not isinstance(type_, Tensor):
            raise self.error("only tensors have constants")
        if type_.shape is not None and 0 in type_.shape and np.size(np.array(value, dtype=object)) == 0:
            return literal(np.zeros([size or 0 for size in type_.shape], type_.dtype), type_)
        try:
            return literal(to_plain(value, type_, "it"), type_)
        except (FoedusError, ValueError) as error:
            raise self.error("the value does not fit its type") from error

    def value(self) -> _Item:
        if self.has("["):
            items: list[_Item] = []
            while not self.has("]"):
                if items:
                    self.expect(",")
                items.append(self.value())
            return items
        quoted = self.match(_STRING)
        if quoted is not None:
            return json.loads(quoted)
        number = self.match(_NUMBER)
        if number is None:
            return _WORDS[self.name()]
        if number.endswith("j"):
            return complex(number)
        return int(number) if number.lstrip("+-").isdecimal() else float(number)


def parse_program(
    text: str,
    leaves: Mapping[str, Foreign | Literal] | None = None,
    placements: Iterable[PlacementLiteral] = (CLIENTS, SERVER),
) -> Node:
    """Reads a program.

    Args:
        text: What ``show_program`` printed, or a person wrote.
        leaves: The leaves that the text names by their hash; ``leaves_of`` collects those of a program.
        placements: The placements that the text may name.

    Returns:
        The program.

    Raises:
        TypeSyntaxError: If the text is not a program; the error shows where it stops being one.
        TypeMismatchError: If its parts do not fit together.
    """
    reader = _Reader(text, leaves or {}, placements)
    try:
        node = reader.node()
    except FoedusError:
        raise
    except (KeyError, ValueError) as error:
        raise reader.error(str(error)) from error
    reader.blank()
    if reader.at < len(text):
        raise reader.error("something follows the program")
    return node
