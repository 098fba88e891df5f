# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Cohorts of Python values: what goes in comes out, client by client, and errors name the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.data import Batch, Cohort, Elements, Map, Ragged, Repeat, Shuffle, Source, cohort_of, to_member
from foedus.errors import DataError, FoedusError, StructureError, TypeMismatchError
from foedus.foreign import kind
from foedus.types import from_plain, int32, parse


def clients(cohort: Cohort) -> list[Any]:
    return [from_plain(cohort.client(i), cohort.type) for i in range(len(cohort))]


@given(st.data())
def test_what_goes_in_comes_out(data: st.DataObject):
    type_ = data.draw(testing.plain_types(unknown=True))
    values = data.draw(st.lists(testing.values(type_), max_size=3))
    alone = [from_plain(to_member(value, type_, "a value"), type_) for value in values]
    assert str(clients(cohort_of(values, type_))) == str(alone)


@given(st.data())
def test_a_cohort_of_some_clients_is_the_cohort_of_their_values(data: st.DataObject):
    type_ = data.draw(testing.plain_types())
    values = data.draw(st.lists(testing.values(type_), min_size=1, max_size=4))
    chosen = data.draw(st.lists(st.sampled_from(range(len(values))), unique=True))
    cohort = cohort_of(values, type_).take(chosen)
    assert cohort.ids == tuple(chosen)
    assert str(clients(cohort)) == str(clients(cohort_of([values[i] for i in chosen], type_)))


def test_a_list_has_indices_for_ids_and_a_mapping_its_keys():
    assert cohort_of([5, 6], int32).ids == (0, 1)
    assert cohort_of({"bea": 5, "ada": 6}, int32).ids == ("bea", "ada")
    assert cohort_of(iter([5, 6]), int32).ids == (0, 1)
    assert cohort_of(np.array([5, 6], np.int32), int32).value.tolist() == [5, 6]
    assert cohort_of({}, int32).ids == cohort_of([], int32).ids == ()


def test_clients_are_reduced_in_the_order_of_their_ids():
    assert cohort_of({"b": 0, "a": 1, "B": 2, "10": 3, "9": 4}, int32).order() == [3, 4, 2, 1, 0]
    assert cohort_of({10: 0, 9: 1, -1: 2}, int32).order() == [2, 1, 0]


def test_a_source_is_whatever_gives_a_cohort():
    class Twice:
        def cohort(self) -> Cohort:
            return cohort_of([1, 1], int32)

    assert isinstance(Twice(), Source)
    assert not isinstance(cohort_of([], int32), Source)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            ("ada", "bea", "ada"),
            """
            Client 'ada' is in the cohort twice
              at        HERE
            """,
        ),
        (
            (1, True),
            """
            Client 1 is in the cohort twice
              at        HERE
            """,
        ),
        (
            (1, "1"),
            """
            Client ids are all strings or all whole numbers
              found     (1, '1')
              at        HERE
            """,
        ),
        (
            (1.5, 2.5),
            """
            Client ids are all strings or all whole numbers
              found     (1.5, 2.5)
              at        HERE
            """,
        ),
    ],
)
def test_ids_that_cannot_be_told_apart_are_refused(refused, ids: tuple[str | int, ...], message: str):
    with refused(DataError, message):
        Cohort(ids, int32, np.zeros(len(ids), np.int32))


@pytest.mark.parametrize(
    ("values", "type_", "sort", "message"),
    [
        (
            {"ada": 1, "bea": 1.5},
            "int32",
            TypeMismatchError,
            """
            Wrong dtype in the value of client 'bea'
              found     float: 1.5
              expected  int32
              at        the value of client 'bea', HERE
            """,
        ),
        (
            {"ada": [{"x": 1.5, "y": 1}, {"x": 2.5}]},
            "<x=float32,y=int32>*",
            StructureError,
            """
            The field 'y' is missing in the value of client 'ada'
              found     fields x
              expected  fields x, y
              at        [1] of the value of client 'ada', HERE
            """,
        ),
        (
            {"ada": {"x": np.zeros(2, np.float32), "y": np.zeros(3, np.int64)}},
            "<x=float32,y=int32>*",
            TypeMismatchError,
            """
            Wrong dtype in the value of client 'ada'
              found     int64[3]
              expected  int32[?]
              at        .y of the value of client 'ada', HERE
            """,
        ),
        (
            [{"x": [1.0, 2.0], "y": [1]}],
            "<x=float32,y=int32>*",
            DataError,
            """
            The columns of the value of client 0 differ in length
              found     lengths [1, 2]
              at        HERE
            """,
        ),
        (
            [[], [([1], [1.5, 2.5])]],
            "<int32[?],float32[?]>*",
            DataError,
            """
            The leaves of one batch of the value of client 1 differ in length
              found     lengths [1, 2]
              at        [0], HERE
            """,
        ),
        (
            [[([1], 0, [1.5]), ([1, 2], 0, [1.5, 2.5])], [([1], 0, [1.5]), ([1], 0, [1.5, 2.5])]],
            "<int32[?],int32,float32[?]>*",
            DataError,
            """
            The leaves of one batch of the value of client 1 differ in length
              found     lengths [1, 2]
              at        [1], HERE
            """,
        ),
        (
            [[([1], 0)], [([1], [0])]],
            "<int32[?],int32>*",
            TypeMismatchError,
            """
            Wrong shape in the value of client 1
              found     int64[1]
              expected  int32
              at        [0][1] of the value of client 1, HERE
            """,
        ),
        (
            [[1], 5],
            "int32*",
            DataError,
            """
            A sequence is needed in the value of client 1
              found     int: 5
              expected  a list of elements of type int32, or columns
              at        the value of client 1, HERE
            """,
        ),
        (
            [{"text": "letters"}],
            "<text=str*>",
            DataError,
            """
            A sequence is needed in the value of client 0
              found     str: 'letters'
              expected  a list of elements of type str, or columns
              at        .text of the value of client 0, HERE
            """,
        ),
    ],
)
def test_an_error_names_the_client_and_the_path(
    refused, values: Any, type_: str, sort: type[FoedusError], message: str
):
    with refused(sort, message):
        cohort_of(values, parse(type_))


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ([1.5, 2.5], "float32*"),
        (np.array([1.5, 2.5], np.float32), "float32*"),
        ((1.5, 2.5), "float32*"),
        (iter([1.5, 2.5]), "float32*"),
    ],
)
def test_forms_of_a_sequence(value: Any, type_: str):
    assert clients(cohort_of([value], parse(type_))) == [[1.5, 2.5]]


def test_columns_are_a_cheap_form_of_a_sequence():
    columns = {"x": np.arange(4, dtype=np.float32).reshape(2, 2), "y": [1, 2]}
    (elements,) = clients(cohort_of([columns], parse("<x=float32[2],y=int32>*")))
    assert [(e["x"].tolist(), e["y"]) for e in elements] == [([0, 1], 1), ([2, 3], 2)]


def test_a_sequence_of_another_cohort_is_taken_with_its_transforms():
    ragged = Ragged(int32, np.arange(5, dtype=np.int32), np.array([0, 3]), np.array([3, 2]))
    for transforms in [(), (Repeat(2),), (Shuffle(1),), (Batch(2),)]:
        source = Ragged(ragged.element, ragged.columns, ragged.first, ragged.count, None, transforms)
        views = {"ada": Elements(source, 0, "ada"), "bea": Elements(source, 1, "bea")}
        element = "int32[?]" if transforms == (Batch(2),) else "int32"
        gathered = cohort_of(views, parse(f"{element}*"))
        assert gathered.value.transforms == ()
        for i, view in enumerate(views.values()):
            assert [e.tolist() for e in gathered.client(i)] == [e.tolist() for e in view]


def numbered(cohort: Cohort) -> list[Any]:
    return [[(x.tolist(), int(n)) for x, n in client] for client in clients(cohort)]


NUMBERED = parse("<int32[?],int32>*")


def test_batches_with_a_number_each():
    """Of an element with rows in some tensors, the others have one entry each, whatever rows there are."""
    values = {"b": [([1, 2, 3], 3), ([4], 1)], "c": [], "a": [(np.zeros(0, np.int32), 0)], "d": [([5], 1)]}
    cohort = cohort_of(values, NUMBERED)
    assert [column.tolist() for column in cohort.value.columns] == [[1, 2, 3, 4, 5], [3, 1, 0, 1]]
    assert cohort.value.rows.tolist() == [0, 3, 4, 4, 5]
    assert numbered(cohort) == [values["b"], [], [([], 0)], values["d"]]
    assert numbered(cohort.take([3, 1, 0])) == [values["d"], [], values["b"]]
    again = cohort_of({i: cohort.client(k) for k, i in enumerate(cohort.ids)}, NUMBERED)
    assert numbered(again) == numbered(cohort)
    assert numbered(cohort_of({"a": [], "b": []}, NUMBERED)) == [[], []]
    assert numbered(cohort_of({}, NUMBERED)) == []


def test_batches_that_are_made_and_counted_where_they_are_read_can_be_gathered():
    counted = kind("jax").trace(lambda x: (x, np.int32(x.shape[0])), parse("int32[?]"))
    ragged = Ragged(int32, np.arange(6, dtype=np.int32), np.array([0, 5, 6]), np.array([5, 1, 0]), None)
    source = replace(ragged, transforms=(Batch(2), Map(counted)))
    gathered = cohort_of([Elements(source, i, i) for i in range(3)], NUMBERED)
    assert gathered.value.transforms == ()
    assert numbered(gathered) == [[([0, 1], 2), ([2, 3], 2), ([4], 1)], [([5], 1)], []]


def test_a_sequence_of_known_lengths_is_one_of_any_length():
    known = cohort_of([[([1, 2], 3), ([4, 5], 6)], []], parse("<int32[2],int32>*"))
    assert numbered(cohort_of([known.client(0), known.client(1)], NUMBERED)) == [
        [([1, 2], 3), ([4, 5], 6)],
        [],
    ]


def test_taking_clients_shares_the_columns():
    cohort = cohort_of([[1, 2], [3], []], parse("int32*"))
    assert cohort.take([2, 0]).value.columns is cohort.value.columns
