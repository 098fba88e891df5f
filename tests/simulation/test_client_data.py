# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import doctest
import re
from typing import Any

import numpy as np
import pytest

from foedus.data import Ragged, Source, concatenate
from foedus.errors import ArgumentError, DataError, TracingError, TypeMismatchError
from foedus.simulation import ClientData
from foedus.types import Sequence, float32, parse


def days(data: ClientData, client) -> list[int]:
    return [int(example["day"]) for example in data.examples(client)]


def test_the_examples_in_the_docstrings_run():
    from foedus.simulation import _client_data
    from foedus.simulation.datasets import digits, emnist

    for module in (_client_data, digits, emnist):
        result = doctest.testmod(module)
        assert (result.failed, result.attempted > 0) == (0, True)


def test_says_what_it_is(visits: ClientData):
    assert repr(visits) == "ClientData(3 clients, 6 examples, <day=int32,heat=float32[2]>)"
    assert visits.summary() == (
        "3 clients, 6 examples\n"
        "examples per client: 1 to 3, median 2\n"
        "one example: <day=int32,heat=float32[2]>"
    )
    assert visits.shuffle(1).batch(2).summary().splitlines()[-1] == (
        "then: shuffle, batch, which gives <day=int32[?],heat=float32[?,2]>"
    )
    assert visits.select([]).summary() == "0 clients, 0 examples\none example: <day=int32,heat=float32[2]>"


def test_knows_ids_sizes_and_members(visits: ClientData):
    assert visits.ids == ("b", "a", "c")
    assert visits.sizes() == {"b": 3, "a": 2, "c": 1}
    assert len(visits) == 3
    assert "a" in visits
    assert "d" not in visits
    assert visits.take(1).sizes() == visits.sizes()


def test_reads_examples_in_the_order_of_rows(visits: ClientData):
    examples = visits.examples("b")
    assert [e["day"] for e in examples] == [0, 2, 5]
    np.testing.assert_array_equal(examples[1]["heat"], np.array([4, 5], np.float32))
    np.testing.assert_array_equal(
        visits.columns("b")["heat"], np.array([[0, 1], [4, 5], [10, 11]], np.float32)
    )


def test_cannot_be_changed(visits: ClientData):
    anything: Any = visits
    with pytest.raises(dataclasses.FrozenInstanceError):
        anything.ids = ()
    with pytest.raises(ValueError, match="read-only"):
        visits.columns("b")["day"][0] = 7


def test_is_a_source_of_sequences(visits: ClientData):
    cohort = visits.cohort()
    assert isinstance(visits, Source)
    assert cohort.ids == visits.ids
    assert cohort.type == Sequence(visits.element_type) == parse("<day=int32,heat=float32[2]>*")


def test_cohorts_share_the_columns(visits: ClientData):
    one, other = visits.cohort(["c", "a"]).value, visits.select(["b"]).cohort().value
    assert isinstance(one, Ragged)
    assert isinstance(other, Ragged)
    assert one.first.tolist() == [5, 3]
    assert one.count.tolist() == [1, 2]
    assert all(np.shares_memory(a, b) for a, b in zip(one.columns, other.columns, strict=True))


def test_cohort_takes_ids_that_equal_the_clients(visits: ClientData):
    data = ClientData.from_arrays(np.arange(3.0), [7, 8, 7])
    cohort = data.cohort(np.array([8, 7]))
    assert cohort.ids == (8, 7)
    assert all(type(i) is int for i in cohort.ids)
    assert visits.cohort(np.array(["c"])).ids == ("c",)
    assert visits.cohort([]).ids == ()


def test_unknown_clients(visits: ClientData, told):
    assert told(lambda: visits.examples("bb")) == (
        "There is no client 'bb'\n  found     3 clients: 'b', 'a', 'c'\n  hint      did you mean 'b'?"
    )
    data = ClientData.from_arrays(np.zeros(5), [1, 2, 3, 4, 5])
    assert told(lambda: data.cohort([2, "3"])) == (
        "There is no client '3'\n  found     5 clients: 1, 2, 3, ...\n  hint      did you mean 3?"
    )
    unhashable: Any = [[1]]
    assert told(lambda: data.select([9])).endswith("hint      `ids` holds all of them")
    assert told(lambda: data.select(unhashable)).startswith("There is no client [1]")
    assert (
        told(lambda: data.select([]).columns(1)) == "There is no client 1\n  found     data without clients"
    )
    assert issubclass(DataError, ValueError)


def test_clients_are_asked_for_once(visits: ClientData, told):
    assert told(lambda: visits.cohort(["a", "b", "a"])) == "Client 'a' is asked for twice"
    assert told(lambda: visits.select("a")) == (
        "Several clients are asked for by a list of ids\n  found     'a'\n  hint      ['a']"
    )


def test_the_place_of_an_error_is_the_users_line(visits: ClientData):
    with pytest.raises(DataError) as caught:
        visits.examples("nobody")
    assert re.fullmatch(r'test_client_data\.py:\d+: visits\.examples\("nobody"\)', str(caught.value.at))


def test_select_keeps_the_order_asked_for(visits: ClientData):
    chosen = visits.select(["c", "b"])
    assert chosen.ids == ("c", "b")
    assert days(chosen, "b") == [0, 2, 5]
    with pytest.raises(DataError):
        chosen.examples("a")


def test_split_clients_is_seeded_and_disjoint():
    data = ClientData.from_arrays(np.arange(40.0), list(range(40)))
    train, test = data.split_clients(10, seed=3)
    assert (len(train), len(test)) == (30, 10)
    assert sorted(train.ids + test.ids) == list(data.ids)
    assert list(test.ids) == sorted(test.ids)
    assert data.split_clients(10, seed=3)[1].ids == test.ids
    assert data.split_clients(10, seed=4)[1].ids != test.ids


@pytest.mark.parametrize("count", [0, 3, -1])
def test_split_clients_leaves_no_part_empty(visits: ClientData, count: int, told):
    assert told(lambda: visits.split_clients(count, seed=0)) == (
        f"Neither part may be empty\n  found     {count} of 3 clients for the test\n  expected  1 to 2"
    )


def test_transforms_do_what_they_say(visits: ClientData):
    assert days(visits.take(2), "b") == [0, 2]
    assert days(visits.repeat(2), "a") == [1, 4, 1, 4]
    assert days(visits.filter(lambda e: e["day"] > 1), "b") == [2, 5]
    assert [e.tolist() for e in visits.map(lambda e: e["heat"].sum()).batch(2).examples("b")] == [
        [1, 9],
        [21],
    ]
    shuffled = visits.shuffle(seed=5)
    assert sorted(days(shuffled, "b")) == [0, 2, 5]
    assert days(shuffled, "b") == days(shuffled.select(["b"]), "b")


def test_transforms_leave_the_original_as_it_is(visits: ClientData):
    visits.take(1)
    assert days(visits, "b") == [0, 2, 5]


def test_map_gives_the_type_of_what_it_returns(visits: ClientData):
    mapped = visits.map(lambda e: {"heat": e["heat"] * 2, "late": e["day"] > 2})
    assert mapped.element_type == parse("<heat=float32[2],late=bool>")
    assert bool(mapped.examples("c")[0]["late"])
    assert mapped.filter(lambda e: e["late"]).columns("a")["heat"].tolist() == [[16, 18]]
    assert mapped.map(lambda e: e["heat"][0]).element_type == float32


def test_columns_of_no_examples(visits: ClientData):
    nothing = visits.filter(lambda e: e["day"] > 100).columns("b")
    assert nothing["heat"].shape == (0, 2)
    assert nothing["day"].dtype == np.int32


def test_columns_of_batches(visits: ClientData, told):
    assert told(lambda: visits.batch(2).columns("b")) == (
        "Examples with rows of their own cannot be stacked\n"
        "  found     <day=int32[?],heat=float32[?,2]>\n"
        "  hint      use `examples`, or ask for the columns before `batch`"
    )


def test_bad_transforms_are_refused_when_declared(visits: ClientData, told):
    fraction: Any = 1.5
    assert told(lambda: visits.batch(0)) == "The size of a batch must be positive\n  found     0"
    assert told(lambda: visits.take(fraction)) == (
        "The number of elements to take must be a whole number\n  found     1.5"
    )
    with pytest.raises(TypeMismatchError, match="A filter needs a truth value"):
        visits.filter(lambda e: e["day"])
    with pytest.raises(TracingError):
        visits.map(lambda e: e["week"])
    with pytest.raises(ArgumentError):
        visits.repeat(-1)


def test_in_memory_of_memory_is_itself(visits: ClientData):
    assert visits.in_memory() is visits


def test_many_clients_cost_little():
    count = 342_477
    data = ClientData.from_arrays(np.arange(count, dtype=np.int32), np.arange(count))
    assert data.cohort([0, count - 1]).value.first.tolist() == [0, count - 1]
    assert len(data.sizes()) == count
    with pytest.raises(DataError):
        data.examples(count)


def test_the_whole_cohort_holds_every_row(visits: ClientData):
    read = [visits.columns(client)["day"] for client in visits.ids]
    np.testing.assert_array_equal(concatenate(read), [0, 2, 5, 1, 4, 3])
