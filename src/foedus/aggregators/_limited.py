# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an aggregator does with the values whose norm is too large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from foedus.aggregators._aggregator import Aggregator, require_floats
from foedus.errors import ArgumentError, CompositionError, place
from foedus.lang import (
    computation,
    federated_broadcast,
    federated_map,
    federated_value,
    federated_zip,
)
from foedus.process import EstimationProcess, Output, Process
from foedus.types import (
    CLIENTS,
    EMPTY,
    SERVER,
    Struct,
    Type,
    at_clients,
    at_server,
    difference,
    float32,
    int32,
    show,
)


class Treated(NamedTuple):
    """What became of one client's value.

    Args:
        value: The value to aggregate.
        weight: Its weight.
        norm: float32, the norm that the client's own value had.
        exceeds: int32, one if that norm was too large, else zero.
    """

    value: Any
    weight: Any
    norm: Any
    exceeds: Any


@final
@dataclass(frozen=True, slots=True)
class Limited(Aggregator):
    """Treats values whose norm is too large before another aggregator gets them.

    Args:
        inner: What aggregates.
        norm: Says how large a norm may be.
        count_sum: How the clients with a larger norm are counted.
        treat: From a value, its weight and the limit to ``Treated``, as local code.
        what: What it does, for errors.
        counted: What their number is called in the measurements.
    """

    inner: Aggregator
    norm: EstimationProcess
    count_sum: Aggregator
    treat: Callable[[Any, Any, Any], Treated]
    what: str
    counted: str

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        require_floats(value_type, self.what)
        norm, counted, treat = self.norm, self.counted, self.treat
        inner = self.inner.create(value_type, weight_type)
        count = self.count_sum.create(int32)

        @computation
        def initialize() -> Any:
            states = {"inner": inner.initialize(), "norm": norm.initialize(), counted: count.initialize()}
            return federated_zip(states)

        @computation(
            at_server(initialize.type.result.member), at_clients(value_type), at_clients(weight_type)
        )
        def next_(state: Any, value: Any, weight: Any) -> Any:
            limit = norm.report(state.norm)
            treated = federated_map(treat, (value, weight, federated_broadcast(limit)))
            done = inner.next(state.inner, treated.value, treated.weight)
            exceeding = count.next(state[counted], treated.exceeds, federated_value((), CLIENTS))
            learned = norm.next(state.norm, treated.norm)
            return Output(
                federated_zip({"inner": done.state, "norm": learned, counted: exceeding.state}),
                done.result,
                federated_zip({"inner": done.measurements, "norm": limit, counted: exceeding.result}),
            )

        return Process(initialize, next_)


def limit_of(norm: float | EstimationProcess, what: str) -> EstimationProcess:
    """An estimation process of what is given for a norm.

    Args:
        norm: A number, or such a process.
        what: The function that it was given to.

    Raises:
        ArgumentError: If it is neither, or the number is negative or NaN.
        CompositionError: If the process does not learn from norms, or does not report one.
    """
    if isinstance(norm, EstimationProcess):
        _require_norms(norm, what)
        return norm
    if isinstance(norm, bool) or not isinstance(norm, float | int) or not norm >= 0:
        raise ArgumentError(
            "A norm is a number of at least zero",
            found=repr(norm),
            expected="a number, or an estimation process such as quantile(0.8, initial=1.0)",
            at=place(f"the norm of {what}"),
        )
    return _constant(float(norm))


def _require_norms(norm: EstimationProcess, what: str) -> None:
    state = at_server(norm.state_type)
    expected = Struct((("state", state), ("value", at_clients(float32))))
    found = norm.next.type.parameter
    if not isinstance(found, Struct) or difference(_unnamed(found), _unnamed(expected)) is not None:
        raise CompositionError(
            "The estimation process does not learn from the clients' norms",
            found=norm.next.type,
            expected=f"({show(expected)} -> {show(state)})",
            at=place(f"the norm of {what}"),
        )
    if difference(at_server(float32), norm.report_type) is not None:
        raise CompositionError(
            "The estimation process does not report a norm",
            found=norm.report_type,
            expected=at_server(float32),
            at=place(f"the norm of {what}"),
        )


def _unnamed(struct: Struct) -> Struct:
    return Struct(tuple((None, t) for _, t in struct.fields))


def _constant(norm: float) -> EstimationProcess:
    """The process that always reports one number and learns nothing."""

    @computation
    def initialize() -> Any:
        return federated_value((), SERVER)

    @computation(at_server(EMPTY), at_clients(float32))
    def next_(state: Any, value: Any) -> Any:
        return state

    @computation(at_server(EMPTY))
    def report(state: Any) -> Any:
        return federated_value(np.float32(norm), SERVER)

    return EstimationProcess(initialize, next_, report)
