# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Inlining: what remains are calls of leaves and operators, one after another, without nesting.

The program is evaluated symbolically: functions of the language are applied, selections from known structs
are taken, and every call of a leaf or an operator becomes a binding of one flat block. The language has
neither recursion nor choice, so this ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from foedus.intrinsics import result_type
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
from foedus.passes._retype import is_exactly, retyped
from foedus.passes._trampoline import Later, Steps, finished
from foedus.passes.uniquify import uniquify
from foedus.types import Federated, Function, Struct, Type


class _Frame:
    """The values of the names in one run of a function, blocks included: all names of a program differ."""

    __slots__ = ("outer", "values")

    def __init__(self, outer: _Frame | None, values: dict[str, _Value]) -> None:
        self.outer = outer
        self.values = values

    def __getitem__(self, name: str) -> _Value:
        at: _Frame | None = self
        while at is not None:
            found = at.values.get(name)
            if found is not None:
                self.values[name] = found  # nearer for whoever asks next
                return found
            at = at.outer
        raise AssertionError(f"the program is not closed: nothing is called {name!r}; please report")


@dataclass(frozen=True, slots=True, eq=False)
class _Closure:
    """A function of the language with the values of the names around it."""

    function: Lambda
    frame: _Frame

    @property
    def type(self) -> Type:
        return self.function.type


@dataclass(frozen=True, slots=True, eq=False)
class _Fields:
    """A struct whose fields are known."""

    names: tuple[str | None, ...]
    values: tuple[_Value, ...]
    container: type | None
    type: Struct = field(init=False)

    def __post_init__(self) -> None:
        types = (value.type for value in self.values)
        object.__setattr__(self, "type", Struct(tuple(zip(self.names, types, strict=True)), self.container))


_Value: TypeAlias = "Node | _Closure | _Fields"


class _Inliner:
    """Evaluates one body; nested functions that remain get an inliner of their own."""

    def __init__(self, names: Iterator[int]) -> None:
        self.names = names
        self.bindings: list[tuple[str, Node]] = []

    def bind(self, node: Node) -> Reference:
        """Makes a node a binding of the flat block."""
        name = f"v{next(self.names)}"
        self.bindings.append((name, node))
        return Reference(name, node.type)

    def value(self, node: Node, frame: _Frame) -> Steps[_Value]:
        match node:
            case Reference(name):
                return frame[name]
            case Literal() | Intrinsic() | Foreign():
                return node
            case Record(fields, container):
                values: list[_Value] = []
                for _, child in fields:
                    values.append((yield from Later(self.value(child, frame))))
                return _Fields(tuple(name for name, _ in fields), tuple(values), container)
            case Selection(source, index):
                struct = yield from Later(self.value(source, frame))
                return (yield from Later(self.field(struct, index)))
            case Lambda():
                return _Closure(node, frame)
            case Block(bindings, result):
                for name, child in bindings:
                    frame.values[name] = yield from Later(self.value(child, frame))
                return (yield from Later(self.value(result, frame)))
            case Call(function, argument):
                applied = yield from Later(self.value(function, frame))
                given = None if argument is None else (yield from Later(self.value(argument, frame)))
                return (yield from Later(self.call(applied, given)))
            case _:
                assert_never(node)

    def call(self, applied: _Value, given: _Value | None) -> Steps[_Value]:
        if not isinstance(applied, _Closure):
            called = yield from Later(self.node(applied))
            passed = None if given is None else (yield from Later(self.node(given)))
            return self.bind(Call(called, passed))
        function, frame = applied.function, _Frame(applied.frame, {})
        if function.parameter is not None and function.parameter_type is not None and given is not None:
            frame.values[function.parameter] = yield from Later(self.fit(given, function.parameter_type))
        return (yield from Later(self.value(function.body, frame)))

    def fit(self, value: _Value, type_: Type) -> Steps[_Value]:
        """Gives a struct the names that the parameter it is passed as has."""
        if isinstance(value, _Closure) or not isinstance(type_, Struct) or value.type == type_:
            return value
        fields: list[_Value] = []
        for i, (_, wanted) in enumerate(type_.fields):
            own = yield from Later(self.field(value, i))
            fields.append((yield from Later(self.fit(own, wanted))))
        return _Fields(tuple(name for name, _ in type_.fields), tuple(fields), type_.container)

    def settle(self, value: _Value, type_: Type) -> Steps[_Value]:
        """Gives the result of a program exactly the type that it had, where more is known by now."""
        if is_exactly(value.type, type_):
            return value
        if not isinstance(type_, Struct):
            return self.bind(_as_type((yield from Later(self.node(value))), type_, f"p{next(self.names)}"))
        values: list[_Value] = []
        for i, (_, wanted) in enumerate(type_.fields):
            own = yield from Later(self.field(value, i))
            values.append((yield from Later(self.settle(own, wanted))))
        return _Fields(tuple(name for name, _ in type_.fields), tuple(values), type_.container)

    def field(self, value: _Value, index: int) -> Steps[_Value]:
        if isinstance(value, _Fields):
            return value.values[index]
        return Selection((yield from Later(self.node(value))), index)

    def node(self, value: _Value) -> Steps[Node]:
        """The node of a value where one must stand: as an argument, or as the result."""
        match value:
            case _Closure():
                return (yield from Later(self.function(value)))
            case _Fields(names, values, container):
                fields: list[tuple[str | None, Node]] = []
                for name, own in zip(names, values, strict=True):
                    fields.append((name, (yield from Later(self.node(own)))))
                return Record(tuple(fields), container)
            case _:
                return value

    def function(self, closure: _Closure) -> Steps[Lambda]:
        inner = _Inliner(self.names)
        lambda_ = closure.function
        if lambda_.parameter is None or lambda_.parameter_type is None:
            body = yield from Later(inner.body(lambda_.body, _Frame(closure.frame, {})))
            return Lambda(None, None, body)
        name = f"p{next(self.names)}"
        parameter = Reference(name, lambda_.parameter_type)
        frame = _Frame(closure.frame, {lambda_.parameter: parameter})
        body = yield from Later(inner.body(lambda_.body, frame))
        return Lambda(name, lambda_.parameter_type, body)

    def body(self, node: Node, frame: _Frame) -> Steps[Node]:
        value = yield from Later(self.value(node, frame))
        result = yield from Later(self.node(value))
        return Block(tuple(self.bindings), result) if self.bindings else result

    def program(self, node: Node, argument: Reference | None, type_: Type) -> Steps[Block]:
        """The body of a whole program."""
        applied = yield from Later(self.value(node, _Frame(None, {})))
        value = yield from Later(self.call(applied, argument))
        settled = yield from Later(self.settle(value, type_))
        result = yield from Later(self.node(settled))
        return Block(tuple(self.bindings), result)


def _as_type(node: Node, type_: Type, name: str) -> Node:
    """A node as one of a type to which its own is assignable: by a map, or a call, that changes nothing."""
    if isinstance(type_, Federated):
        same = Lambda(name, type_.member, Reference(name, type_.member))
        argument = Record((("fn", same), ("value", node)))
        result = result_type("federated_map", argument.type)
        if result == type_:
            return Call(Intrinsic("federated_map", Function(argument.type, result)), argument)
    return retyped(node, type_, name)


def inline(program: Node) -> Lambda:
    """Brings a program into flat form.

    Args:
        program: A closed program of function type.

    Returns:
        A lambda whose body is a block; each binding is a call of a leaf or an operator, in the order in which
        they are evaluated, and the arguments are made of names, constants, selections, structs and functions
        in flat form. The type is that of the program: where a result is known better than its type says (of
        known length, or equal at all clients), a last binding that changes nothing takes it back.
    """
    type_ = program.type
    assert isinstance(type_, Function), "only a function is a program; please report"
    inliner = _Inliner(itertools.count(1))
    parameter = None if type_.parameter is None else f"p{next(inliner.names)}"
    argument = None if parameter is None or type_.parameter is None else Reference(parameter, type_.parameter)
    body = finished(inliner.program(uniquify(program), argument, type_.result))
    return Lambda(parameter, type_.parameter, body)
