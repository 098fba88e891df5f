# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One round trip: which parts of a program run before, on the way down, at clients, on the way up, and after.

Both canonical forms cut a program along these parts, and both refuse one that goes down more than once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from foedus.errors import CompositionError, place
from foedus.intrinsics import TABLE, Flow
from foedus.ir import (
    Block,
    Call,
    Intrinsic,
    Lambda,
    Node,
    Record,
    Reference,
    Selection,
    free_names,
    transform,
)
from foedus.passes._refusal import Refusal
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral, Struct, Type, field_path


class Part(Enum):
    """When and where a binding runs."""

    FREE = "anywhere"
    """It depends on no argument and moves nothing, so that it may be computed wherever it is needed."""
    BEFORE = "at the server, before"
    DOWN = "on the way to the clients"
    WORK = "at the clients"
    UP = "on the way to the server"
    AFTER = "at the server, after"


@dataclass(frozen=True, slots=True)
class Argument:
    """One placed value of a program's argument.

    Args:
        field: The name of its field, None where it has none.
        value: What it is called inside of a round's bindings.
        type: Its type.
    """

    field: str | None
    value: Reference
    type: Federated


@dataclass(frozen=True, eq=False)
class Round:
    """A program in call-dominant form, cut into parts.

    Args:
        arguments: The placed values that it takes.
        bindings: The calls, in order.
        parts: The part of each, by name; those of the arguments too.
        result: The result.
        refusal: Words errors about it.
    """

    arguments: tuple[Argument, ...]
    bindings: tuple[tuple[str, Call], ...]
    parts: Mapping[str, Part]
    result: Node
    refusal: Refusal

    def at(self, placement: PlacementLiteral) -> list[Argument]:
        """The arguments at a placement."""
        return [argument for argument in self.arguments if argument.type.placement == placement]

    def of(self, part: Part) -> list[tuple[str, Call]]:
        """The bindings of a part, in order."""
        return [binding for binding in self.bindings if self.parts[binding[0]] is part]

    def needed(self, nodes: Iterable[Node], given: Collection[str]) -> list[tuple[str, Call]]:
        """The bindings that some nodes depend on, in order, but for what is given."""
        names = {name for node in nodes for name in free_names(node)}
        found: list[tuple[str, Call]] = []
        for name, node in reversed(self.bindings):
            if name in names and name not in given:
                found.append((name, node))
                names |= free_names(node)
        return found[::-1]


def operator_of(node: Call) -> str | None:
    """The name of the operator that is called, None for a leaf."""
    return node.function.name if isinstance(node.function, Intrinsic) else None


def fields_of(node: Call) -> list[Node]:
    """The fields of a call's argument."""
    assert isinstance(node.argument, Record), "an operator is given no struct; please report"
    return [child for _, child in node.argument.fields]


def flow_of(node: Call) -> Flow:
    """Where a call moves values."""
    name = operator_of(node)
    return Flow.NOWHERE if name is None else TABLE[name].flow


def source_of(node: Call) -> PlacementLiteral:
    """The placement that a call which moves values reads from."""
    assert node.argument is not None
    type_ = node.argument.type
    first = type_.fields[0][1] if isinstance(type_, Struct) else type_
    assert isinstance(first, Federated), "only a placed value moves; please report"
    return first.placement


def arguments_of(parameter: Type | None, form: str) -> tuple[Argument, ...]:
    """The placed values of a parameter that is one or a struct of such.

    Args:
        parameter: The type of a computation's argument.
        form: The form that takes it, for the errors' text.

    Returns:
        The values in order.

    Raises:
        CompositionError: If it is something else; the error names the field.
    """
    if parameter is None:
        return ()
    fields = parameter.fields if isinstance(parameter, Struct) else ((None, parameter),)
    found: list[Argument] = []
    for i, (name, type_) in enumerate(fields):
        path = field_path(i, name) if isinstance(parameter, Struct) else ""
        if not isinstance(type_, Federated) or type_.placement not in (SERVER, CLIENTS):
            raise CompositionError(
                f"A {form} takes values at the server and at clients",
                found=type_,
                expected="T@SERVER or {T}@CLIENTS, or a struct of such",
                at=place(f"{path} of the argument" if path else "the argument"),
            )
        # No binding has a name like this.
        found.append(Argument(name, Reference(f"argument{path}", type_), type_))
    return tuple(found)


def _take_apart(flat: Lambda, form: str) -> tuple[tuple[Argument, ...], Block]:
    """The arguments of a flat program, and its body in terms of them."""
    arguments = arguments_of(flat.parameter_type, form)
    whole: Node = (
        arguments[0].value
        if isinstance(flat.parameter_type, Federated)
        else Record(tuple((argument.field, argument.value) for argument in arguments))
    )

    def change(node: Node) -> Node:
        match node:
            case Reference(name) if name == flat.parameter:
                return whole
            case Selection(Record(fields), index):
                return fields[index][1]
            case _:
                return node

    body = transform(flat.body, change)
    assert isinstance(body, Block), "the program is not in flat form; please report"
    return arguments, body


def cut(flat: Lambda, form: str, *, tiers: bool) -> Round:
    """Cuts a program into the parts of a round.

    Args:
        flat: A program in call-dominant form.
        form: The form that it is cut for, for the errors' text.
        tiers: Whether values may pass through tiers on their way.

    Returns:
        The round.

    Raises:
        CompositionError: If it is not one round trip; the error shows the binding that makes it impossible.
    """
    arguments, body = _take_apart(flat, form)
    calls: dict[str, Call] = {}
    cutter = _Cutter(Refusal(form, calls), arguments, tiers)
    for name, node in body.bindings:
        assert isinstance(node, Call), "the program is not in flat form; please report"
        calls[name] = node
        cutter.parts[name] = cutter.part_of(name, node)
    cutter.refusal.require_at_server(body.result)
    return Round(arguments, tuple(calls.items()), cutter.parts, body.result, cutter.refusal)


class _Cutter:
    """Finds the parts of a program's bindings, in order."""

    def __init__(self, refusal: Refusal, arguments: tuple[Argument, ...], tiers: bool) -> None:
        self.refusal = refusal
        self.tiers = tiers
        self.parts = {
            a.value.name: Part.BEFORE if a.type.placement == SERVER else Part.WORK for a in arguments
        }

    def part_of(self, name: str, node: Call) -> Part:
        """The part of a binding, given those of the ones before it."""
        type_ = node.type
        if not isinstance(type_, Federated):
            return Part.FREE
        if not self.tiers and type_.placement not in (SERVER, CLIENTS):
            raise self.refusal.error(
                name,
                f"a value is at {type_.placement}",
                expected="values at SERVER and at CLIENTS",
                hint="the distribute-aggregate form allows tiers on the way",
            )
        inputs = {self.parts[n] for n in free_names(node)} - {Part.FREE}
        match flow_of(node):
            case Flow.DOWN:
                return self._down(name, node, inputs)
            case Flow.UP:
                if source_of(node) != CLIENTS:
                    self._require_no_way_back(name, inputs)
                return Part.UP
            case Flow.NOWHERE:
                return self._staying(name, node, inputs, type_.placement)

    def _staying(self, name: str, node: Call, inputs: set[Part], at: PlacementLiteral) -> Part:
        if at == CLIENTS:
            return Part.WORK
        if at == SERVER:
            if not inputs and operator_of(node) in ("federated_value", "federated_zip"):
                return Part.FREE
            return Part.AFTER if inputs & {Part.UP, Part.AFTER} else Part.BEFORE
        self._require_no_way_back(name, inputs)
        return next(iter(inputs), Part.FREE)

    def _down(self, name: str, node: Call, inputs: set[Part]) -> Part:
        if operator_of(node) in ("federated_select", "federated_secure_select"):
            raise self.refusal.error(
                name,
                "what a client is sent depends on what it asks for",
                expected="broadcasts, the same for all clients",
                hint="broadcast the whole value and select from it in a federated_map",
            )
        if inputs & {Part.UP, Part.AFTER}:
            what = "a key" if operator_of(node) == "federated_key" else "a broadcast"
            raise self.refusal.error(
                name,
                f"{what} depends on an aggregate",
                because_of=self._names(Part.UP),
                expected="one way down and one way up",
                hint="send it in the next round, through the state",
            )
        return Part.DOWN

    def _require_no_way_back(self, name: str, inputs: set[Part]) -> None:
        """Refuses values at a tier that come from above, where they meet what comes from below."""
        node = self.refusal.calls[name]
        if Part.DOWN in inputs and (Part.UP in inputs or flow_of(node) is Flow.UP):
            raise self.refusal.error(
                name,
                "what a tier was sent is needed again on the way up",
                because_of=self._names(Part.DOWN),
                expected="values on the way up that depend on the clients alone",
                hint="apply it at the server, or at the clients",
            )

    def _names(self, part: Part) -> set[str]:
        return {name for name, own in self.parts.items() if own is part}
