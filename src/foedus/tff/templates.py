# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.templates``: processes as TFF has them, checked when they are built."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from foedus import process
from foedus.errors import CompositionError
from foedus.lang import program
from foedus.tff._computations import Computation
from foedus.tff.types import FederatedType, StructType, Type
from foedus.types import CLIENTS, SERVER

__all__ = [
    "AggregationNotFederatedError",
    "AggregationPlacementError",
    "AggregationProcess",
    "AggregationValueTypeMismatchError",
    "EstimateNotAssignableError",
    "EstimationProcess",
    "IterativeProcess",
    "MeasuredProcess",
    "MeasuredProcessOutput",
    "TemplateInitFnParamNotEmptyError",
    "TemplateNextFnNumArgsError",
    "TemplateNotFederatedError",
    "TemplateNotMeasuredProcessOutputError",
    "TemplatePlacementError",
    "TemplateStateNotAssignableError",
    "chain_measured_processes",
    "concatenate_measured_processes",
]


class TemplateInitFnParamNotEmptyError(TypeError):
    """``initialize`` takes an argument."""


class TemplateStateNotAssignableError(TypeError):
    """A state is not the one that ``next`` takes."""


class TemplateNotMeasuredProcessOutputError(TypeError):
    """``next`` does not return a state, a result and measurements."""


class TemplateNextFnNumArgsError(TypeError):
    """``next`` takes another number of arguments."""


class TemplateNotFederatedError(TypeError):
    """Something that should be placed is not."""


class TemplatePlacementError(TypeError):
    """Something is at another placement than it should be."""


class AggregationNotFederatedError(TypeError):
    """An aggregation does not take or give placed values."""


class AggregationPlacementError(TypeError):
    """An aggregation does not go from the clients to the server."""


class AggregationValueTypeMismatchError(TypeError):
    """An aggregation gives another type than it takes."""


class EstimateNotAssignableError(TypeError):
    """An estimation process does not go on with its own state."""


class MeasuredProcessOutput(NamedTuple):
    """What a step of a measured process gives.

    Args:
        state: The next state.
        result: What the step is for.
        measurements: What is worth watching.
    """

    state: Any
    result: Any
    measurements: Any


def _parameters(next_fn: Computation) -> list[Type]:
    parameter = next_fn.type_signature.parameter
    if parameter is None:
        raise TemplateNextFnNumArgsError(
            f"The `next_fn` must take the state, and takes nothing: {next_fn.type_signature}"
        )
    if isinstance(parameter, StructType) and len(parameter):
        return [t for _, t in parameter.items()]
    return [parameter]


class IterativeProcess:
    """A computation that makes a state, and one that takes it on.

    Args:
        initialize_fn: ``( -> S)``.
        next_fn: ``(<S, ...> -> S)`` or ``(<S, ...> -> <S, ...>)``.
        next_is_multi_arg: Not needed; it is seen from the type.

    Raises:
        TemplateInitFnParamNotEmptyError: If ``initialize_fn`` takes an argument.
        TemplateStateNotAssignableError: If the two do not fit together.
    """

    def __init__(
        self, initialize_fn: Computation, next_fn: Computation, next_is_multi_arg: bool | None = None
    ) -> None:
        for name, given in (("initialize_fn", initialize_fn), ("next_fn", next_fn)):
            if not isinstance(given, Computation):
                raise TypeError(f"Expected `{name}` to be a tff.Computation, found {type(given)}.")
        if initialize_fn.type_signature.parameter is not None:
            raise TemplateInitFnParamNotEmptyError(
                "Expected `initialize_fn` to take no argument, "
                f"found type {initialize_fn.type_signature.parameter}."
            )
        state = initialize_fn.type_signature.result
        taken = _parameters(next_fn)[0]
        if not taken.is_assignable_from(state) and not _parameters_whole(next_fn, state):
            raise TemplateStateNotAssignableError(
                f"The state that `initialize_fn` returns is not the one that `next_fn` takes: {state} is not "
                f"assignable to {taken}."
            )
        result = next_fn.type_signature.result
        first = result[0] if isinstance(result, StructType) and len(result) else result
        if not state.is_assignable_from(first) and not state.is_assignable_from(result):
            raise TemplateStateNotAssignableError(
                f"The state that `next_fn` returns is not the one that it takes: {first} is not assignable "
                f"to {state}."
            )
        self._initialize = initialize_fn
        self._next = next_fn

    @property
    def initialize(self) -> Computation:
        """Makes the first state."""
        return self._initialize

    @property
    def next(self) -> Computation:
        """Takes the state on."""
        return self._next

    @property
    def state_type(self) -> Type:
        """The type of the state."""
        return self._initialize.type_signature.result


def _parameters_whole(next_fn: Computation, state: Type) -> bool:
    return next_fn.type_signature.parameter.is_assignable_from(state)


class MeasuredProcess(IterativeProcess):
    """A process whose steps give a ``MeasuredProcessOutput``.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER, ...> -> <state=S@SERVER,result=R,measurements=M>)``.
        next_is_multi_arg: Not needed.

    Raises:
        TemplateNotMeasuredProcessOutputError: If ``next_fn`` returns something else.
    """

    def __init__(
        self, initialize_fn: Computation, next_fn: Computation, next_is_multi_arg: bool | None = None
    ) -> None:
        super().__init__(initialize_fn, next_fn, next_is_multi_arg)
        result = next_fn.type_signature.result
        names = result.fields() if isinstance(result, StructType) else None
        if names != list(MeasuredProcessOutput._fields):
            raise TemplateNotMeasuredProcessOutputError(
                "Expected `next_fn` to return a MeasuredProcessOutput of state, result and measurements, "
                f"found {result}."
            )


class AggregationProcess(MeasuredProcess):
    """A measured process from a value at the clients to one at the server.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,{V}@CLIENTS> -> <state=S@SERVER,result=R@SERVER,measurements=M@SERVER>)``, or
            with ``{W}@CLIENTS`` for weights after the value.

    Raises:
        AggregationNotFederatedError: If something is not placed.
        AggregationPlacementError: If something is elsewhere.
    """

    def __init__(self, initialize_fn: Computation, next_fn: Computation) -> None:
        super().__init__(initialize_fn, next_fn)
        parameters = _parameters(next_fn)
        if len(parameters) not in (2, 3):
            raise TemplateNextFnNumArgsError(
                f"Expected `next_fn` to take a state, a value and perhaps a weight, found {len(parameters)}: "
                f"{next_fn.type_signature}."
            )
        result = next_fn.type_signature.result
        wanted = [(p, CLIENTS) for p in parameters[1:]] + [(result[1], SERVER), (result[2], SERVER)]
        for found, placement in [(parameters[0], SERVER), *wanted]:
            if not isinstance(found, FederatedType):
                raise AggregationNotFederatedError(
                    f"Expected a type at {placement}, found {found} in {next_fn.type_signature}."
                )
            if found.placement != placement:
                raise AggregationPlacementError(
                    f"Expected a type at {placement}, found {found} in {next_fn.type_signature}."
                )

    @property
    def is_weighted(self) -> bool:
        """Whether it takes weights."""
        return len(_parameters(self.next)) == 3


class EstimationProcess(IterativeProcess):
    """A state that is taken on, and a computation that reads an estimate off it.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER, ...> -> S@SERVER)``.
        report_fn: ``(S@SERVER -> R)``.
        next_is_multi_arg: Not needed.

    Raises:
        EstimateNotAssignableError: If ``report_fn`` does not take the state.
    """

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        report_fn: Computation,
        next_is_multi_arg: bool | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn, next_is_multi_arg)
        parameter = report_fn.type_signature.parameter
        if parameter is None or not parameter.is_assignable_from(self.state_type):
            raise EstimateNotAssignableError(
                f"Expected `report_fn` to take the state {self.state_type}, found {parameter}."
            )
        self._report = report_fn

    @property
    def report(self) -> Computation:
        """Reads the estimate off a state."""
        return self._report

    def map(self, map_fn: Callable[..., Any]) -> EstimationProcess:
        """The process whose estimate is a function of this one's.

        Args:
            map_fn: From the estimate at the server to another.
        """
        ours = process.EstimationProcess(self.initialize.foedus, self.next.foedus, self.report.foedus).map(
            map_fn
        )
        return EstimationProcess(self.initialize, self.next, Computation(ours.report))


def _composed(
    measured_processes: Mapping[str, MeasuredProcess],
    compose: Callable[[Mapping[str, process.Process]], process.Process],
) -> MeasuredProcess:
    try:
        parts = OrderedDict(
            (name, process.Process(part.initialize.foedus, part.next.foedus))
            for name, part in measured_processes.items()
        )
        made = compose(parts)
    except CompositionError as error:
        raise TypeError(str(error)) from error
    return MeasuredProcess(Computation(made.initialize), Computation(made.next))


def chain_measured_processes(measured_processes: Mapping[str, MeasuredProcess]) -> MeasuredProcess:
    """Measured processes in series: each takes the result of the one before it.

    Args:
        measured_processes: Processes by name, in order.
    """
    return _composed(measured_processes, process.chain)


def concatenate_measured_processes(measured_processes: Mapping[str, MeasuredProcess]) -> MeasuredProcess:
    """Measured processes side by side, each with a value of its own.

    Args:
        measured_processes: Processes by name, in order.
    """
    return _composed(measured_processes, process.concatenate)


def computation(*specs: Any) -> Any:
    """As ``foedus.lang.program``, with TFF's face; for the modules of this package."""

    def decorate(fn: Callable[..., Any]) -> Computation:
        return Computation(cast("Any", program(*specs)(fn) if specs else program(fn)))

    return decorate
