# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The closed table of operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from foedus.intrinsics import _rules as rules
from foedus.types import PlacementLiteral, Type

Rule: TypeAlias = Callable[[Type, PlacementLiteral | None], Type]


class Flow(Enum):
    """Where an operator moves values."""

    NOWHERE = "nowhere"
    """It stays where its argument is."""
    DOWN = "down"
    """From the server to clients."""
    UP = "up"
    """From clients to the server."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operator.

    Args:
        name: Its name in the language and in programs' text.
        scheme: Its type scheme as people read it; the spec quotes it.
        flow: Where it moves values.
        rule: The result's type for an argument's type and the placement asked for, or an error.
        placed: Whether the placement is part of the operator, as in ``federated_value@CLIENTS``.
    """

    name: str
    scheme: str
    flow: Flow
    rule: Rule
    placed: bool = False


TABLE: dict[str, Row] = {
    row.name: row
    for row in (
        Row("federated_value", "(T -> T@P)", Flow.NOWHERE, rules.value, placed=True),
        Row("federated_eval", "(( -> T) -> {T}@P)", Flow.NOWHERE, rules.evaluate, placed=True),
        Row("federated_broadcast", "(T@SERVER -> T@CLIENTS)", Flow.DOWN, rules.broadcast),
        Row(
            "federated_key",
            "(<key=uint32[2]@SERVER,purpose=str> -> {uint32[2]}@CLIENTS)",
            Flow.DOWN,
            rules.key,
        ),
        Row("federated_map", "(<fn=(T -> U),value={T}@P> -> {U}@P)", Flow.NOWHERE, rules.map_),
        Row("federated_zip", "(<{A}@P,{B}@P,...> -> {<A,B,...>}@P)", Flow.NOWHERE, rules.zip_),
        Row(
            "federated_aggregate",
            "(<value={T}@CLIENTS,zero=U,accumulate=(<U,T> -> U),merge=(<U,U> -> U),report=(U -> R)>"
            " -> R@SERVER)",
            Flow.UP,
            rules.aggregate,
        ),
        Row("federated_sum", "({T}@CLIENTS -> T@SERVER)", Flow.UP, rules.sum_),
        Row("federated_mean", "({T}@CLIENTS -> T@SERVER)", Flow.UP, rules.mean),
        Row(
            "federated_weighted_mean",
            "(<value={T}@CLIENTS,weight={W}@CLIENTS> -> T@SERVER)",
            Flow.UP,
            rules.weighted_mean,
        ),
        Row("federated_min", "({T}@CLIENTS -> T@SERVER)", Flow.UP, rules.extremum),
        Row("federated_max", "({T}@CLIENTS -> T@SERVER)", Flow.UP, rules.extremum),
    )
}
"""Every operator of the language, by name."""


def result_type(name: str, argument: Type, placement: PlacementLiteral | None = None) -> Type:
    """The type of an operator's result.

    Args:
        name: A name in ``TABLE``.
        argument: The type of the argument.
        placement: The placement asked for, for the operators that have one.

    Returns:
        The result's type.

    Raises:
        TypeMismatchError: If the operator takes no such argument.
    """
    try:
        return TABLE[name].rule(argument, placement)
    except rules.RuleError as error:
        raise error.located(name) from error
