# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from foedus.errors import TypeMismatchError
from foedus.simulation import ClientData
from foedus.types import parse


class Reading(NamedTuple):
    place: object
    heat: object


def test_rows_that_lie_together_are_not_copied():
    column = np.arange(6, dtype=np.float32)
    together = ClientData.from_arrays(column, [3, 3, 1, 2, 2, 2])
    assert together.ids == (3, 1, 2)
    assert np.shares_memory(together.cohort().value.columns, column)
    column[0] = 7  # the caller may still write to it
    scattered = ClientData.from_arrays(column, [3, 1, 3, 2, 1, 2])
    assert not np.shares_memory(scattered.cohort().value.columns, column)
    assert scattered.columns(1).tolist() == [1, 4]


@pytest.mark.parametrize("ids", [[3, 3, 1, 3, 2, 2], ["p", "p", "q", "p", "p\0", "q"]])
def test_an_array_of_ids_is_as_good_as_a_list(ids: list[Any]):
    column = np.arange(6, dtype=np.float32)
    listed = ClientData.from_arrays(column, ids)
    for kind in (None, object):
        found = ClientData.from_arrays(column, np.array(ids, kind))
        if kind is object or "p\0" not in ids:  # NumPy drops a zero at the end of a string.
            assert found.ids == listed.ids
            assert [found.examples(i) for i in found.ids] == [listed.examples(i) for i in listed.ids]


def test_columns_may_be_nested_and_in_any_container():
    columns = Reading(
        {"floor": np.array([1, 2], np.uint8), "name": np.array(["x", "y"])},
        np.array([[1.0], [2.0]], np.float64),
    )
    data = ClientData.from_arrays(columns, np.array(["p", "q"]))
    assert data.element_type == parse("<place=<floor=uint8,name=str>,heat=float64[1]>")
    (example,) = data.examples("q")
    assert isinstance(example, Reading)
    assert example.place == {"floor": 2, "name": "y"}
    assert isinstance(data.columns("q"), Reading)


def test_strings_are_kept_whole():
    data = ClientData.from_arrays(np.array([b"na\xc3\xafve", "a\0", "\xfc"], dtype=object), ["", "\0", ""])
    assert data.ids == ("", "\0")
    assert data.examples("") == ["naïve", "ü"]
    assert data.examples("\0") == ["a\0"]


def test_no_rows_are_no_clients():
    data = ClientData.from_arrays({"x": np.zeros((0, 3), np.float32)}, [])
    assert data.ids == ()
    assert len(data.cohort()) == 0
    assert data.element_type == parse("<x=float32[3]>")


@pytest.mark.parametrize(
    ("columns", "ids", "text"),
    [
        (
            {"x": np.zeros(3), "y": {"z": np.zeros(2)}},
            [1, 2, 3],
            "The columns differ in length\n"
            "  found     2 rows\n"
            "  expected  3 rows, as in the first column\n"
            "  at        .y.z of the columns",
        ),
        (
            {"x": np.zeros(3)},
            [1, 2],
            "There must be one client id for each row\n  found     2 ids\n  expected  3",
        ),
        (
            {"x": [1.0, 2.0]},
            [1, 2],
            "A column must be an array with one row for each example\n"
            "  found     list: [1.0, 2.0]\n"
            "  at        .x of the columns\n"
            "  hint      give it a dtype, as in np.asarray(values, dtype=np.float32)",
        ),
        (
            {"x": np.array([np.zeros(1), np.zeros(2)], dtype=object)},
            [1, 2],
            "A column of objects can only hold strings\n"
            "  found     ndarray: array([0.])\n"
            "  at        .x of the columns\n"
            "  hint      give it a number's dtype; examples of unequal size need `from_clients`",
        ),
        ({}, [], "There are no columns\n  found     dict"),
        (np.zeros(2), [0.5, 1.0], "A client id is a string or a whole number\n  found     float: 0.5"),
        (np.zeros(2), [True, False], "A client id is a string or a whole number\n  found     bool: True"),
        (
            np.zeros(2),
            [1, "1"],
            "Client ids are all strings or all whole numbers\n  found     [1, '1']",
        ),
    ],
)
def test_what_cannot_be_grouped(columns, ids, text: str, told):
    assert told(lambda: ClientData.from_arrays(columns, ids)) == text


def test_a_dtype_that_the_language_lacks(told):
    text = told(lambda: ClientData.from_arrays({"when": np.zeros(1, "datetime64[s]")}, [1]))
    assert text.startswith(
        "A column cannot have this dtype\n  found     datetime64[s]\n  expected  bool, int8"
    )
    assert text.endswith("at        .when of the columns")


def test_clients_as_columns_or_lists():
    data = ClientData.from_clients(
        {
            "a": [{"x": 1.0, "y": 2}, {"x": 3.0, "y": 4}],
            "none": [],
            "b": {"x": np.array([5.0], np.float32), "y": np.array([6], np.int32)},
        }
    )
    assert data.element_type == parse("<x=float32,y=int32>")
    assert data.sizes() == {"a": 2, "none": 0, "b": 1}
    assert data.examples("a")[1] == {"x": 3.0, "y": 4}
    assert data.examples("b") == [{"x": 5.0, "y": 6}]
    assert data.examples("none") == []
    assert data.columns("none")["x"].shape == (0,)


def test_clients_of_a_declared_type():
    data = ClientData.from_clients({1: [[1, 2], [3, 4]], 2: []}, element_type=("float32", (2,)))
    assert data.columns(1).tolist() == [[1, 2], [3, 4]]
    assert data.columns(2).shape == (0, 2)
    assert ClientData.from_clients({}, element_type="int32").ids == ()


def test_clients_with_batches_of_their_own():
    batches = {"a": [[1.0, 2.0], [3.0]], "b": [[4.0]]}
    data = ClientData.from_clients(batches, element_type=("float32", (None,)))
    assert [batch.tolist() for batch in data.examples("a")] == [[1, 2], [3]]
    assert [batch.tolist() for batch in data.cohort(["b"]).client(0)] == [[4]]
    assert data.sizes() == {"a": 2, "b": 1}


def test_clients_that_differ(told):
    clients = {"a": [{"x": 1.0}], "b": [{"x": 2.0}, {"z": 2.0}]}
    assert told(lambda: ClientData.from_clients(clients)) == (
        "The field 'x' is missing in the value of client 'b'\n"
        "  found     fields z\n"
        "  expected  fields x\n"
        "  at        [1] of the value of client 'b'"
    )
    with pytest.raises(TypeMismatchError, match="Wrong dtype in the value of client 'b'"):
        ClientData.from_clients({"a": np.zeros(2, np.float32), "b": np.zeros(2)})


def test_clients_whose_type_cannot_be_told(told):
    assert told(lambda: ClientData.from_clients({"a": []})) == (
        "The type of an example cannot be told: no client has any\n"
        '  hint      say it: from_clients(..., element_type={"x": ("float32", (8,)), "y": "int32"})'
    )
    unnamed: Any = [[1.0]]
    assert told(lambda: ClientData.from_clients(unnamed)) == (
        "The clients must be a mapping from their ids to their examples\n  found     list"
    )
