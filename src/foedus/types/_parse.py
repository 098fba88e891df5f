# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the compact notation of types: the exact inverse of printing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from foedus.errors import ArgumentError, TypeSyntaxError
from foedus.types._types import (
    CLIENTS,
    DTYPES,
    SERVER,
    Abstract,
    Federated,
    Function,
    Placement,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
)

_TOKEN = re.compile(r'\s*(?:(->|\.\.\.)|([^\W\d]\w*)|(\d+)|("(?:[^"\\]|\\.)*")|([<>{}\[\](),=*@?]))')
_FIELD = re.compile(r'\s*([^\W\d]\w*|"(?:[^"\\]|\\.)*")\s*=')
_MOST_NESTED = 200


class _Reader:
    """A cursor over the tokens of one text."""

    def __init__(self, text: str, placements: Iterable[PlacementLiteral], start: int = 0) -> None:
        self.text = text
        self.placements = {placement.name: placement for placement in placements}
        self.at = start
        self.depth = 0

    def error(self, what: str) -> TypeSyntaxError:
        at = len(self.text) - len(self.text[self.at :].lstrip())
        start = max(0, at - 30)
        return TypeSyntaxError(
            f"This is not a type: {what}",
            found=f"{self.text[start : at + 30]}\n{' ' * (at - start)}^ character {at + 1}",
        )

    def peek(self) -> str:
        found = _TOKEN.match(self.text, self.at)
        return found.group().strip() if found else ""

    def step(self) -> None:
        found = _TOKEN.match(self.text, self.at)
        self.at = found.end() if found else len(self.text)

    def take(self) -> str:
        token = self.peek()
        self.step()
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise self.error(f"expected {token!r}")
        self.step()

    def type_(self) -> Type:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise self.error(f"nested deeper than {_MOST_NESTED} levels")
        result = self.suffixes(self.simple())
        self.depth -= 1
        return result

    def simple(self) -> Type:
        token = self.peek()
        if token == "<":
            return self.struct()
        if token == "(":
            return self.function()
        if token == "{":
            return self.each()
        if token == "placement":
            self.step()
            return Placement()
        if token in DTYPES:
            self.step()
            return Tensor(DTYPES[token], self.shape())
        if token[:1].isalpha() or token[:1] == "_":
            self.step()
            return Abstract(token)
        raise self.error("expected a type")

    def suffixes(self, type_: Type) -> Type:
        while self.peek() in ("*", "@"):
            if self.take() == "*":
                type_ = Sequence(type_)
            else:
                type_ = Federated(type_, self.placement(), all_equal=True)
        return type_

    def placement(self) -> PlacementLiteral:
        placement = self.placements.get(self.peek())
        if placement is None:
            raise self.error(f"expected a placement, one of {', '.join(self.placements)}")
        self.step()
        return placement

    def each(self) -> Type:
        self.expect("{")
        member = self.type_()
        self.expect("}")
        self.expect("@")
        return Federated(member, self.placement(), all_equal=False)

    def function(self) -> Type:
        self.expect("(")
        parameter = None if self.peek() == "->" else self.type_()
        self.expect("->")
        result = self.type_()
        self.expect(")")
        return Function(parameter, result)

    def shape(self) -> tuple[int | None, ...] | None:
        if self.peek() != "[":
            return ()
        self.step()
        if self.peek() == "...":
            self.step()
            self.expect("]")
            return None
        sizes = [self.size()]
        while self.peek() == ",":
            self.step()
            sizes.append(self.size())
        self.expect("]")
        return tuple(sizes)

    def size(self) -> int | None:
        token = self.peek()
        if token == "?":
            self.step()
            return None
        if not token.isdecimal():
            raise self.error("expected a dimension")
        if len(token) > 18:
            raise self.error("a dimension that no array can have")
        self.step()
        return int(token)

    def struct(self) -> Type:
        self.expect("<")
        fields: list[tuple[str | None, Type]] = []
        while self.peek() != ">":
            if fields:
                self.expect(",")
            fields.append((self.field_name(), self.type_()))
        self.step()
        return Struct(tuple(fields))

    def field_name(self) -> str | None:
        found = _FIELD.match(self.text, self.at)
        if found is None:
            return None
        token = found.group(1)
        try:
            name = str(json.loads(token)) if token.startswith('"') else token
        except ValueError:
            raise self.error("a name with a bad escape") from None
        self.at = found.end()
        return name


def parse_prefix(
    text: str, start: int = 0, placements: Iterable[PlacementLiteral] = (CLIENTS, SERVER)
) -> tuple[Type, int]:
    """Reads a type at the start of a text that goes on after it.

    Args:
        text: The text.
        start: Where the type begins.
        placements: The placements that the text may name.

    Returns:
        The type, and where the text goes on.

    Raises:
        TypeSyntaxError: If no type stands there.
    """
    reader = _Reader(text, placements, start)
    try:
        type_ = reader.type_()
    except ArgumentError as error:
        raise reader.error(error.headline) from error
    return type_, reader.at


def parse(text: str, placements: Iterable[PlacementLiteral] = (CLIENTS, SERVER)) -> Type:
    """Reads a type in compact notation.

    Args:
        text: Such as ``(<{float32[10]}@CLIENTS,float32@SERVER> -> float32@SERVER)``.
        placements: The placements that the text may name.

    Returns:
        The type; ``str`` of it is the text without spare blanks.

    Raises:
        TypeSyntaxError: If the text is not a type; the error shows where it stops being one.
    """
    type_, end = parse_prefix(text, 0, placements)
    if text[end:].strip():
        raise _Reader(text, placements, end).error("something follows the type")
    return type_
