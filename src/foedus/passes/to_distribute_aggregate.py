# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""To distribute-aggregate form: a round is cut where values move, and keeps the operators that move them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from foedus.ir import Block, Lambda, Node, Record, Reference, Selection, walk
from foedus.passes._bundle import bundle_type, named_parts, unnamed
from foedus.passes._fit import struct
from foedus.passes._local import substituted, tidied
from foedus.passes._round import Part, Round, cut
from foedus.passes.call_dominant import call_dominant
from foedus.passes.distribute_aggregate_form import DistributeAggregateForm, placed_type
from foedus.passes.replace_intrinsics import expand
from foedus.types import CLIENTS, SERVER, Federated, Function, PlacementLiteral, Type


def to_distribute_aggregate(program: Node) -> DistributeAggregateForm:
    """Brings a round into distribute-aggregate form.

    What is computed at the server before the clients work, and is needed after, is kept and not computed
    again; what is placed nowhere is computed wherever it is needed.

    Args:
        program: A closed program that takes values at the server and at clients and returns values at the
            server, such as ``next`` of a process.

    Returns:
        The form; ``from_distribute_aggregate`` is the inverse.

    Raises:
        CompositionError: If it has no such form; the error shows the binding that makes it impossible.
    """
    type_ = program.type
    assert isinstance(type_, Function), "only a function is a program; please report"
    round_ = cut(call_dominant(expand(program)), "distribute-aggregate form", tiers=True)
    return _Builder(type_, round_).form()


class _Builder:
    """Builds the form of one round, from the result back to the arguments."""

    def __init__(self, type_: Function, round_: Round) -> None:
        self.type = type_
        self.round = round_
        self.types: dict[str, Type] = {a.value.name: a.type for a in round_.arguments}
        self.types |= {name: call.type for name, call in round_.bindings}

    def form(self) -> DistributeAggregateForm:
        """The form."""
        result = self.round.result
        before, up = self.of(Part.BEFORE), self.of(Part.UP)
        ends = self.inputs([result], before | up)
        aggregates, kept = ([name for name in ends if name in part] for part in (up, before))
        updates = self.inputs(self.values(aggregates), self.at(CLIENTS))
        received = self.inputs(self.values(updates), self.of(Part.DOWN))
        sent = self.inputs(self.values(received), self.at(SERVER))
        return DistributeAggregateForm(
            type=self.type,
            server_prepare=self.prepare(sent, kept),
            server_to_client_broadcast=self.moving(sent, received),
            client_work=self.work(received, updates),
            client_to_server_aggregation=self.moving(updates, aggregates),
            server_result=self.result(kept, aggregates),
        )

    def prepare(self, sent: Sequence[str], kept: Sequence[str]) -> Node:
        given = Reference("given", placed_type(self.type.parameter, SERVER))
        prepared = Record((("sent", self.bundled(sent)), ("kept", self.bundled(kept))))
        return self.program(given, self.arguments(given, SERVER), prepared)

    def moving(self, given: Sequence[str], wanted: Sequence[str]) -> Node:
        """The program that makes some placed values of others."""
        parameter = Reference("given", self.type_of(given))
        return self.program(parameter, named_parts(given, parameter), self.bundled(wanted))

    def work(self, received: Sequence[str], updates: Sequence[str]) -> Node:
        data = placed_type(self.type.parameter, CLIENTS)
        given = Reference("given", struct(data=data, received=self.type_of(received)))
        known = self.arguments(Selection(given, 0), CLIENTS) | named_parts(received, Selection(given, 1))
        return self.program(given, known, self.bundled(updates))

    def result(self, kept: Sequence[str], aggregates: Sequence[str]) -> Node:
        given = Reference("given", struct(kept=self.type_of(kept), aggregates=self.type_of(aggregates)))
        known = named_parts(kept, Selection(given, 0)) | named_parts(aggregates, Selection(given, 1))
        return self.program(given, known, self.round.result)

    def program(self, parameter: Reference, known: Mapping[str, Node], result: Node) -> Lambda:
        """The program of what a result depends on, but for what is known."""
        bindings = self.round.needed([result], known)
        body = Block(tuple((n, substituted(c, known)) for n, c in bindings), substituted(result, known))
        return tidied(Lambda(parameter.name, parameter.type, body))

    def of(self, part: Part) -> set[str]:
        """The names of the values of a part, arguments included."""
        return {name for name, own in self.round.parts.items() if own is part}

    def at(self, placement: PlacementLiteral) -> set[str]:
        """The names of the values at a placement, arguments included."""
        types = self.types.items()
        return {n for n, type_ in types if isinstance(type_, Federated) and type_.placement == placement}

    def inputs(self, nodes: Sequence[Node], given: Collection[str]) -> list[str]:
        """Which of the given names some nodes depend on, in the order of their first use."""
        calls = [call for _, call in self.round.needed(nodes, given)]
        used = (n.name for node in (*calls, *nodes) for n in walk(node) if isinstance(n, Reference))
        return list(dict.fromkeys(name for name in used if name in given))

    def arguments(self, value: Node, placement: PlacementLiteral) -> dict[str, Node]:
        """The computation's arguments at a placement, in a bundle of them."""
        return named_parts([argument.value.name for argument in self.round.at(placement)], value)

    def values(self, names: Sequence[str]) -> list[Node]:
        return [Reference(name, self.types[name]) for name in names]

    def bundled(self, names: Sequence[str]) -> Node:
        return unnamed(self.values(names))

    def type_of(self, names: Sequence[str]) -> Type:
        return bundle_type((None, self.types[name]) for name in names)
