# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What crosses between clients and server, read off a program before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from foedus.intrinsics import TABLE, Flow
from foedus.ir import Block, Call, Intrinsic, Lambda, Node
from foedus.passes import expand, inline
from foedus.types import (
    CLIENTS,
    SERVER,
    STRING,
    Federated,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
    int64,
)

PROGRAM = "PROGRAM"
"""Where constants come from."""


class Protection(Enum):
    """How the receiver gets the values that cross."""

    NONE = "as they are"
    """Each value as it is."""
    SUM = "only as their sum"
    """Only added up, where the runtime adds before the server's code sees anything."""
    SECURE_SUM = "only as their sum, securely"
    """Only added up, and nobody sees a single one, the runtime included."""
    HIDDEN = "not at all, securely"
    """The server answers to them without learning them."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One value a client that moves between placements in a run.

    Args:
        operator: The operator that moves it.
        what: Which of the operator's messages it is.
        type: The type of one message.
        origin: The placement it leaves, or ``PROGRAM``.
        destination: The placement it reaches.
        bytes_per_client: The size of one message; None where the type leaves it open.
        protection: How the receiver gets it.
    """

    operator: str
    what: str
    type: Type
    origin: str
    destination: str
    bytes_per_client: int | None
    protection: Protection


def bytes_of(type_: Type) -> int | None:
    """The bytes of a value of a type; None where it leaves them open (strings, sequences, unknown sizes)."""
    match type_:
        case Tensor(dtype, shape):
            if shape is None or None in shape or dtype == STRING:
                return None
            total = dtype.itemsize
            for size in shape:
                total *= size or 0
            return total
        case Struct(fields):
            sizes = [bytes_of(t) for _, t in fields]
            return None if None in sizes else sum(size or 0 for size in sizes)
        case _:
            return None


def total_weight_type(weight: Tensor) -> Tensor:
    """The type in which weights are added up: 64-bit for whole numbers, their own for others."""
    return int64 if weight.dtype.kind in "iu" else weight


def crossings(program: Node) -> tuple[Crossing, ...]:
    """Everything that crosses between placements when a program runs, in order.

    Args:
        program: A closed program of function type.

    Returns:
        One entry a message of an operator, but for messages without content; equal to what the reference
        runtime logs.
    """
    return crossings_of(flat_form(program))


def flat_form(program: Node) -> Lambda:
    """The program as explanations read it: flat, with nothing left out, as the reference runtime runs it."""
    return inline(expand(program))


def crossings_of(flat: Lambda) -> tuple[Crossing, ...]:
    """Everything that crosses in a flat program; see ``crossings``."""
    assert isinstance(flat.body, Block)
    found: list[Crossing] = []
    for _, node in flat.body.bindings:
        if isinstance(node, Call) and isinstance(node.function, Intrinsic):
            found += [crossing for crossing in _of_call(node.function) if crossing.bytes_per_client != 0]
    return tuple(found)


def _of_call(operator: Intrinsic) -> list[Crossing]:
    name, result = operator.name, operator.type.result
    flow = TABLE[name].flow
    if not isinstance(result, Federated):
        return []
    match flow:
        case Flow.NOWHERE:
            constant = name == "federated_value" and result.placement != SERVER
            return [_crossing(operator, "constant", result.member, PROGRAM)] if constant else []
        case Flow.DOWN if name in ("federated_select", "federated_secure_select"):
            return _of_select(operator)
        case Flow.DOWN:
            what = "key" if name == "federated_key" else "value"
            origin = _source(operator) if name == "federated_broadcast" else SERVER
            return [_crossing(operator, what, result.member, origin.name)]
        case Flow.UP:
            return _ups(operator)
        case _:
            assert_never(flow)


def _first(operator: Intrinsic) -> Federated:
    argument = operator.type.parameter
    first = argument.fields[0][1] if isinstance(argument, Struct) else argument
    assert isinstance(first, Federated)
    return first


def _source(operator: Intrinsic) -> PlacementLiteral:
    return _first(operator).placement


def _crossing(
    operator: Intrinsic, what: str, type_: Type, origin: str, protection: Protection = Protection.NONE
) -> Crossing:
    result = operator.type.result
    assert isinstance(result, Federated)
    destination = result.placement.name
    return Crossing(operator.name, what, type_, origin, destination, bytes_of(type_), protection)


def _of_select(operator: Intrinsic) -> list[Crossing]:
    """The keys go up, and one part a key comes down."""
    result, keys = operator.type.result, _first(operator).member
    assert isinstance(result, Federated)
    assert isinstance(result.member, Sequence)
    assert isinstance(keys, Tensor)
    secure = operator.name == "federated_secure_select"
    hidden = Protection.HIDDEN if secure else Protection.NONE
    part, number = bytes_of(result.member.element), (keys.shape or (0,))[0] or 0
    size = None if part is None else part * number
    return [
        Crossing(operator.name, "keys", keys, CLIENTS.name, SERVER.name, bytes_of(keys), hidden),
        Crossing(operator.name, "parts", result.member, SERVER.name, CLIENTS.name, size, Protection.NONE),
    ]


def _ups(operator: Intrinsic) -> list[Crossing]:
    name, first = operator.name, _first(operator)
    origin = first.placement.name
    match name:
        case "federated_sum":
            return [_crossing(operator, "value", first.member, origin, Protection.SUM)]
        case "federated_mean":
            return [
                _crossing(operator, "value", first.member, origin, Protection.SUM),
                _crossing(operator, "count", int64, origin, Protection.SUM),
            ]
        case "federated_weighted_mean":
            total = total_weight_type(_weight(operator))
            return [
                _crossing(operator, "weighted value", first.member, origin, Protection.SUM),
                _crossing(operator, "weight", total, origin, Protection.SUM),
            ]
        case _:
            secure = name.startswith("federated_secure")
            protection = Protection.SECURE_SUM if secure else Protection.NONE
            return [_crossing(operator, "value", first.member, origin, protection)]


def _weight(operator: Intrinsic) -> Tensor:
    argument = operator.type.parameter
    assert isinstance(argument, Struct)
    weight = argument.fields[1][1]
    assert isinstance(weight, Federated)
    assert isinstance(weight.member, Tensor)
    return weight.member
