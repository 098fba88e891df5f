# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Columns that the cohorts of several rounds share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import foedus as fd
from foedus.data import Cohort, Elements, Stock, aligned, cohort_of, flat_columns, to_member
from foedus.types import Type, sequence, struct

BATCHES = struct(x=(fd.int32, [None]), n=fd.int32)
VALUES: dict[str, Any] = {
    "b": [{"x": [1, 2], "n": 20}, {"x": np.zeros(0, np.int32), "n": 0}],
    "a": [],
    "c": [{"x": [3], "n": 10}],
}


def elements(value: Any, element: Type) -> Elements:
    return to_member(value, sequence(element), "a value", 0)


def read(cohort: Cohort) -> dict[Any, list[Any]]:
    return {c: [(x.tolist(), int(n)) for x, n in cohort.client(i)] for i, c in enumerate(cohort.ids)}


def stocked(values: dict[str, Any], element: Type, most_bytes: int = 1000) -> tuple[Stock, dict[Any, int]]:
    stock = Stock(element, most_bytes)
    numbers = {client: stock.put(elements(value, element)) for client, value in values.items()}
    return stock, {client: number for client, number in numbers.items() if number is not None}


def test_cohorts_are_as_those_of_values_in_any_choice_and_order():
    stock, numbers = stocked(VALUES, BATCHES)
    for chosen in (["b", "a", "c"], ["c", "b"], ["a"], []):
        made = stock.cohort({client: numbers[client] for client in chosen})
        expected = cohort_of({client: VALUES[client] for client in chosen}, sequence(BATCHES))
        assert (made.ids, made.type, read(made)) == (expected.ids, expected.type, read(expected))


def test_a_cohort_stays_as_it_is_when_more_is_put_in():
    stock, numbers = stocked(VALUES, BATCHES)
    before = stock.cohort(numbers)
    held = read(before)
    offsets = before.value.rows.tolist()
    more = stock.put(elements([{"x": [7, 8, 9], "n": 70}], BATCHES))
    assert (read(before), before.value.rows.tolist()) == (held, offsets)
    assert more is not None
    assert read(stock.cohort({**numbers, "d": more})) == {**held, "d": [([7, 8, 9], 70)]}


def test_columns_are_the_same_arrays_until_something_is_put_in_and_share_their_memory_then():
    stock, numbers = stocked(VALUES, BATCHES)
    (x, n), (again, _) = (flat_columns(stock.cohort(numbers).value.columns) for _ in range(2))
    assert x is again
    stock.put(elements([], BATCHES))
    (later, _) = flat_columns(stock.cohort(numbers).value.columns)
    assert later is not x
    assert np.shares_memory(later, x)
    assert (x.shape, n.shape) == (later.shape, n.shape) == ((125,), (15,))  # 1000 bytes, 4 + 4 an entry.
    assert all(column.ctypes.data % 64 == 0 for column in (x, n))


def test_what_there_is_no_room_for_goes_into_another_stock_with_what_is_kept():
    stock, numbers = stocked(VALUES, BATCHES, 200)  # Room for 3 elements, of 25 rows.
    assert numbers == {"b": 0, "a": 1, "c": 2}
    more = elements([{"x": [5, 6], "n": 50}], BATCHES)
    assert stock.put(more) is None
    held = read(stock.cohort(numbers))
    fresh = stock.renewed([numbers["c"], numbers["b"]], more)
    assert fresh.put(more) == 2
    assert read(fresh.cohort({"c": 0, "b": 1, "d": 2})) == {
        "c": held["c"],
        "b": held["b"],
        "d": [([5, 6], 50)],
    }
    assert read(stock.cohort(numbers)) == held


@given(st.lists(st.lists(st.integers(0, 99), max_size=5), min_size=1, max_size=8))
def test_renewing_makes_room_however_much_comes(values: list[list[int]]):
    stock, kept = Stock(fd.int32, 16), list[int]()
    for value in values:
        own = elements(np.array(value, np.int32), fd.int32)
        number = stock.put(own)
        if number is None:
            stock, kept = stock.renewed(kept, own), list(range(len(kept)))
            number = stock.put(own)
        assert number is not None
        kept.append(number)
    found = stock.cohort(dict(enumerate(kept)))
    assert [[int(x) for x in found.client(i)] for i in range(len(values))] == values


@fd.computation(fd.at_clients(sequence(BATCHES)))
def total(data: Any) -> Any:
    sums = fd.federated_map(
        lambda s: s.fold(lambda a, e: a + e["x"].sum(dtype="int32") * e["n"], np.int32(0)), data
    )
    return fd.federated_sum(sums), sums


def test_both_runtimes_agree_and_a_grown_stock_needs_no_other_program():
    stock, numbers = stocked(VALUES, BATCHES)
    local, compiled = fd.runtime.local(), set[int]()
    for step in range(4):
        cohort = stock.cohort(dict(list(numbers.items())[-3:]))
        with fd.use(local):
            found = total(cohort)
        with fd.use(fd.runtime.reference()):
            assert total(cohort) == found
        assert int(found[0]) == sum((60, 0, 30, 70, 140, 210)[step : step + 3])
        compiled.add(local.statistics.compiled)
        number = stock.put(elements([{"x": [step + 1, 0], "n": 70}], BATCHES))
        assert number is not None
        numbers[f"more{step}"] = number
    assert len(compiled) == 1  # All of the first round.


def test_memory_begins_where_compilers_want_it_and_is_not_touched():
    for shape in ((3, 5), (7,)):
        array = aligned(shape, np.dtype(np.float32))
        assert (array.shape, array.dtype, array.ctypes.data % 64) == (shape, np.float32, 0)
