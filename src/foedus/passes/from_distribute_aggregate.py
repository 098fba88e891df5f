# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""From distribute-aggregate form back to a computation."""

from __future__ import annotations

from foedus.ir import Block, Call, Lambda, Node, Record, Reference, Selection
from foedus.passes._bundle import bundle
from foedus.passes._round import arguments_of
from foedus.passes.call_dominant import call_dominant
from foedus.passes.distribute_aggregate_form import DistributeAggregateForm
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral


def from_distribute_aggregate(form: DistributeAggregateForm) -> Lambda:
    """The computation that a distribute-aggregate form stands for.

    Args:
        form: The form.

    Returns:
        A computation of the form's type, in call-dominant form.
    """
    parameter = None if form.type.parameter is None else Reference("p", form.type.parameter)
    steps: list[tuple[str, Node]] = []

    def step(name: str, program: Node, argument: Node) -> Reference:
        call = Call(program, argument)
        steps.append((name, call))
        return Reference(name, call.type)

    prepared = step("prepared", form.server_prepare, _arguments(parameter, SERVER))
    received = step("received", form.server_to_client_broadcast, Selection(prepared, 0))
    work = Record((("data", _arguments(parameter, CLIENTS)), ("received", received)))
    updates = step("updates", form.client_work, work)
    aggregates = step("aggregates", form.client_to_server_aggregation, updates)
    ends = Record((("kept", Selection(prepared, 1)), ("aggregates", aggregates)))
    body = Block(tuple(steps), Call(form.server_result, ends))
    return call_dominant(Lambda(None if parameter is None else parameter.name, form.type.parameter, body))


def _arguments(parameter: Reference | None, placement: PlacementLiteral) -> Node:
    """What of the argument is at a placement."""
    if parameter is None:
        return Record(())
    whole = isinstance(parameter.type, Federated)
    parts = enumerate(arguments_of(parameter.type, "distribute-aggregate form"))
    own = (
        (a.field, parameter if whole else Selection(parameter, i))
        for i, a in parts
        if a.type.placement == placement
    )
    return bundle(own)
