# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Inlining: what remains are calls of leaves and operators, one after another, without nesting.

The program is evaluated symbolically: functions of the language are applied, selections from known structs
are taken, and every call of a leaf or an operator becomes a binding of one flat block. The language has
neither recursion nor choice, so this ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

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
)
from foedus.types import Function, Struct, Type


@dataclass(frozen=True, slots=True, eq=False)
class _Closure:
    """A function of the language with the values of the names around it."""

    function: Lambda
    scope: Mapping[str, _Value]


@dataclass(frozen=True, slots=True, eq=False)
class _Fields:
    """A struct whose fields are known."""

    names: tuple[str | None, ...]
    values: tuple[_Value, ...]
    container: type | None


_Value: TypeAlias = "Node | _Closure | _Fields"


class _Inliner:
    """Evaluates one body; nested functions that remain get an inliner of their own."""

    def __init__(self, names: Iterator[int]) -> None:
        self.names = names
        self.bindings: list[tuple[str, Node]] = []

    def value(self, node: Node, scope: Mapping[str, _Value]) -> _Value:
        match node:
            case Reference(name):
                return scope[name]
            case Literal() | Intrinsic() | Foreign():
                return node
            case Record(fields, container):
                values = tuple(self.value(child, scope) for _, child in fields)
                return _Fields(tuple(name for name, _ in fields), values, container)
            case Selection(source, index):
                struct = self.value(source, scope)
                return (
                    struct.values[index]
                    if isinstance(struct, _Fields)
                    else Selection(self.node(struct), index)
                )
            case Lambda():
                return _Closure(node, scope)
            case Block(bindings, result):
                inner = dict(scope)
                for name, child in bindings:
                    inner[name] = self.value(child, inner)
                return self.value(result, inner)
            case Call(function, argument):
                return self.call(function, argument, scope)
            case _:
                assert_never(node)

    def call(self, function: Node, argument: Node | None, scope: Mapping[str, _Value]) -> _Value:
        applied = self.value(function, scope)
        given = None if argument is None else self.value(argument, scope)
        if isinstance(applied, _Closure):
            lambda_ = applied.function
            if lambda_.parameter is None or lambda_.parameter_type is None or given is None:
                return self.value(lambda_.body, applied.scope)
            fitted = self.fit(given, lambda_.parameter_type)
            return self.value(lambda_.body, {**applied.scope, lambda_.parameter: fitted})
        name = f"v{next(self.names)}"
        node = Call(self.node(applied), None if given is None else self.node(given))
        self.bindings.append((name, node))
        return Reference(name, node.type)

    def fit(self, value: _Value, type_: Type) -> _Value:
        """Gives a struct the names that the parameter it is passed as has."""
        if isinstance(value, _Closure) or not isinstance(type_, Struct) or self.type_of(value) == type_:
            return value
        names = tuple(name for name, _ in type_.fields)
        fields = [self.fit(self.field(value, i), t) for i, (_, t) in enumerate(type_.fields)]
        return _Fields(names, tuple(fields), type_.container)

    def field(self, value: _Value, index: int) -> _Value:
        return value.values[index] if isinstance(value, _Fields) else Selection(self.node(value), index)

    def type_of(self, value: _Value) -> Type:
        match value:
            case _Closure(function):
                return function.type
            case _Fields(names, values):
                return Struct(tuple((n, self.type_of(v)) for n, v in zip(names, values, strict=True)))
            case _:
                return value.type

    def node(self, value: _Value) -> Node:
        """The node of a value where one must stand: as an argument, or as the result."""
        match value:
            case _Closure():
                return self.function(value)
            case _Fields(names, values, container):
                fields = tuple((n, self.node(v)) for n, v in zip(names, values, strict=True))
                return Record(fields, container)
            case _:
                return value

    def function(self, closure: _Closure) -> Lambda:
        inner = _Inliner(self.names)
        lambda_ = closure.function
        if lambda_.parameter is None or lambda_.parameter_type is None:
            return Lambda(None, None, _slim(inner.body(lambda_.body, closure.scope)))
        name = f"p{next(self.names)}"
        parameter = Reference(name, lambda_.parameter_type)
        body = inner.body(lambda_.body, {**closure.scope, lambda_.parameter: parameter})
        return Lambda(name, lambda_.parameter_type, _slim(body))

    def body(self, node: Node, scope: Mapping[str, _Value]) -> Block:
        result = self.node(self.value(node, scope))
        return Block(tuple(self.bindings), result)


def _slim(body: Block) -> Node:
    return body if body.bindings else body.result


def inline(program: Node) -> Lambda:
    """Brings a program into flat form.

    Args:
        program: A closed program of function type.

    Returns:
        A lambda whose body is a block; each binding is a call of a leaf or an operator, in the order in which
        they are evaluated, and the arguments are made of names, constants, selections, structs and functions
        in flat form. The type is that of the program.
    """
    inliner = _Inliner(itertools.count(1))
    type_ = program.type
    assert isinstance(type_, Function), "only a function is a program; please report"
    if type_.parameter is None:
        return Lambda(None, None, inliner.body(Call(program, None), {}))
    name = f"p{next(inliner.names)}"
    argument = Reference(name, type_.parameter)
    return Lambda(name, type_.parameter, inliner.body(Call(program, argument), {name: argument}))
