# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes: what they check, and what they give."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff
from foedus.tff import templates


@tff.federated_computation
def zero():
    return tff.federated_value(np.int32(0), tff.SERVER)


@tff.federated_computation(tff.type_at_server(np.int32), tff.type_at_clients(np.int32))
def count(state, value):
    total = tff.federated_sum(value)
    new = tff.federated_map(tff.jax_computation(lambda s, t: s + t), (state, total))
    return templates.MeasuredProcessOutput(new, total, state)


@tff.federated_computation(tff.type_at_server(np.int32))
def only_state(state):
    return state


def test_iterative_process():
    process = templates.IterativeProcess(initialize_fn=zero, next_fn=count)
    assert str(process.state_type) == "int32@SERVER"
    assert str(process.next.type_signature.parameter) == "<state=int32@SERVER,value={int32}@CLIENTS>"
    state, total, _ = process.next(process.initialize(), [1, 2])
    assert (state, total) == (3, 3)
    alone = templates.IterativeProcess(zero, only_state)
    assert alone.next(alone.initialize()) == 0


def test_measured_process():
    process = templates.MeasuredProcess(zero, count)
    output = process.next(4, [1, 2])
    assert isinstance(output, templates.MeasuredProcessOutput)
    assert output == (7, 3, 4)
    assert str(process.next.type_signature.result) == (
        "<state=int32@SERVER,result=int32@SERVER,measurements=int32@SERVER>"
    )


def test_state_without_a_placement():
    """As in the unit tests of TFF: processes of plain values."""
    start = tff.federated_computation(lambda: np.int32(0))
    add = tff.jax_computation(lambda s, x: s + x, np.int32, np.int32)
    process = templates.IterativeProcess(start, add)
    assert process.next(process.initialize(), 3) == 3


def test_estimation_process():
    report = tff.federated_computation(lambda s: s, tff.type_at_server(np.int32))
    process = templates.EstimationProcess(zero, only_state, report)
    doubled = process.map(tff.jax_computation(lambda x: 2 * x))
    assert (process.report(3), doubled.report(3)) == (3, 6)


def test_composition():
    process = templates.AggregationProcess(zero, count)
    both = templates.concatenate_measured_processes(OrderedDict(a=process, b=process))
    output = both.next(both.initialize(), OrderedDict(a=[1], b=[2]))
    assert output.result == OrderedDict(a=1, b=2)
    with pytest.raises(TypeError, match="federated_broadcast"):
        templates.chain_measured_processes(OrderedDict(a=process, b=process))


REFUSED: dict[str, Any] = {
    "initialize takes something": (
        templates.TemplateInitFnParamNotEmptyError,
        lambda: templates.IterativeProcess(only_state, count),
    ),
    "another state comes first": (
        templates.TemplateStateNotAssignableError,
        lambda: templates.IterativeProcess(zero, tff.federated_computation(lambda s: s, np.float32)),
    ),
    "another state comes back": (
        templates.TemplateStateNotAssignableError,
        lambda: templates.IterativeProcess(
            zero, tff.federated_computation(lambda s: np.float32(1), tff.type_at_server(np.int32))
        ),
    ),
    "no measured output": (
        templates.TemplateNotMeasuredProcessOutputError,
        lambda: templates.MeasuredProcess(zero, only_state),
    ),
    "next takes nothing": (
        templates.TemplateNextFnNumArgsError,
        lambda: templates.IterativeProcess(zero, zero),
    ),
    "a result at the clients": (
        templates.AggregationPlacementError,
        lambda: templates.AggregationProcess(
            zero,
            tff.federated_computation(
                lambda s, v: templates.MeasuredProcessOutput(s, v, s),
                tff.type_at_server(np.int32),
                tff.type_at_clients(np.int32),
            ),
        ),
    ),
    "a value that is not placed": (
        templates.AggregationNotFederatedError,
        lambda: templates.AggregationProcess(
            zero,
            tff.federated_computation(
                lambda s, v: templates.MeasuredProcessOutput(s, s, s), tff.type_at_server(np.int32), np.int32
            ),
        ),
    ),
    "an estimate of something else": (
        templates.EstimateNotAssignableError,
        lambda: templates.EstimationProcess(zero, only_state, average_of_floats()),
    ),
    "a Python function": (TypeError, lambda: templates.IterativeProcess(python(0), count)),
}


def python(result: Any) -> Any:
    return lambda: result


def average_of_floats() -> tff.Computation:
    return tff.federated_computation(lambda s: s, tff.type_at_server(np.float32))


@pytest.mark.parametrize(("error", "build"), REFUSED.values(), ids=REFUSED)
def test_refusals(error: type[TypeError], build: Any):
    with pytest.raises(TypeError) as caught:
        build()
    assert type(caught.value) is error
