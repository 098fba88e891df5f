# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The closed table of operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from foedus.intrinsics import _bodies as bodies
from foedus.intrinsics import _rules as rules
from foedus.types import CLIENTS, SERVER, Function, PlacementLiteral, Type

Rule: TypeAlias = Callable[[Type, PlacementLiteral | None], Type]
Body: TypeAlias = Callable[[Function], str]


class Flow(Enum):
    """Where an operator moves values."""

    NOWHERE = "nowhere"
    """It stays where its argument is."""
    DOWN = "down"
    """From the server, or a tier, to a placement below."""
    UP = "up"
    """To the server, or a tier, from a placement below."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operator.

    Args:
        name: Its name in the language and in programs' text.
        scheme: Its type scheme as people read it; the spec quotes it.
        flow: Where it moves values.
        rule: The result's type for an argument's type and the placement asked for, or an error. An operator
            without argument is given its result's type instead.
        placed: Whether the placement always prints, as in ``federated_value@CLIENTS``.
        nullary: Whether it takes no argument.
        body: For a derived operator: the text of a program that means the same, for its type.
        built_in: Whether runtimes and explanations know a derived operator themselves, as they must know
            every other
            one; where they do not, they replace it by its body.
    """

    name: str
    scheme: str
    flow: Flow
    rule: Rule
    placed: bool = False
    nullary: bool = False
    body: Body | None = None
    built_in: bool = True

    @property
    def usual(self) -> PlacementLiteral | None:
        """The placement that an operator moves values to if none is asked for; it does not print."""
        return {Flow.DOWN: CLIENTS, Flow.UP: SERVER, Flow.NOWHERE: None}[self.flow]


_AGGREGATE = "(<value={T}@P,zero=U,accumulate=(<U,T> -> U),merge=(<U,U> -> U),report=(U -> R)> -> R@Q)"
_SELECT = (
    "(<keys={int32[N]}@CLIENTS,max_key=int32@SERVER,server_value=S@SERVER,select_fn=(<S,int32> -> U)> "
    "-> {U*}@CLIENTS)"
)
_REDUCE = "({T}@P -> T@Q)"

TABLE: dict[str, Row] = {
    row.name: row
    for row in (
        Row("federated_value", "(T -> T@P)", Flow.NOWHERE, rules.value, placed=True),
        Row("federated_eval", "(( -> T) -> {T}@P)", Flow.NOWHERE, rules.evaluate, placed=True),
        Row("federated_broadcast", "(T@Q -> T@P)", Flow.DOWN, rules.broadcast),
        Row(
            "federated_key",
            "(<key=uint32[2]@SERVER,purpose=str> -> {uint32[2]}@CLIENTS)",
            Flow.DOWN,
            rules.key,
        ),
        Row("federated_map", "(<fn=(T -> U),value={T}@P> -> {U}@P)", Flow.NOWHERE, rules.map_),
        Row("federated_zip", "(<{A}@P,{B}@P,...> -> {<A,B,...>}@P)", Flow.NOWHERE, rules.zip_),
        Row("federated_aggregate", _AGGREGATE, Flow.UP, rules.aggregate),
        Row("federated_sum", _REDUCE, Flow.UP, rules.sum_, body=bodies.sum_),
        Row("federated_mean", _REDUCE, Flow.UP, rules.mean, body=bodies.mean),
        Row(
            "federated_weighted_mean",
            "(<value={T}@P,weight={W}@P> -> T@Q)",
            Flow.UP,
            rules.weighted_mean,
            body=bodies.weighted_mean,
        ),
        Row("federated_min", _REDUCE, Flow.UP, rules.extremum, body=bodies.minimum),
        Row("federated_max", _REDUCE, Flow.UP, rules.extremum, body=bodies.maximum),
        Row("federated_secure_sum", "(<value={T}@P,max_input=M> -> T@Q)", Flow.UP, rules.secure_sum),
        Row(
            "federated_secure_sum_bitwidth",
            "(<value={T}@P,bitwidth=M> -> T@Q)",
            Flow.UP,
            rules.secure_sum_bitwidth,
        ),
        Row(
            "federated_secure_modular_sum",
            "(<value={T}@P,modulus=M> -> T@Q)",
            Flow.UP,
            rules.secure_modular_sum,
        ),
        Row("federated_select", _SELECT, Flow.DOWN, rules.select),
        Row("federated_secure_select", _SELECT, Flow.DOWN, rules.select),
        Row("sequence_map", "(<fn=(T -> U),value=T*> -> U*)", Flow.NOWHERE, rules.sequence_map),
        Row(
            "sequence_reduce",
            "(<value=T*,zero=U,op=(<U,T> -> U)> -> U)",
            Flow.NOWHERE,
            rules.sequence_reduce,
        ),
        Row(
            "sequence_sum",
            "(T* -> T)",
            Flow.NOWHERE,
            rules.sequence_sum,
            body=bodies.sequence_sum,
            built_in=False,
        ),
        Row("generic_zero", "( -> T)", Flow.NOWHERE, rules.constant, nullary=True),
        Row("generic_lowest", "( -> T)", Flow.NOWHERE, rules.constant, nullary=True),
        Row("generic_highest", "( -> T)", Flow.NOWHERE, rules.constant, nullary=True),
        Row("generic_plus", "(<T,T> -> T)", Flow.NOWHERE, rules.of_pair),
        Row("generic_minimum", "(<T,T> -> T)", Flow.NOWHERE, rules.of_pair),
        Row("generic_maximum", "(<T,T> -> T)", Flow.NOWHERE, rules.of_pair),
        Row("generic_multiply", "(<T,W> -> T)", Flow.NOWHERE, rules.by_scalar),
        Row("generic_divide", "(<T,W> -> T)", Flow.NOWHERE, rules.by_scalar),
    )
}
"""Every operator of the language, by name."""


def result_type(name: str, argument: Type, placement: PlacementLiteral | None = None) -> Type:
    """The type of an operator's result.

    Args:
        name: A name in ``TABLE``.
        argument: The type of the argument; for an operator without argument the result's, which is checked.
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
