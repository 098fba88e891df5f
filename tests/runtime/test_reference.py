# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: its log of crossings, and errors of local code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import foedus as fd
from foedus import testing
from foedus.errors import ArgumentError, ClientError, ExecutionError, FoedusError
from foedus.explain import PROGRAM, Crossing, Protection
from foedus.testing import Program
from foedus.types import KEY, float32, int64


@given(testing.programs())
def test_the_log_is_what_is_explained(program: Program):
    runtime = fd.runtime.reference(clients=program.clients, tiers=program.tiers)
    program.run(lambda **_: runtime)
    assert runtime.crossings == fd.explain(program.computation).crossings


@given(testing.programs(clients=(0,)))
def test_the_log_of_nobody_is_what_is_explained(program: Program):
    runtime = fd.runtime.reference(clients=0, tiers=program.tiers)
    try:
        program.run(lambda **_: runtime)
    except ExecutionError as refusal:
        if "of no " not in refusal.headline:  # There is no mean, minimum or maximum of nobody.
            raise
    else:
        assert runtime.crossings == fd.explain(program.computation).crossings


def test_the_log_has_the_parts_of_a_selection_of_nobody():
    @fd.computation(fd.at_clients(fd.types.tensor(fd.int32, (2,))), fd.at_server(fd.float32))
    def program(keys: Any, table: Any) -> Any:
        return fd.federated_select(keys, 3, table, lambda whole, key: whole)

    runtime = fd.runtime.reference()
    with fd.use(runtime):
        program([], 1.0)
    assert runtime.crossings == fd.explain(program).crossings


def test_every_message_is_logged_in_order():
    @fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32), fd.at_server(KEY))
    def program(x: Any, rate: Any, key: Any) -> Any:
        sent = fd.federated_broadcast(rate)
        keys = fd.federated_key(key, "noise")
        weight = fd.federated_map(lambda w, k: w + k[0] * 0, (sent, keys))
        return (
            fd.federated_mean(x, fd.federated_map(lambda w: w.astype("int32"), weight)),
            fd.federated_min(x),
            fd.federated_sum(fd.federated_value({}, fd.CLIENTS)),
            fd.federated_mean(x),
        )

    runtime = fd.runtime.reference()
    with fd.use(runtime):
        program([1.0, 2.0], 0.5, np.array([1, 2], np.uint32))
    clients, server, free = "CLIENTS", "SERVER", Protection.NONE
    assert runtime.crossings == (
        Crossing("federated_broadcast", "value", float32, server, clients, 4, free),
        Crossing("federated_key", "key", KEY, server, clients, 8, free),
        Crossing("federated_weighted_mean", "weighted value", float32, clients, server, 4, Protection.SUM),
        Crossing("federated_weighted_mean", "weight", int64, clients, server, 8, Protection.SUM),
        Crossing("federated_min", "value", float32, clients, server, 4, free),
        Crossing("federated_mean", "value", float32, clients, server, 4, Protection.SUM),
        Crossing("federated_mean", "count", int64, clients, server, 8, Protection.SUM),
    )


def test_constants_come_from_the_program():
    @fd.computation
    def program() -> Any:
        return fd.federated_value(1.5, fd.CLIENTS), fd.federated_value(1.5, fd.SERVER)

    runtime = fd.runtime.reference(clients=2)
    with fd.use(runtime):
        assert program() == (1.5, 1.5)
    assert runtime.crossings == (
        Crossing("federated_value", "constant", float32, PROGRAM, "CLIENTS", 4, Protection.NONE),
    )


def test_a_run_forgets_the_log_of_the_one_before():
    runtime = fd.runtime.reference()
    program = fd.computation(fd.at_clients(fd.float32))(lambda x: fd.federated_sum(x))
    with fd.use(runtime):
        program([1.0])
        program([1.0, 2.0])
    assert len(runtime.crossings) == 1


RUNTIMES: list[Callable[..., Any]] = [fd.runtime.reference, fd.runtime.local]


@pytest.mark.parametrize("make", RUNTIMES)
@pytest.mark.parametrize("operator", ["federated_mean", "federated_min", "federated_max"])
def test_what_needs_clients_says_so(refused, make: Callable[..., Any], operator: str):
    program = fd.computation(fd.at_clients(fd.float32))(lambda x: getattr(fd, operator)(x))
    message = f"""
    {operator} of no clients
      expected  at least one
      at        HERE
    """
    with fd.use(make()), refused(ExecutionError, message):
        program([])


@pytest.mark.parametrize("make", RUNTIMES)
def test_without_clients_a_sum_is_zero_and_an_aggregate_its_zero_reported(make: Callable[..., Any]):
    @fd.computation(fd.at_clients(fd.float32))
    def program(x: Any) -> Any:
        add = fd.computation(fd.float32, fd.float32)(lambda a, b: a + b)
        total = fd.federated_aggregate(x, 1.5, add, add, lambda a: 2 * a)
        sent = fd.federated_broadcast(total)
        return fd.federated_sum(x), total, sent, fd.federated_map(lambda a: a, sent), x

    with fd.use(make()):
        assert program([]) == (0, 3, None, [], [])


@pytest.mark.parametrize("make", RUNTIMES)
def test_computations_without_arguments_at_clients_need_to_be_told_of_them(make: Callable[..., Any]):
    @fd.computation
    def program() -> Any:
        return fd.federated_sum(fd.federated_value(2, fd.CLIENTS))

    for clients, total in [(0, 0), (3, 6), (["ada", "bea"], 4), (range(40), 80)]:
        with fd.use(make(clients=clients)):
            assert program() == total
    with fd.use(make()), pytest.raises(ExecutionError, match="Nothing says which clients there are"):
        program()


@pytest.mark.parametrize("make", RUNTIMES)
@pytest.mark.parametrize(
    ("clients", "headline"),
    [
        (-1, "The number of clients is negative"),
        (["a", "a"], "Client ids are all strings or all whole numbers, each once"),
        (["a", 1], "Client ids are all strings or all whole numbers, each once"),
    ],
)
def test_clients_that_cannot_be(make: Callable[..., Any], clients: Any, headline: str):
    with pytest.raises(ArgumentError) as caught:
        make(clients=clients)
    assert caught.value.headline == headline


class Switch:
    """Local code that can be traced and fails when it runs."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, x: Any) -> Any:
        if self.broken:
            raise ZeroDivisionError("no such luck")
        return x


@pytest.mark.parametrize(
    ("placement", "sort", "headline"),
    [
        (fd.CLIENTS, ClientError, "Client 'ada' failed in federated_map"),
        (fd.SERVER, ExecutionError, "The server failed in federated_map"),
    ],
)
def test_a_failure_names_the_client_and_the_line(
    refused, placement: Any, sort: type[FoedusError], headline: str
):
    switch = Switch()
    type_ = fd.at_clients(fd.float32) if placement == fd.CLIENTS else fd.at_server(fd.float32)
    program = fd.computation(type_)(lambda x: fd.federated_map(switch, x))
    switch.broken = True
    message = f"""
    {headline}
      found     ZeroDivisionError: no such luck
      at        HERE
    """
    with fd.use(fd.runtime.reference()), refused(sort, message):
        program({"ada": 1.0} if placement == fd.CLIENTS else 1.0)


def test_local_code_can_be_debugged_with_print(capsys: pytest.CaptureFixture[str]):
    @fd.computation(fd.at_clients(fd.float32))
    def program(x: Any) -> Any:
        def shown(value: Any) -> Any:
            print("value", value)
            return value

        return fd.federated_map(shown, x)

    capsys.readouterr()
    with fd.use(fd.runtime.reference()):
        program([1.5, 2.5])
    assert capsys.readouterr().out == "value 1.5\nvalue 2.5\n"
