# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""From map-reduce form back to a computation."""

from __future__ import annotations

from foedus.intrinsics import result_type
from foedus.ir import Block, Call, Intrinsic, Lambda, Node, Record, Reference, Selection, constant
from foedus.passes._round import arguments_of
from foedus.passes.call_dominant import call_dominant
from foedus.passes.map_reduce_form import SECURE_SUMS, MapReduceForm
from foedus.types import CLIENTS, EMPTY, SERVER, Federated, Function, PlacementLiteral, Struct, Type


class _Writer:
    """Writes operators down as the bindings of a block."""

    def __init__(self) -> None:
        self.bindings: list[tuple[str, Node]] = []

    def apply(self, name: str, argument: Node, placement: PlacementLiteral | None = None) -> Reference:
        """Applies an operator."""
        type_ = Function(argument.type, result_type(name, argument.type, placement))
        bound = f"v{len(self.bindings) + 1}"
        self.bindings.append((bound, Call(Intrinsic(name, type_), argument)))
        return Reference(bound, type_.result)

    def map(self, fn: Node, value: Node) -> Reference:
        return self.apply("federated_map", Record((("fn", fn), ("value", value))))

    def part(self, value: Node, *path: int) -> Reference:
        """A part of a placed value."""
        assert isinstance(value.type, Federated)
        whole = Reference("x", value.type.member)
        part: Node = whole
        for index in path:
            part = Selection(part, index)
        return self.map(Lambda("x", whole.type, part), value)

    def nothing(self, placement: PlacementLiteral) -> Reference:
        return self.apply("federated_value", Record(()), placement)

    def spread(self, value: Node, type_: Type, *path: int) -> Node:
        """A placed value as a value of a type in which its parts are placed."""
        if isinstance(type_, Struct):
            fields = ((name, self.spread(value, t, *path, i)) for i, (name, t) in enumerate(type_.fields))
            return Record(tuple(fields), type_.container)
        return self.part(value, *path) if path else value


def from_map_reduce(form: MapReduceForm) -> Lambda:
    """The computation that a map-reduce form stands for.

    Args:
        form: The form.

    Returns:
        A computation of the form's type, in call-dominant form, with one ``federated_aggregate`` and one
        secure sum of each sort that the form has.
    """
    writer = _Writer()
    parameter = None if form.type.parameter is None else Reference("p", form.type.parameter)
    server = _arguments(writer, parameter, SERVER)
    prepared = writer.map(form.prepare, server)
    work = writer.map(
        form.work, _work_argument(writer, form, prepared, _arguments(writer, parameter, CLIENTS))
    )
    totals = [("simple", _folded(writer, form, writer.part(work, 0)))]
    for i, (sort, bound) in enumerate(SECURE_SUMS.items()):
        part = writer.part(work, i + 1)
        totals.append((sort, _added(writer, sort, bound, form.programs[bound], part)))
    total = writer.apply("federated_zip", Record((("server", server), *totals)))
    result = writer.spread(writer.map(form.update, total), form.type.result)
    body = Block(tuple(writer.bindings), result)
    return call_dominant(Lambda(None if parameter is None else parameter.name, form.type.parameter, body))


def _arguments(writer: _Writer, parameter: Reference | None, placement: PlacementLiteral) -> Node:
    """What a placement has of the argument: its one value, or all of them zipped."""
    if parameter is None:
        return writer.nothing(placement)
    parts: list[tuple[str | None, Node]] = []
    for i, argument in enumerate(arguments_of(parameter.type, "map-reduce form")):
        if argument.type.placement == placement:
            whole = isinstance(parameter.type, Federated)
            parts.append((argument.field, parameter if whole else Selection(parameter, i)))
    if len(parts) == 1:
        return parts[0][1]
    return writer.apply("federated_zip", Record(tuple(parts))) if parts else writer.nothing(placement)


def _work_argument(writer: _Writer, form: MapReduceForm, prepared: Node, data: Node) -> Reference:
    assert isinstance(prepared.type, Federated)
    assert isinstance(prepared.type.member, Struct)
    if prepared.type.member.fields[0][1] == EMPTY:
        broadcast = writer.nothing(CLIENTS)
    else:
        broadcast = writer.apply("federated_broadcast", writer.part(prepared, 0))
    keys: list[tuple[None, Node]] = []
    for i, purpose in enumerate(form.purposes):
        request = Record((("key", writer.part(prepared, 1, i)), ("purpose", constant(purpose))))
        keys.append((None, writer.apply("federated_key", request)))
    fields = (("data", data), ("broadcast", broadcast), ("keys", Record(tuple(keys))))
    return writer.apply("federated_zip", Record(fields))


def _folded(writer: _Writer, form: MapReduceForm, simple: Node) -> Reference:
    assert isinstance(form.report.type, Function)
    if form.report.type.result == EMPTY:
        return writer.nothing(SERVER)
    functions = (("accumulate", form.accumulate), ("merge", form.merge), ("report", form.report))
    zero = Call(form.zero, None)
    return writer.apply("federated_aggregate", Record((("value", simple), ("zero", zero), *functions)))


def _added(writer: _Writer, sort: str, bound: str, bounds: Node, value: Reference) -> Reference:
    assert isinstance(value.type, Federated)
    if value.type.member == EMPTY:
        return writer.nothing(SERVER)
    return writer.apply(f"federated_{sort}", Record((("value", value), (bound, Call(bounds, None)))))
