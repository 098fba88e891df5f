# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes in series and side by side give what calling them one by one gives, in every runtime."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import aggregators, runtime
from foedus.errors import CompositionError
from foedus.process import Output, Process, chain, concatenate
from foedus.types import parts_of

from .small_processes import CLIENTS_FLOAT, average, made, negate, nothing, scale, spread, total, zero

DATA = [[1.0, 3.0, 8.0], [2.0], [0.5, 4.0]]
"""The clients' values in three steps."""
each_runtime = pytest.mark.parametrize("make", [runtime.reference, runtime.local])


def plain(value: Any) -> Any:
    """A result with arrays as Python's numbers, for comparing."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    parts = parts_of(value)
    return np.asarray(value).tolist() if parts is None else {name: plain(item) for name, item in parts}


@each_runtime
def test_a_chain_is_calling_one_after_another(make: Any):
    parts = {"scale": scale, "average": average, "negate": negate}
    whole = chain(parts)
    with fd.use(make()):
        state, states = whole.initialize(), {name: part.initialize() for name, part in parts.items()}
        for data in DATA:
            step, value, measured = whole.next(state, data), data, {}
            for name, part in parts.items():
                one = part.next(states[name], value)
                states[name], value, measured[name] = one.state, one.result, one.measurements
            assert isinstance(step, Output)
            assert plain(step.result) == plain(value)
            assert plain(step.state) == plain(states)
            assert plain(step.measurements) == {**plain(measured), "negate": {}}
            state = step.state
        assert plain(state) == {"scale": 8.0, "average": 3, "negate": {}}


@each_runtime
def test_side_by_side_is_calling_each(make: Any):
    parts = {"total": total, "average": average, "down": spread}
    whole = concatenate(parts)
    value = {"average": DATA[0], "total": [{"a": 1, "b": i} for i in range(3)], "down": 7.0}
    with fd.use(make(clients=3)):
        state, states = whole.initialize(), {name: part.initialize() for name, part in parts.items()}
        for _ in range(3):
            step = whole.next(state, value)
            steps = {name: part.next(states[name], value[name]) for name, part in parts.items()}
            states = {name: one.state for name, one in steps.items()}
            assert plain(step.result) == plain({name: one.result for name, one in steps.items()})
            assert plain(step.state) == plain(states)
            assert plain(step.measurements) == plain({n: one.measurements for n, one in steps.items()})
            state = step.state
    assert plain(step.result)["total"] == {"a": 3, "b": 3}
    assert plain(step.result)["down"] == 7.0


def test_the_trees_of_a_chain():
    whole = chain(OrderedDict(second=scale, first=average))
    assert str(whole.initialize.type) == "( -> <second=float32,first=int32>@SERVER)"
    assert str(whole.next.type) == (
        "(<state=<second=float32,first=int32>@SERVER,value={float32}@CLIENTS> -> "
        "<state=<second=float32,first=int32>@SERVER,result=float32@SERVER,"
        "measurements=<second=float32,first=<most=float32,steps=int32>>@SERVER>)"
    )
    state = whole.initialize()
    assert isinstance(state, OrderedDict)
    assert list(state) == ["second", "first"]


def test_the_trees_of_processes_side_by_side():
    whole = concatenate({"up": average, "down": spread})
    assert str(whole.next.type) == (
        "(<state=<up=int32,down=<>>@SERVER,value=<up={float32}@CLIENTS,down=float32@SERVER>> -> "
        "<state=<up=int32,down=<>>@SERVER,result=<up=float32@SERVER,down=float32@CLIENTS>,"
        "measurements=<up=<most=float32,steps=int32>,down=<>>@SERVER>)"
    )
    step = whole.next(whole.initialize(), {"up": [1.0], "down": 2.0})
    assert [type(part) for part in step] == [OrderedDict, OrderedDict, OrderedDict]


def test_compositions_compose():
    inner = concatenate({"a": average, "b": chain({"scale": scale, "average": average})})
    outer = chain({"both": inner, "again": concatenate({"a": negate, "b": spread})})
    step = outer.next(outer.initialize(), {"a": [1.0, 3.0], "b": [5.0, 7.0]})
    assert plain(step.result) == {"a": -2.0, "b": 6.0}
    assert plain(step.state)["both"] == {"a": 1, "b": {"scale": 2.0, "average": 1}}


def test_aggregators_without_measurements_can_be_chained():
    @made(nothing, CLIENTS_FLOAT)
    def clip(state: Any, value: Any) -> Any:
        return Output(state, fd.federated_map(lambda v: v.clip(0, 1), value), ())

    @fd.computation(fd.at_server(fd.to_type(())), CLIENTS_FLOAT)
    def unweighted(state: Any, value: Any) -> Any:
        adding = aggregators.sum().create(fd.float32)
        return adding.next(state, value, fd.federated_value((), fd.CLIENTS))

    whole = chain({"clip": clip, "sum": Process(nothing, unweighted)})
    assert plain(whole.next(whole.initialize(), [0.5, 7.0]).result) == 1.5


def test_where_nobody_measures_the_measurements_are_empty():
    whole = chain({"one": negate, "other": negate})
    assert str(whole.measurements_type) == "<one=<>,other=<>>@SERVER"
    assert plain(whole.next(whole.initialize(), 3.0).result) == 3.0


@pytest.mark.parametrize(
    "names", [("node", "type"), ("state", "value"), ("__class__", "_"), ("", "a b"), ("b", "a")]
)
def test_any_names_will_do(names: tuple[str, str]):
    """Also those that traced values use themselves, and the same process under two names."""
    whole = chain(dict(zip(names, (negate, negate), strict=True)))
    assert plain(whole.next(whole.initialize(), 3.0).result) == 3.0
    beside = concatenate(dict(zip(names, (average, average), strict=True)))
    step = beside.next(beside.initialize(), {names[0]: [1.0, 2.0], names[1]: [1.0, 2.0]})
    assert plain(step.result) == dict.fromkeys(names, 1.5)
    assert plain(step.state) == dict.fromkeys(names, 1)


def test_explanations_add_up():
    whole = fd.explain(chain({"scale": scale, "average": average}).next).crossings
    assert whole == fd.explain(scale.next).crossings + fd.explain(average.next).crossings


# What is refused.


@pytest.mark.parametrize("compose", [chain, concatenate])
def test_nothing_cannot_be_composed(compose: Any, refused: Any):
    with refused(
        CompositionError,
        f"""
        There is nothing to {compose.__name__}
          found     an empty mapping
          expected  at least one process
          at        HERE
          hint      without a process nothing says what type of value is taken
        """,
    ):
        compose({})


@pytest.mark.parametrize("compose", [chain, concatenate])
def test_processes_have_names(compose: Any, refused: Any):
    with refused(
        CompositionError,
        f"""
        {compose.__name__} needs a mapping from names to processes
          found     list
          expected  such as {{'clip': ..., 'sum': ...}}
          at        HERE
          hint      the names are those of the parts of the state and of the measurements
        """,
    ):
        compose([scale, average])
    with refused(
        CompositionError,
        f"""
        The name of a process is a string
          found     3 of type int
          at        the argument of {compose.__name__}, HERE
          hint      it becomes the name of a part of the state and of the measurements
        """,
    ):
        compose({3: scale})


@pytest.mark.parametrize("compose", [chain, concatenate])
def test_only_processes_are_composed(compose: Any, refused: Any):
    with refused(
        CompositionError,
        f"""
        'sum' is no process
          found     _Sum
          expected  a Process, with next: (<S@SERVER,V> -> <state=S@SERVER,result=R,measurements=M@SERVER>)
          at        the argument of {compose.__name__}, HERE
        """,
    ):
        compose({"scale": scale, "sum": aggregators.sum()})


@pytest.mark.parametrize("compose", [chain, concatenate])
def test_states_are_made_from_nothing(compose: Any, refused: Any):
    @fd.computation(fd.at_server(fd.float32))
    def initialize(start: Any) -> Any:
        return start

    with refused(
        CompositionError,
        f"""
        The initialize of 'scale' takes an argument
          found     (float32@SERVER -> float32@SERVER)
          expected  ( -> S@SERVER)
          at        the argument of {compose.__name__}, HERE
          hint      all states are made together, from nothing; call it in a computation that takes nothing
        """,
    ):
        compose({"scale": Process(initialize, scale.next)})


@pytest.mark.parametrize(
    ("compose", "why"),
    [
        (chain, "the one result of a process is the one value of the next"),
        (concatenate, "each process has one value of its own in the struct of values"),
    ],
)
def test_a_step_takes_one_value(compose: Any, why: str, refused: Any):
    weighted = aggregators.mean().create(fd.float32, fd.float32)
    with refused(
        CompositionError,
        f"""
        The next of 'mean' takes a state and 2 values
          found     {weighted.next.type}
          expected  (<S@SERVER,V> -> <state=S@SERVER,result=R,measurements=M@SERVER>)
          at        the argument of {compose.__name__}, HERE
          hint      {why}; several can be one struct
        """,
    ):
        compose({"scale": scale, "mean": weighted})

    @made(zero)
    def count(state: Any) -> Any:
        return Output(state, state, state)

    with refused(
        CompositionError,
        f"""
        The next of 'count' takes a state and no value
          found     (int32@SERVER -> <state=int32@SERVER,result=int32@SERVER,measurements=int32@SERVER>)
          expected  (<S@SERVER,V> -> <state=S@SERVER,result=R,measurements=M@SERVER>)
          at        the argument of {compose.__name__}, HERE
          hint      {why}; several can be one struct
        """,
    ):
        compose({"count": count})


@pytest.mark.parametrize("compose", [chain, concatenate])
def test_measurements_are_at_the_server(compose: Any, refused: Any):
    @made(zero, CLIENTS_FLOAT)
    def leaking(state: Any, value: Any) -> Any:
        return Output(state, value, {"steps": state, "values": value})

    with refused(
        CompositionError,
        """
        The measurements of 'leaking' are not all at the server
          found     <steps=int32@SERVER,values={float32}@CLIENTS>
          expected  M@SERVER
          at        .values of the measurements, HERE
          hint      those of all processes become one struct at the server; aggregate them, or leave them out
        """,
    ):
        compose({"leaking": leaking})


def test_measurements_are_placed(refused: Any):
    @made(zero, CLIENTS_FLOAT)
    def constant(state: Any, value: Any) -> Any:
        return Output(state, value, {"steps": 3})

    with refused(
        CompositionError,
        """
        The measurements of 'constant' are not all at the server
          found     <steps=int32>
          expected  M@SERVER
          at        .steps of the measurements, HERE
          hint      those of all processes become one struct at the server; aggregate them, or leave them out
        """,
    ):
        concatenate({"constant": constant})


def test_a_result_at_the_server_is_no_value_at_clients(refused: Any):
    with refused(
        CompositionError,
        """
        The result of 'average' is not what 'scale' takes
          found     float32@SERVER
          expected  {float32}@CLIENTS
          at        the value of 'scale', HERE
          hint      put a process between them that sends it down, with federated_broadcast
        """,
    ):
        chain({"average": average, "scale": scale})
    assert plain(chain({"a": average, "down": spread, "b": scale, "c": average}).initialize())["a"] == 0


def test_a_result_at_clients_is_no_value_at_the_server(refused: Any):
    with refused(
        CompositionError,
        """
        The result of 'scale' is not what 'negate' takes
          found     {float32}@CLIENTS
          expected  float32@SERVER
          at        the value of 'negate', HERE
          hint      put a process between them that aggregates, such as one of foedus.aggregators
        """,
    ):
        chain({"scale": scale, "negate": negate})


def test_a_result_of_another_type_names_the_path(refused: Any):
    @made(nothing, fd.at_clients(fd.to_type({"a": fd.int32, "b": fd.int64})))
    def counts(state: Any, value: Any) -> Any:
        return Output(state, value, ())

    with refused(
        CompositionError,
        """
        The result of 'counts' is not what 'total' takes
          found     int64
          expected  int32
          at        .b of the value of 'total', HERE
          hint      put a process between them that makes the one of the other
        """,
    ):
        chain({"counts": counts, "total": total})
