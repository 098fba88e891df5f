# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What crosses between clients and server, read off a program before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from foedus.intrinsics import TABLE, Flow
from foedus.ir import Block, Call, Intrinsic, Node
from foedus.passes import inline
from foedus.types import (
    CLIENTS,
    KEY,
    SERVER,
    STRING,
    Federated,
    Struct,
    Tensor,
    Type,
    int64,
    show,
)

PROGRAM = "PROGRAM"
"""Where constants come from."""


class Protection(Enum):
    """How the receiver gets the values that cross."""

    NONE = "as they are"
    """Each value as it is."""
    SUM = "only as their sum"
    """Only added up, where the runtime adds before the server's code sees anything."""


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
    body = inline(program).body
    assert isinstance(body, Block)
    found: list[Crossing] = []
    for _, node in body.bindings:
        if isinstance(node, Call) and isinstance(node.function, Intrinsic):
            found += [crossing for crossing in _of_call(node.function) if crossing.bytes_per_client != 0]
    return tuple(found)


def _of_call(operator: Intrinsic) -> list[Crossing]:
    name, result = operator.name, operator.type.result
    assert isinstance(result, Federated)
    flow = TABLE[name].flow
    match flow:
        case Flow.NOWHERE:
            constant = name == "federated_value" and result.placement == CLIENTS
            return [_down(name, "constant", result.member, PROGRAM)] if constant else []
        case Flow.DOWN:
            what = "key" if result.member == KEY and name == "federated_key" else "value"
            return [_down(name, what, result.member, SERVER.name)]
        case Flow.UP:
            return _ups(operator)
        case _:
            assert_never(flow)


def _down(name: str, what: str, type_: Type, origin: str) -> Crossing:
    return Crossing(name, what, type_, origin, CLIENTS.name, bytes_of(type_), Protection.NONE)


def _up(name: str, what: str, type_: Type, protection: Protection) -> Crossing:
    return Crossing(name, what, type_, CLIENTS.name, SERVER.name, bytes_of(type_), protection)


def _ups(operator: Intrinsic) -> list[Crossing]:
    name, argument = operator.name, operator.type.parameter
    value = argument.fields[0][1] if isinstance(argument, Struct) else argument
    assert isinstance(value, Federated)
    member = value.member
    if name == "federated_sum":
        return [_up(name, "value", member, Protection.SUM)]
    if name == "federated_mean":
        return [_up(name, "value", member, Protection.SUM), _up(name, "count", int64, Protection.SUM)]
    if name == "federated_weighted_mean":
        weight = argument.fields[1][1] if isinstance(argument, Struct) else argument
        assert isinstance(weight, Federated)
        assert isinstance(weight.member, Tensor)
        total = total_weight_type(weight.member)
        return [
            _up(name, "weighted value", member, Protection.SUM),
            _up(name, "weight", total, Protection.SUM),
        ]
    return [_up(name, "value", member, Protection.NONE)]


def short(type_: Type, most: int = 60) -> str:
    """A type's text, cut in the middle where it is long."""
    text = show(type_)
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 3 :]}"
