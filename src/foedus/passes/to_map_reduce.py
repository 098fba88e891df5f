# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""To map-reduce form: placed values become local programs, and all folds become one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from foedus.intrinsics import TABLE
from foedus.ir import Call, Intrinsic, Literal, Node, Record, Reference, Selection, value_of
from foedus.passes._bundle import bundle_type, named_parts, parts_of_bundle, unnamed
from foedus.passes._fit import pair, struct
from foedus.passes._local import LOCAL, Member, unplaced
from foedus.passes._retype import retyped
from foedus.passes._round import Part, Round, cut, fields_of, operator_of
from foedus.passes.call_dominant import call_dominant
from foedus.passes.map_reduce_form import SECURE_SUMS, MapReduceForm, member_type
from foedus.passes.replace_intrinsics import expand, replace_intrinsics
from foedus.types import CLIENTS, EMPTY, KEY, SERVER, Federated, Function, PlacementLiteral, Struct, Type

_FORM = "map-reduce form"
_REDUCTIONS = ("federated_aggregate", *(f"federated_{name}" for name in SECURE_SUMS))
_KNOWN = (*LOCAL, *_REDUCTIONS, "federated_broadcast", "federated_key")


def to_map_reduce(program: Node) -> MapReduceForm:
    """Brings a round into map-reduce form.

    All aggregations become one fold over a struct, means and extrema by their bodies, and all secure sums of
    a sort become one. What is computed at the server before the clients work is computed again after, where
    it is needed there; what is placed nowhere is computed wherever it is needed.

    Args:
        program: A closed program that takes values at the server and at clients and returns values at the
            server, such as ``next`` of a process.

    Returns:
        The form; ``from_map_reduce`` is the inverse.

    Raises:
        CompositionError: If it has no such form; the error shows the binding that makes it impossible.
    """
    type_ = program.type
    assert isinstance(type_, Function), "only a function is a program; please report"
    flat = call_dominant(expand(program))
    _require_known(cut(flat, _FORM, tiers=False))
    return _Builder(type_, cut(call_dominant(replace_intrinsics(flat)), _FORM, tiers=False)).form()


def _require_known(round_: Round) -> None:
    """Refuses operators that are not part of the form, and keys for a purpose that is computed."""
    for name, node in round_.bindings:
        operator = operator_of(node)
        if operator is None or not isinstance(node.type, Federated):
            continue
        if operator not in _KNOWN and TABLE[operator].body is None:
            raise round_.refusal.error(
                name,
                f"it has no place for {operator}",
                expected=", ".join(_KNOWN),
                hint="say it with federated_aggregate",
            )
        if operator == "federated_key" and not isinstance(fields_of(node)[1], Literal):
            raise round_.refusal.error(
                name, "the purpose of a key is computed", expected="a constant", hint="give it as a string"
            )


class _Builder:
    """Builds the form of one round, all of whose reductions are folds or secure sums."""

    def __init__(self, type_: Function, round_: Round) -> None:
        self.type = type_
        self.round = round_
        self.broadcasts = _calls(round_, Part.DOWN, "federated_broadcast")
        self.keys = _calls(round_, Part.DOWN, "federated_key")
        self.folds = _calls(round_, Part.UP, "federated_aggregate")
        self.secure = {sort: _calls(round_, Part.UP, f"federated_{sort}") for sort in SECURE_SUMS}
        self.state = bundle_type((None, _declared(call, 1)) for call in self.folds.values())

    def form(self) -> MapReduceForm:
        """The form."""
        return MapReduceForm(
            type=self.type,
            purposes=tuple(_purpose(call) for call in self.keys.values()),
            prepare=self.prepare(),
            work=self.work(),
            zero=self.zero(),
            accumulate=self.accumulate(),
            merge=self.merge(),
            report=self.report(),
            update=self.update(),
            **{bound: self.bounds(sort) for sort, bound in SECURE_SUMS.items()},
        )

    def arguments(self, value: Node, placement: PlacementLiteral) -> dict[str, Node]:
        """The computation's arguments at a placement, in a bundle of them."""
        return named_parts([argument.value.name for argument in self.round.at(placement)], value)

    def prepare(self) -> Node:
        given = Reference("given", member_type(self.type.parameter, SERVER))
        at_server = Member(self.round, self.arguments(given, SERVER))
        sent = [_argument(call) for call in self.broadcasts.values()]
        values = at_server.values([*sent, *(fields_of(call)[0] for call in self.keys.values())])
        keys = Record(tuple((None, retyped(key, KEY)) for key in values[len(sent) :]))
        broadcast = retyped(unnamed(values[: len(sent)]), _result_type(self.broadcasts))
        return at_server.program(given, Record((("broadcast", broadcast), ("keys", keys))))

    def work(self) -> Node:
        data = member_type(self.type.parameter, CLIENTS)
        keys = Struct(tuple((None, KEY) for _ in self.keys))
        type_ = struct(data=data, broadcast=_result_type(self.broadcasts), keys=keys)
        given = Reference("given", type_)
        names: dict[str, Node] = {name: Record(()) for name, _ in self.round.of(Part.DOWN)}
        names |= self.arguments(Selection(given, 0), CLIENTS)
        names |= named_parts(self.broadcasts, Selection(given, 1))
        names |= {name: Selection(Selection(given, 2), i) for i, name in enumerate(self.keys)}
        sorts = {"simple": self.folds, **self.secure}
        wanted = [_operands(calls) for calls in sorts.values()]
        at_client = Member(self.round, names)
        values = iter(at_client.values([node for nodes, _ in wanted for node in nodes]))
        fields = (retyped(unnamed(itertools.islice(values, len(nodes))), type_) for nodes, type_ in wanted)
        return at_client.program(given, Record(tuple(zip(sorts, fields, strict=True))))

    def zero(self) -> Node:
        anywhere = Member(self.round)
        zeros = anywhere.values([fields_of(call)[1] for call in self.folds.values()])
        return anywhere.program(None, retyped(unnamed(zeros), self.state))

    def accumulate(self) -> Node:
        return self.joining(2, _operands(self.folds)[1])

    def merge(self) -> Node:
        return self.joining(3, self.state)

    def joining(self, field: int, other: Type) -> Node:
        """The functions in one field of all folds as one that takes a state and something else to a state."""
        given = Reference("given", pair(self.state, other))
        anywhere = Member(self.round)
        functions = anywhere.values([fields_of(call)[field] for call in self.folds.values()])
        states, others = (parts_of_bundle(Selection(given, i), len(functions)) for i in (0, 1))
        pairs = (Record(((None, one), (None, two))) for one, two in zip(states, others, strict=True))
        joined = unnamed(Call(function, both) for function, both in zip(functions, pairs, strict=True))
        return anywhere.program(given, retyped(joined, self.state))

    def report(self) -> Node:
        given = Reference("given", self.state)
        anywhere = Member(self.round)
        functions = anywhere.values([fields_of(call)[4] for call in self.folds.values()])
        states = parts_of_bundle(given, len(functions))
        reports = unnamed(Call(function, own) for function, own in zip(functions, states, strict=True))
        return anywhere.program(given, retyped(reports, _result_type(self.folds)))

    def bounds(self, sort: str) -> Node:
        anywhere = Member(self.round)
        bounds = anywhere.values([fields_of(call)[1] for call in self.secure[sort].values()])
        return anywhere.program(None, unnamed(bounds))

    def update(self) -> Node:
        sorts = {"simple": self.folds, **self.secure}
        totals = {sort: _result_type(calls) for sort, calls in sorts.items()}
        given = Reference("given", struct(server=member_type(self.type.parameter, SERVER), **totals))
        names: dict[str, Node] = {name: Record(()) for name, _ in self.round.of(Part.UP)}
        names |= self.arguments(Selection(given, 0), SERVER)
        for i, calls in enumerate(sorts.values()):
            names |= named_parts(calls, Selection(given, i + 1))
        at_server = Member(self.round, names)
        (result,) = at_server.values([self.round.result])
        return at_server.program(given, retyped(result, unplaced(self.type.result)))


def _calls(round_: Round, part: Part, operator: str) -> dict[str, Call]:
    """The calls of an operator that give anything."""
    calls = round_.of(part)
    return {n: call for n, call in calls if operator_of(call) == operator and unplaced(call.type) != EMPTY}


def _argument(call: Call) -> Node:
    assert call.argument is not None
    return call.argument


def _purpose(call: Call) -> str:
    purpose = fields_of(call)[1]
    assert isinstance(purpose, Literal)
    return str(value_of(purpose)[()])


def _declared(call: Call, index: int) -> Type:
    """The type that an operator declares for a field of its argument."""
    assert isinstance(call.function, Intrinsic)
    parameter = call.function.type.parameter
    assert isinstance(parameter, Struct)
    return parameter.fields[index][1]


def _operands(calls: Mapping[str, Call]) -> tuple[list[Node], Type]:
    """What clients give to reductions, and the type of the bundle of it."""
    nodes = [fields_of(call)[0] for call in calls.values()]
    return nodes, bundle_type((None, unplaced(_declared(call, 0))) for call in calls.values())


def _result_type(calls: Mapping[str, Call]) -> Type:
    """The type of the bundle of the results of calls."""
    return bundle_type((None, unplaced(call.type)) for call in calls.values())
