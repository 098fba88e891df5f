# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""To distribute-aggregate form: a round is cut where values move, and keeps the operators that move them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from foedus.ir import Block, Lambda, Node, Record, Reference, Selection, free_names
from foedus.passes._bundle import bundle_type, parts_of_bundle, unnamed
from foedus.passes._fit import struct
from foedus.passes._local import substituted, tidied
from foedus.passes._round import Part, Round, cut
from foedus.passes.call_dominant import call_dominant
from foedus.passes.distribute_aggregate_form import DistributeAggregateForm, placed_type
from foedus.passes.replace_intrinsics import expand
from foedus.types import CLIENTS, SERVER, Federated, Function, PlacementLiteral, Type


def to_distribute_aggregate(program: Node) -> DistributeAggregateForm:
    """Brings a round into distribute-aggregate form.

    What is computed at the server before the clients work, and is needed after, is kept and not computed again;
    what is placed nowhere is computed wherever it is needed.

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
        types = {name: call.type for name, call in round_.bindings}
        types |= {argument.value.name: argument.type for argument in round_.arguments}
        self.types = types

    def form(self) -> DistributeAggregateForm:
        """The form."""
        result = self.round.result
        aggregates = self.inputs([result], self.of(Part.UP), self.of(Part.BEFORE))
        kept = self.inputs([result], self.of(Part.BEFORE), self.of(Part.UP))
        updates = self.inputs(self.values(aggregates), self.at(CLIENTS))
        received = self.inputs(self.values(updates), self.of(Part.DOWN))
        sent = self.inputs(self.values(received), self.at(SERVER))
        server, data = (placed_type(self.type.parameter, at) for at in (SERVER, CLIENTS))
        own, theirs = ([a.value.name for a in self.round.at(at)] for at in (SERVER, CLIENTS))
        before = Reference("given", server)
        work = Reference("given", struct(data=data, received=self.type_of(received)))
        after = Reference("given", struct(kept=self.type_of(kept), aggregates=self.type_of(aggregates)))
        prepared = Record((("sent", self.bundled(sent)), ("kept", self.bundled(kept))))
        return DistributeAggregateForm(
            type=self.type,
            server_prepare=self.program(before, {**_named(own, before)}, prepared),
            server_to_client_broadcast=self.moving(sent, received),
            client_work=self.program(
                work,
                _named(theirs, Selection(work, 0)) | _named(received, Selection(work, 1)),
                self.bundled(updates),
            ),
            client_to_server_aggregation=self.moving(updates, aggregates),
            server_result=self.program(
                after, _named(kept, Selection(after, 0)) | _named(aggregates, Selection(after, 1)), result
            ),
        )
