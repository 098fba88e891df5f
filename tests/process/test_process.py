# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes, iterative processes and estimation processes: what they check, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.errors import CompositionError, TracingError
from foedus.process import EstimationProcess, IterativeProcess, Output, Process

from .small_processes import nothing, one, scale, zero

each_runtime = pytest.mark.parametrize("make", [runtime.reference, runtime.local])
every_template = pytest.mark.parametrize(
    "template",
    [Process, IterativeProcess, lambda i, n: EstimationProcess(i, n, report)],
    ids=["", "iter", "est"],
)


@fd.computation(fd.at_server(fd.float32), fd.at_clients(fd.float32))
def approach(state: Any, value: Any) -> Any:
    return fd.federated_apply(lambda s, m: (s + m) / 2, (state, fd.federated_mean(value)))


@fd.computation(fd.at_server(fd.float32), fd.at_clients(fd.float32))
def approach_and_tell(state: Any, value: Any) -> Any:
    return approach(state, value), {"mean": fd.federated_mean(value)}


@fd.computation(fd.at_server(fd.float32))
def report(state: Any) -> Any:
    return fd.federated_apply(lambda s: {"norm": s, "twice": 2 * s}, state)


@fd.computation
def plain_state() -> Any:
    return np.int32(1)


@fd.computation
def state_at_clients() -> Any:
    return fd.federated_value(np.float32(1), fd.CLIENTS)


# All of them.


def test_types():
    assert (scale.state_type, str(scale.result_type)) == (fd.float32, "{float32}@CLIENTS")
    assert str(scale.measurements_type) == "float32@SERVER"
    assert scale.type == (scale.initialize.type, scale.next.type)
    assert str(scale).splitlines() == [
        "initialize: ( -> float32@SERVER)",
        f"next:       {scale.next.type}",
    ]


@every_template
def test_a_state_is_at_the_server(template: Any, refused: Any):
    with refused(
        CompositionError,
        """
        initialize does not return a state at the server
          found     int32
          expected  S@SERVER
          at        HERE
          hint      return federated_value(..., SERVER) or federated_zip of the parts
        """,
    ):
        template(plain_state, approach)
    with refused(
        CompositionError,
        """
        initialize does not return a state at the server
          found     float32@CLIENTS
          expected  S@SERVER
          at        HERE
          hint      members of other placements come and go between steps; what is kept is at the server
        """,
    ):
        template(state_at_clients, approach)


@every_template
def test_a_step_takes_the_state(template: Any, refused: Any):
    with refused(
        CompositionError,
        """
        next takes no state
          found     ( -> float32@SERVER)
          expected  (<float32@SERVER, ...> -> ...)
          at        HERE
          hint      its first argument is the state that initialize makes
        """,
    ):
        template(one, one)
    with refused(
        CompositionError,
        """
        The state that initialize returns is not the one that next takes
          found     int32
          expected  float32
          at        the state, HERE
          hint      every step takes what the one before it has left, so the types must be the same
        """,
    ):
        template(zero, approach)


@every_template
def test_the_state_of_a_step_is_that_of_the_next_one(template: Any, refused: Any):
    @fd.computation(fd.at_server(fd.float32), fd.at_clients(fd.int32))
    def changed(state: Any, value: Any) -> Any:
        whole = fd.federated_apply(lambda s: s.astype("int32"), state)
        return Output(whole, state, state) if template is Process else whole

    with refused(
        CompositionError,
        """
        The state that next returns is not the one that it takes
          found     int32
          expected  float32
          at        the state, HERE
          hint      every step takes what the one before it has left, so the types must be the same
        """,
    ):
        template(one, changed)


def test_the_path_inside_a_state_is_named(refused: Any):
    @fd.computation
    def initialize() -> Any:
        return fd.federated_value({"a": np.int32(0), "b": {"c": np.float64(0)}}, fd.SERVER)

    @fd.computation(fd.at_server(fd.to_type({"a": fd.int32, "b": {"c": fd.float32}})))
    def step(state: Any) -> Any:
        return state

    with refused(
        CompositionError,
        """
        The state that initialize returns is not the one that next takes
          found     float64
          expected  float32
          at        .b.c of the state, HERE
          hint      every step takes what the one before it has left, so the types must be the same
        """,
    ):
        IterativeProcess(initialize, step)


def test_a_step_of_a_process_has_three_parts(refused: Any):
    with refused(
        CompositionError,
        """
        next does not return a step
          found     float32@SERVER
          expected  <state=...,result=...,measurements=...>
          at        HERE
          hint      return foedus.process.Output(state, result, measurements)
        """,
    ):
        Process(one, approach)


# Iterative processes.


@each_runtime
@pytest.mark.parametrize("step", [approach, approach_and_tell], ids=lambda step: step.name)
def test_an_iterative_process_goes_on(make: Any, step: fd.Computation):
    process = IterativeProcess(one, step)
    with fd.use(make()):
        state = process.initialize()
        for _ in range(2):
            result = process.next(state, [3.0, 7.0])
            state = result if step is approach else result[0]
    assert float(state) == 4.0
    assert process.state_type == fd.float32
    assert str(process) == f"initialize: ( -> float32@SERVER)\nnext:       {step.type}"


def test_an_iterative_process_returns_a_state(refused: Any):
    @fd.computation(fd.at_server(fd.float32))
    def forget(state: Any) -> Any:
        return ()

    with refused(
        CompositionError,
        """
        next returns no state
          found     <>
          expected  float32@SERVER, or <float32@SERVER, ...>
          at        HERE
          hint      the state for the next step comes first in what it returns
        """,
    ):
        IterativeProcess(one, forget)


# Estimation processes.


@each_runtime
def test_an_estimation_process_reports_and_maps(make: Any):
    process = EstimationProcess(one, approach, report)
    summed = process.map(lambda estimate: estimate["norm"] + estimate["twice"])
    by_parts = process.map(lambda norm, twice: norm - twice)
    with fd.use(make()):
        state = summed.next(summed.initialize(), [3.0, 7.0])
        assert float(state) == 3.0
        assert {name: float(x) for name, x in process.report(state).items()} == {"norm": 3.0, "twice": 6.0}
        assert float(summed.report(state)) == 9.0
        assert float(by_parts.report(state)) == -3.0
        assert float(summed.map(lambda x: x / 9).report(state)) == 1.0
    assert (process.state_type, str(process.report_type)) == (
        fd.float32,
        "<norm=float32,twice=float32>@SERVER",
    )
    assert (summed.initialize, summed.next) == (process.initialize, process.next)
    assert str(process).splitlines() == [
        "initialize: ( -> float32@SERVER)",
        "next:       (<state=float32@SERVER,value={float32}@CLIENTS> -> float32@SERVER)",
        "report:     (float32@SERVER -> <norm=float32,twice=float32>@SERVER)",
    ]


def test_an_estimate_can_be_mapped_by_computations():
    process = EstimationProcess(one, approach, report)

    @fd.computation
    def of_any(norm: Any, twice: Any) -> Any:
        return norm + twice

    @fd.computation(fd.float32, fd.float32)
    def local(norm: Any, twice: Any) -> Any:
        return norm + twice

    @fd.computation(fd.at_server(fd.to_type({"norm": fd.float32, "twice": fd.float32})))
    def placed(estimate: Any) -> Any:
        return {"parts": estimate, "sum": fd.federated_apply(local, estimate)}

    assert float(process.map(of_any).report(2.0)) == 6.0
    assert float(process.map(local).report(2.0)) == 6.0
    assert float(process.map(placed).report(2.0)["sum"]) == 6.0
    assert (
        str(process.map(placed).report_type)
        == "<parts=<norm=float32,twice=float32>@SERVER,sum=float32@SERVER>"
    )
    assert float(process.map(placed).map(lambda parts, sum: sum - parts["norm"]).report(2.0)) == 4.0


def test_an_estimation_process_gives_its_state_alone(refused: Any):
    with refused(
        CompositionError,
        """
        next does not return the next state alone
          found     <float32@SERVER,<mean=float32@SERVER>>
          expected  float32@SERVER
          at        HERE
          hint      it gives its estimate in report; a step that gives more belongs into a Process
        """,
    ):
        EstimationProcess(one, approach_and_tell, report)


def test_a_report_takes_the_state(refused: Any):
    @fd.computation(fd.at_server(fd.int32))
    def of_integers(state: Any) -> Any:
        return state

    with refused(
        CompositionError,
        """
        The state that next takes is not the one that report takes
          found     float32
          expected  int32
          at        the state, HERE
          hint      report takes the state and nothing else, so the types must be the same
        """,
    ):
        EstimationProcess(one, approach, of_integers)
    with refused(
        CompositionError,
        """
        report takes no state
          found     ( -> <>@SERVER)
          expected  (float32@SERVER -> R@SERVER)
          at        HERE
          hint      an estimate is read off the state and nothing else
        """,
    ):
        EstimationProcess(one, approach, nothing)
    with refused(
        CompositionError,
        """
        The state that next takes is not the one that report takes
          found     float32@SERVER
          expected  <state=float32@SERVER,value={float32}@CLIENTS>
          at        the state, HERE
          hint      report takes the state and nothing else, so the types must be the same
        """,
    ):
        EstimationProcess(one, approach, approach)


def test_an_estimate_is_at_the_server(refused: Any):
    @fd.computation(fd.at_server(fd.float32))
    def sent(state: Any) -> Any:
        return {"here": state, "there": fd.federated_broadcast(state)}

    expected = """
        report does not return an estimate at the server
          found     <here=float32@SERVER,there=float32@CLIENTS>
          expected  R@SERVER
          at        .there of the estimate, HERE
          hint      the state is at the server, and so is what is read off it
        """
    with refused(CompositionError, expected):
        EstimationProcess(one, approach, sent)
    numbers = EstimationProcess(one, approach, fd.computation(fd.at_server(fd.float32))(lambda state: state))
    with refused(CompositionError, expected):
        numbers.map(sent)


def test_a_mapping_takes_the_estimate(refused: Any):
    process = EstimationProcess(one, approach, report)

    @fd.computation(fd.at_server(fd.to_type({"norm": fd.float32, "twice": fd.int32})))
    def odd(estimate: Any) -> Any:
        return estimate

    with refused(
        CompositionError,
        """
        'odd' does not take the estimate that report returns
          found     float32
          expected  int32
          at        .twice of the estimate, HERE
          hint      give a function of what report returns
        """,
    ):
        process.map(odd)
    with pytest.raises(TracingError):
        process.map(3)
