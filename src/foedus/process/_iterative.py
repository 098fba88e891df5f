# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes with other results than a step's: those that only go on, and those that estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from foedus.errors import CompositionError, place
from foedus.lang import Computation, computation, federated_apply
from foedus.process._state import first_parameter, path_elsewhere, require_same, require_state
from foedus.types import Federated, Struct, Type, difference, show, walk


@final
@dataclass(frozen=True, slots=True)
class IterativeProcess:
    """A pair of computations that is a ``Process`` but for what a step gives: the next state, and whatever
    else.

    It is for loops of one's own, and for what other frameworks call by this name. What is to be composed or
    aggregated with is a ``Process``, whose parts have names.

    Args:
        initialize: ``(... -> S@SERVER)``.
        next: ``(<S@SERVER, ...> -> S@SERVER)``, or ``(<S@SERVER, ...> -> <S@SERVER, ...>)`` with the state
            as the first field of what it returns.

    Raises:
        CompositionError: If the two do not fit together; the error names the first place where the states
            differ.
    """

    initialize: Computation
    next: Computation

    def __post_init__(self) -> None:
        taken = require_state(self.initialize, self.next)
        result = self.next.type.result
        if isinstance(result, Struct) and not result.fields:
            raise CompositionError(
                "next returns no state",
                found=result,
                expected=f"{taken}, or <{taken}, ...>",
                at=place(),
                hint="the state for the next step comes first in what it returns",
            )
        first = result.fields[0][1] if isinstance(result, Struct) else result
        require_same(taken, first, "The state that next returns is not the one that it takes")

    @property
    def state_type(self) -> Type:
        """The type of the state, as a member of the server: ``S``."""
        return _member(self.next)

    def __str__(self) -> str:
        return f"initialize: {show(self.initialize.type)}\nnext:       {show(self.next.type)}"


@final
@dataclass(frozen=True, slots=True)
class EstimationProcess:
    """A state that is taken on, and a computation that reads an estimate off it.

    For numbers that are learned beside something else, such as the norm to which updates are clipped.

    Args:
        initialize: ``(... -> S@SERVER)``.
        next: ``(<S@SERVER, ...> -> S@SERVER)``; it returns the next state and nothing else.
        report: ``(S@SERVER -> R)``, with everything in ``R`` at the server.

    Raises:
        CompositionError: If the three do not fit together; the error names the first place where the states
            differ.

    Example:
        >>> import foedus as fd
        >>> @fd.computation
        ... def initialize():
        ...     return fd.federated_value(1.0, fd.SERVER)
        >>> @fd.computation(fd.at_server(fd.float32), fd.at_clients(fd.float32))
        ... def next_(state, value):
        ...     return fd.federated_apply(lambda s, m: (s + m) / 2, (state, fd.federated_mean(value)))
        >>> @fd.computation(fd.at_server(fd.float32))
        ... def report(state):
        ...     return state
        >>> twice = EstimationProcess(initialize, next_, report).map(lambda estimate: 2 * estimate)
        >>> float(twice.report(twice.next(twice.initialize(), [2.0, 4.0])))
        4.0
    """

    initialize: Computation
    next: Computation
    report: Computation

    def __post_init__(self) -> None:
        taken = require_state(self.initialize, self.next)
        result = self.next.type.result
        if not isinstance(result, Federated):
            raise CompositionError(
                "next does not return the next state alone",
                found=result,
                expected=taken,
                at=place(),
                hint="it gives its estimate in report; a step that gives more belongs into a Process",
            )
        require_same(taken, result, "The state that next returns is not the one that it takes")
        self._require_report(taken)

    def _require_report(self, state: Federated) -> None:
        parameter = self.report.type.parameter
        if parameter is None:
            raise CompositionError(
                "report takes no state",
                found=self.report.type,
                expected=f"({state} -> R@SERVER)",
                at=place(),
                hint="an estimate is read off the state and nothing else",
            )
        require_same(
            parameter,
            state,
            "The state that next takes is not the one that report takes",
            why="report takes the state and nothing else, so the types must be the same",
        )
        path = path_elsewhere(self.report.type.result)
        if path is not None:
            raise CompositionError(
                "report does not return an estimate at the server",
                found=self.report.type.result,
                expected="R@SERVER",
                at=place(f"{path} of the estimate" if path else "the estimate"),
                hint="the state is at the server, and so is what is read off it",
            )

    @property
    def state_type(self) -> Type:
        """The type of the state, as a member of the server: ``S``."""
        return _member(self.next)

    @property
    def report_type(self) -> Type:
        """The type of the estimate."""
        return self.report.type.result

    def map(self, fn: Any) -> EstimationProcess:
        """The same process with something made of its estimate.

        Args:
            fn: A function of the estimate, as ``federated_apply`` takes it; or a computation of the placed
                estimate, ``(R@SERVER -> T@SERVER)``.

        Returns:
            A process with the same ``initialize`` and ``next`` whose ``report`` returns what the function
            makes of the estimate.

        Raises:
            CompositionError: If a computation does not take the estimate, or returns something that is not
                at the server.
        """
        report, is_placed = self.report, False
        if isinstance(fn, Computation):
            parameter = fn.type.parameter
            is_placed = parameter is not None and any(isinstance(t, Federated) for t in walk(parameter))
        if is_placed:
            _require_takes(fn, self.report_type)

        @computation(report.type.parameter)
        def mapped(state: Any) -> Any:
            estimate = report(state)
            return fn(estimate) if is_placed else federated_apply(fn, estimate)

        return EstimationProcess(self.initialize, self.next, mapped)

    def __str__(self) -> str:
        parts = {"initialize": self.initialize, "next": self.next, "report": self.report}
        return "\n".join(f"{f'{name}:':<11} {show(part.type)}" for name, part in parts.items())


def _member(next_: Computation) -> Type:
    state = first_parameter(next_)
    assert isinstance(state, Federated)
    return state.member


def _require_takes(fn: Computation, estimate: Type) -> None:
    assert fn.type.parameter is not None
    found = difference(fn.type.parameter, estimate)
    if found is not None:
        raise CompositionError(
            f"{fn.name!r} does not take the estimate that report returns",
            found=found.found,
            expected=found.expected,
            at=place(f"{found.path} of the estimate" if found.path else "the estimate"),
            hint="give a function of what report returns",
        )
