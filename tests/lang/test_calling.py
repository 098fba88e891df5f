# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Calling computations: arguments, containers, values passed through, and what surrounds a call."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foedus as fd
from foedus import testing
from foedus.data import Cohort, cohort_of
from foedus.errors import (
    DataError,
    ExecutionError,
    FoedusError,
    StructureError,
    TracingError,
    TypeMismatchError,
)
from foedus.types import type_of

RUNTIMES: list[Callable[..., Any]] = [fd.runtime.reference, fd.runtime.local]


class Point(NamedTuple):
    x: Any
    y: Any


@jax.tree_util.register_dataclass
@dataclass
class Weights:
    w: Any
    b: Any


@fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32))
def both(x: Any, y: Any) -> Any:
    return fd.federated_sum(x), y


@fd.computation(fd.at_clients(fd.int32))
def total(x: Any) -> Any:
    return fd.federated_sum(x)


@fd.computation
def five() -> Any:
    return fd.federated_value(5, fd.SERVER)


def test_arguments_by_place_and_by_name():
    assert both([1.0, 2.0], 3.0) == (3, 3)
    assert both(x=[1.0, 2.0], y=3.0) == (3, 3)
    assert both([1.0, 2.0], y=3.0) == (3, 3)
    assert both({"y": 3.0, "x": [1.0, 2.0]}) == (3, 3)
    assert both(([1.0, 2.0], 3.0)) == (3, 3)
    assert five() == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: both([1.0], 2.0, 3.0),
            """
            both was called with 3 arguments
              found     a value, a value, a value
              expected  <x={float32}@CLIENTS,y=float32@SERVER>
              at        calling 'both', HERE
            """,
        ),
        (
            lambda: both([1.0], z=3.0),
            """
            both was called with 2 arguments
              found     a value, z
              expected  <x={float32}@CLIENTS,y=float32@SERVER>
              at        calling 'both', HERE
            """,
        ),
        (
            lambda: both(),
            """
            both was called with 0 arguments
              found     none
              expected  <x={float32}@CLIENTS,y=float32@SERVER>
              at        calling 'both', HERE
            """,
        ),
        (
            lambda: five(1),
            """
            five was called with 1 arguments
              found     a value
              expected  no argument
              at        calling 'five', HERE
            """,
        ),
    ],
)
def test_a_wrong_number_of_arguments(refused, call: Callable[[], Any], message: str):
    with refused(TracingError, message):
        call()


@pytest.mark.parametrize(
    ("call", "sort", "message"),
    [
        (
            lambda: total([1, 2.5]),
            TypeMismatchError,
            """
            Wrong dtype in the value of client 1
              found     float: 2.5
              expected  int32
              at        the value of client 1, HERE
            """,
        ),
        (
            lambda: both([1.0], np.float64(2)),
            TypeMismatchError,
            """
            Wrong dtype in y of the argument
              found     float64
              expected  float32
              at        y of the argument, HERE
            """,
        ),
        (
            lambda: total(5),
            DataError,
            """
            One value a client is needed in the argument
              found     int: 5
              expected  a list, a mapping from ids, or a cohort, of int32
              at        HERE
            """,
        ),
        (
            lambda: both([1.0]),
            StructureError,
            """
            A struct of 2 fields is needed
              found     1 fields
              expected  <x={float32}@CLIENTS,y=float32@SERVER>
              at        the argument, HERE
            """,
        ),
    ],
)
@pytest.mark.parametrize("make", RUNTIMES)
def test_a_wrong_argument(
    refused, make: Callable[[], Any], call: Callable[[], Any], sort: type[FoedusError], message: str
):
    with fd.use(make()), refused(sort, message):
        call()


VALUES: list[Any] = [
    {"a": 1, "b": 2.5},
    OrderedDict(b=1, a=[2, 3]),
    [1, 2],
    (1,),
    Point(1, (2.5, None)),
    Weights(np.ones(2, np.float32), {"c": True}),
    [],
    {},
    None,
    {"deep": [Point(Weights(1, 2), OrderedDict(x=())), (None, [3])]},
    2**40,
    1.5 + 2j,
    ml_dtypes.bfloat16(1.5),
    np.int8(3),
    np.arange(6, dtype=np.uint16).reshape(2, 3),
    np.zeros((0, 2)),
]


def same(one: Any, other: Any) -> bool:
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    types = [np.asarray(a).dtype == np.asarray(b).dtype for a, b in zip(leaves, others, strict=True)]
    return (
        jax.tree.structure(one) == jax.tree.structure(other)
        and all(types)
        and all(np.array_equal(a, b) for a, b in zip(leaves, others, strict=True))
    )


@pytest.mark.parametrize("make", RUNTIMES)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_comes_back_is_what_went_in(make: Callable[[], Any], value: Any):
    """At the server and at clients, passed through, through local code, and through a broadcast."""
    type_ = type_of(value)

    @fd.computation(fd.at_server(type_), fd.at_clients(type_))
    def program(x: Any, y: Any) -> Any:
        mapped = [fd.federated_map(lambda z: z, placed) for placed in (x, y)]
        return {"x": x, "y": y, "mapped": mapped, "sent": fd.federated_broadcast(x)}

    typed = fd.types.from_plain(fd.types.to_plain(value, type_, "a value"), type_)
    with fd.use(make()):
        result = program(value, [value, value])
    assert same(result["x"], typed)
    assert same(result["sent"], typed)
    assert same(result["y"], [typed, typed])
    assert same(result["mapped"], [typed, [typed, typed]])


@given(st.data())
@pytest.mark.parametrize("make", RUNTIMES)
def test_any_value_passes_through_unchanged(make: Callable[[], Any], data: st.DataObject):
    """Strings, sequences and values of unknown shape too, which no runtime has to compile for that."""
    type_ = data.draw(testing.plain_types(unknown=True))
    values = data.draw(st.lists(testing.values(type_), max_size=2))
    program = fd.computation(fd.at_clients(type_), fd.at_server(type_))(returned)
    alone = cohort_of(values, type_)
    member = data.draw(testing.values(type_))
    with fd.use(make()):
        clients, server = program(values, member)
    assert str(clients) == str([fd.types.from_plain(alone.client(i), type_) for i in range(len(values))])
    assert str(server) == str(fd.types.from_plain(cohort_of([member], type_).client(0), type_))


def returned(x: Any, y: Any) -> Any:
    return x, y


@pytest.mark.parametrize("make", RUNTIMES)
def test_results_at_clients_come_in_the_order_of_the_argument(make: Callable[[], Any]):
    @fd.computation(fd.at_clients(fd.int32), fd.at_clients(fd.int32))
    def program(x: Any, y: Any) -> Any:
        return x, fd.federated_map(lambda a, b: 10 * a + b, (x, y))

    with fd.use(make()):
        x, mapped = program({"b": 1, "c": 2, "a": 3}, {"a": 4, "b": 5, "c": 6})
    assert x == [1, 2, 3]
    assert mapped == [15, 26, 34]


@pytest.mark.parametrize("make", RUNTIMES)
def test_arguments_of_different_clients_are_refused(refused, make: Callable[[], Any]):
    @fd.computation(fd.at_clients(fd.int32), fd.at_clients(fd.int32))
    def program(x: Any, y: Any) -> Any:
        return fd.federated_sum((x, y))

    message = """
    The arguments at CLIENTS are of different members
      found     2: 'a', 'b'
      expected  1: 'a'
      at        HERE
    """
    with fd.use(make()), refused(ExecutionError, message):
        program({"a": 1}, {"a": 4, "b": 5})


class Doubled:
    """A source of values at clients."""

    def cohort(self) -> Cohort:
        return cohort_of({"ada": 2, "bea": 4}, fd.int32)


def test_sources_and_cohorts_are_arguments():
    assert total(Doubled()) == 6
    assert total(Doubled().cohort()) == 6

    @fd.computation
    def anything(x: Any) -> Any:
        return fd.federated_sum(x)

    assert anything(Doubled()) == 6


def test_calls_work_inside_a_running_event_loop():
    async def main() -> list[Any]:
        return [total([1, 2]), await asyncio.to_thread(total, [3, 4])]

    assert asyncio.run(main()) == [3, 7]


def test_a_runtime_is_in_force_in_its_own_context_alone():
    runtime = fd.runtime.reference()
    seen: list[Any] = []

    def elsewhere() -> None:
        seen.append(total([1, 2]))

    with fd.use(runtime):
        total([5])
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert [c.operator for c in runtime.crossings] == ["federated_sum"]
        before = runtime.crossings
    assert seen == [3]
    assert runtime.crossings is before, "the thread did not run in this runtime"


def test_the_default_runtime_can_be_set():
    from foedus.lang import current

    before, runtime = current(), fd.runtime.reference()
    fd.set_default_runtime(runtime)
    try:
        assert current() is runtime
        assert total([1, 2]) == 3
    finally:
        fd.set_default_runtime(before)
    assert current() is before
