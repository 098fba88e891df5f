# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes: a state, and a step that takes it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, final

from foedus.errors import CompositionError, place
from foedus.lang import Computation
from foedus.process._state import first_parameter, require_same, require_state
from foedus.types import Federated, Function, Struct, Type, show


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
    """A pair of computations: ``initialize`` makes a state at the server, ``next`` takes it on.

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
        taken = require_state(self.initialize, self.next)
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
        require_same(taken, result.fields[0][1], "The state that next returns is not the one that it takes")

    @property
    def state_type(self) -> Type:
        """The type of the state, as a member of the server: ``S``."""
        state = first_parameter(self.next)
        assert isinstance(state, Federated)
        return state.member

    @property
    def result_type(self) -> Type:
        """The type of a step's result."""
        result = self.next.type.result
        assert isinstance(result, Struct)
        return result.fields[1][1]

    @property
    def measurements_type(self) -> Type:
        """The type of a step's measurements."""
        result = self.next.type.result
        assert isinstance(result, Struct)
        return result.fields[2][1]

    @property
    def type(self) -> tuple[Function, Function]:
        """The types of the two computations."""
        return self.initialize.type, self.next.type

    def __str__(self) -> str:
        return f"initialize: {show(self.initialize.type)}\nnext:       {show(self.next.type)}"
