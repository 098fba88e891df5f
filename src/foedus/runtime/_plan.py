# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The local runtime's plan: which calls run at the server and which at clients, and in which pass.

A value's level is the number of aggregations before it. Everything at clients of one level runs in one pass
over the clients, and everything at the server of one level in one call before that pass; so a program of
``k`` levels takes ``k`` passes and ``k + 1`` calls at the server, however many clients there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from foedus.errors import UnsupportedError, place
from foedus.intrinsics import TABLE, Flow
from foedus.ir import (
    Block,
    Call,
    Intrinsic,
    Literal,
    Node,
    Record,
    Selection,
    free_names,
    value_of,
)
from foedus.passes import call_dominant
from foedus.types import CLIENTS, Federated, Struct, Type


@dataclass(frozen=True)
class KeyRequest:
    """One ``federated_key``: the server's key and the purpose."""

    name: str
    key: Node
    purpose: str


@dataclass
class Level:
    """What runs between two aggregations.

    Args:
        server: Calls at the server, or placed nowhere, before the pass.
        keys: Keys to be derived for each client.
        clients: Calls at clients.
        reductions: Aggregations of the pass, whose results the next level has.
        server_outputs: Names of server values that something later needs.
        client_outputs: Names of client values that a later level or the result needs.
    """

    server: list[tuple[str, Call]] = field(default_factory=list)
    keys: list[KeyRequest] = field(default_factory=list)
    clients: list[tuple[str, Call]] = field(default_factory=list)
    reductions: list[tuple[str, Call]] = field(default_factory=list)
    server_outputs: list[str] = field(default_factory=list)
    client_outputs: list[str] = field(default_factory=list)

    @property
    def has_pass(self) -> bool:
        """Whether anything is done at clients."""
        return bool(self.reductions or self.client_outputs)


@dataclass(frozen=True, eq=False)
class Plan:
    """A program cut into levels.

    Args:
        parameter: The name of the argument, None where there is none.
        parameter_type: Its type.
        levels: The levels in order.
        result: The result, made of names.
        result_type: Its type.
    """

    parameter: str | None
    parameter_type: Type | None
    levels: list[Level]
    result: Node
    result_type: Type


def _is_at_clients(type_: Type) -> bool:
    return isinstance(type_, Federated) and type_.placement == CLIENTS


def is_reduction(node: Call) -> bool:
    """Whether a call moves values from clients to the server."""
    return isinstance(node.function, Intrinsic) and TABLE[node.function.name].flow is Flow.UP


def operator_of(node: Call) -> str | None:
    """The name of the operator that is called, None for a leaf."""
    return node.function.name if isinstance(node.function, Intrinsic) else None


def fields_of(argument: Node | None) -> list[Node]:
    """The nodes of a struct's fields."""
    assert argument is not None
    if isinstance(argument, Record):
        return [child for _, child in argument.fields]
    assert isinstance(argument.type, Struct)
    return [Selection(argument, i) for i in range(len(argument.type.fields))]


def plan(program: Node) -> Plan:
    """Cuts a program into levels.

    Args:
        program: A closed program of function type.

    Returns:
        The plan.

    Raises:
        UnsupportedError: If the purpose of a key is computed.
    """
    flat = call_dominant(program)
    assert isinstance(flat.body, Block)
    levels: dict[str, int] = {}
    found: list[Level] = [Level()]
    for name, node in flat.body.bindings:
        assert isinstance(node, Call)
        level = max((levels.get(n, 0) for n in free_names(node)), default=0)
        levels[name] = level + 1 if is_reduction(node) else level
        while len(found) <= levels[name]:
            found.append(Level())
        _put(found[level], name, node)
    cut = Plan(flat.parameter, flat.parameter_type, found, flat.body.result, flat.body.result.type)
    _find_outputs(cut)
    return cut


def _put(level: Level, name: str, node: Call) -> None:
    if is_reduction(node):
        level.reductions.append((name, node))
    elif operator_of(node) == "federated_key":
        key, purpose = fields_of(node.argument)
        if not isinstance(purpose, Literal):
            raise UnsupportedError("The purpose of a key must be a constant", at=place())
        level.keys.append(KeyRequest(name, key, str(value_of(purpose)[()])))
    elif _is_at_clients(node.type):
        level.clients.append((name, node))
    else:
        level.server.append((name, node))


def _find_outputs(cut: Plan) -> None:
    """Fills in which values must outlive the call that computes them."""
    last = len(cut.levels)
    by_clients: set[str] = set()
    latest: dict[str, int] = dict.fromkeys(free_names(cut.result), last)
    for i, level in enumerate(cut.levels):
        for _, node in level.clients + level.reductions:
            by_clients |= free_names(node)
        for _, node in level.server + level.clients + level.reductions:
            latest |= {name: max(latest.get(name, 0), i) for name in free_names(node)}
        for request in level.keys:
            latest |= dict.fromkeys(free_names(request.key), last)
    for i, level in enumerate(cut.levels):
        level.server_outputs = [
            name for name, _ in level.server if latest.get(name, -1) > i or name in by_clients
        ]
        level.client_outputs = [name for name, _ in level.clients if latest.get(name, -1) > i]
