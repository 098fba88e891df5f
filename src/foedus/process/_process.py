# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes: a state, and a step that takes it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, final

from foedus.errors import CompositionError, place
from foedus.lang import Computation
from foedus.types import Federated, Function, Struct, Type, difference, show


class Output(NamedTuple):
    """What one step of a process gives.

    Args:
        state: The next state.
        result: What the step is for.
        measurements: What is worth watching.
    """

    state: Any
    result: Any
    measurements: Any


@final
@dataclass(frozen=True, slots=True)
class Process:
    """A pair of computations: ``initialize`` makes a state, ``next`` takes it on.

    Aggregators, distributors, client work, finalisers, optimizers and learning algorithms are all processes;
    they differ in the types of ``next`` alone.

    Args:
        initialize: ``(... -> S@SERVER)``.
        next: ``(<S@SERVER, ...> -> <state=S@SERVER, result=..., measurements=...>)``.

    Raises:
        CompositionError: If the two do not fit together; the error names the first place where the states
            differ.
    """

    initialize: Computation
    next: Computation

    def __post_init__(self) -> None:
        state = self.initialize.type.result
        if not isinstance(state, Federated):
            raise CompositionError(
                "initialize does not return a state at the server",
                found=state,
                expected="S@SERVER",
                at=place(),
                hint="return federated_value(..., SERVER) or federated_zip of the parts",
            )
        taken = self._first_parameter()
        _require(taken, state, "The state that initialize returns is not the one that next takes")
        result = self.next.type.result
        names = [name for name, _ in result.fields] if isinstance(result, Struct) else None
        if names != ["state", "result", "measurements"]:
            raise CompositionError(
                "next does not return a step",
                found=result,
                expected="<state=...,result=...,measurements=...>",
                at=place(),
                hint="return foedus.process.Output(state, result, measurements)",
            )
        assert isinstance(result, Struct)
        _require(taken, result.fields[0][1], "The state that next returns is not the one that it takes")

    def _first_parameter(self) -> Type:
        parameter = self.next.type.parameter
        if parameter is None:
            raise CompositionError(
                "next takes no state", found=self.next.type, expected="(<S@SERVER, ...> -> ...)", at=place()
            )
        if isinstance(parameter, Struct) and parameter.fields:
            return parameter.fields[0][1]
        return parameter

    @property
    def state_type(self) -> Type:
        """The type of the state, as a member of the server: ``S``."""
        state = self._first_parameter()
        assert isinstance(state, Federated)
        return state.member

    @property
    def result_type(self) -> Type:
        """The type of a step's result."""
        result = self.next.type.result
        assert isinstance(result, Struct)
        return result.fields[1][1]

    @property
    def type(self) -> tuple[Function, Function]:
        """The types of the two computations."""
        return self.initialize.type, self.next.type

    def __str__(self) -> str:
        return f"initialize: {show(self.initialize.type)}\nnext:       {show(self.next.type)}"


def _require(target: Type, source: Type, headline: str) -> None:
    found = difference(target, source)
    if found is not None:
        raise CompositionError(
            headline,
            found=found.found,
            expected=found.expected,
            at=place(f"{found.path} of the state" if found.path else "the state"),
        )
