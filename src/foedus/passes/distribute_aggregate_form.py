# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Distribute-aggregate form: a round as programs before it, on the way down, at clients, up, and after."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from foedus.intrinsics import TABLE, Flow
from foedus.ir import Intrinsic, Node, walk
from foedus.passes._bundle import bundle_type
from foedus.passes._fit import Fit, struct
from foedus.passes._round import arguments_of
from foedus.types import CLIENTS, SERVER, Federated, Function, PlacementLiteral, Type, show

_FIT = Fit("distribute-aggregate form")


def placed_type(parameter: Type | None, placement: PlacementLiteral) -> Type:
    """What of a computation's argument is at a placement: the one value, or a struct of them."""
    own = [a for a in arguments_of(parameter, _FIT.form) if a.type.placement == placement]
    return bundle_type((a.field, a.type) for a in own)


@final
@dataclass(frozen=True)
class DistributeAggregateForm:
    """A round that goes down to the clients once and up once, as closed programs of placed values.

    In the types below, ``S`` is what the computation takes at the server and ``D`` what it takes at the
    clients. These and all others are one placed value, or a struct of them where there are none or several.
    Only the second and the fourth program move values, by whatever operators the computation does, through
    tiers too.

    Args:
        type: The type of the computation.
        server_prepare: ``(S -> <sent=B,kept=K>)``, all at the server. What is kept is for the end, and not
            sent.
        server_to_client_broadcast: ``(B -> C)``, from the server to the clients.
        client_work: ``(<data=D,received=C> -> W)``, all at the clients.
        client_to_server_aggregation: ``(W -> A)``, from the clients to the server.
        server_result: ``(<kept=K,aggregates=A> -> R)``, all at the server; ``R`` is the computation's result.

    Raises:
        CompositionError: If the programs do not fit together.
        TypeMismatchError: If one is not well typed, or not closed.
    """

    type: Function
    server_prepare: Node
    server_to_client_broadcast: Node
    client_work: Node
    client_to_server_aggregation: Node
    server_result: Node

    def __post_init__(self) -> None:
        _FIT.require_at_server(self.type.result)
        server, data = (placed_type(self.type.parameter, at) for at in (SERVER, CLIENTS))
        sent, kept = _FIT.fields("server_prepare", self.server_prepare, server, "sent", "kept")
        name = "server_to_client_broadcast"
        received = _FIT.result(name, self.server_to_client_broadcast, sent)
        given = struct(data=data, received=received)
        updates = _FIT.result("client_work", self.client_work, given)
        name = "client_to_server_aggregation"
        aggregates = _FIT.result(name, self.client_to_server_aggregation, updates)
        given = struct(kept=kept, aggregates=aggregates)
        result = _FIT.result("server_result", self.server_result, given)
        _FIT.require_same("server_result", self.type.result, result)
        _require_at("server_prepare", self.server_prepare, SERVER)
        _require_no("server_to_client_broadcast", self.server_to_client_broadcast, Flow.UP)
        _require_at("client_work", self.client_work, CLIENTS)
        _require_no("client_to_server_aggregation", self.client_to_server_aggregation, Flow.DOWN)
        _require_at("server_result", self.server_result, SERVER)

    @property
    def programs(self) -> dict[str, Node]:
        """The programs by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "type"}

    def __str__(self) -> str:
        return "\n".join(f"{name:<29}{show(program.type)}" for name, program in self.programs.items())


def _operators(program: Node) -> list[Intrinsic]:
    return [n for n in walk(program) if isinstance(n, Intrinsic) and isinstance(n.type.result, Federated)]


def _require_at(name: str, program: Node, placement: PlacementLiteral) -> None:
    """Refuses operators that move values, or are at another placement."""
    for operator in _operators(program):
        result = operator.type.result
        assert isinstance(result, Federated)
        if TABLE[operator.name].flow is not Flow.NOWHERE or result.placement != placement:
            what = f"{operator.name} at {result.placement}"
            raise _FIT.error(f"{name} goes elsewhere", what, f"operators that stay at {placement}")


def _require_no(name: str, program: Node, flow: Flow) -> None:
    """Refuses operators that move values the other way."""
    way = "down" if flow is Flow.DOWN else "up"
    for operator in _operators(program):
        if TABLE[operator.name].flow is flow:
            raise _FIT.error(
                f"{name} moves values {way}", operator.name, f"no operator that moves values {way}"
            )
