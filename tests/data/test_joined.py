# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Columns that lie in several arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import foedus as fd
from foedus.data import Elements, cohort_of, cohort_of_elements, in_memory, to_member
from foedus.data._joined import JoinedColumn
from foedus.types import sequence, struct

PART = st.lists(st.integers(0, 99), max_size=4)


@given(st.lists(PART, min_size=1, max_size=5), st.integers(0, 22), st.integers(0, 22))
def test_reads_as_one_array(parts: list[list[int]], start: int, stop: int):
    arrays = [np.array(part, np.int32) for part in parts]
    column, whole = JoinedColumn(arrays), np.concatenate(arrays)
    assert (len(column), column.shape, column.dtype, column.nbytes) == (
        len(whole),
        whole.shape,
        whole.dtype,
        whole.nbytes,
    )
    assert np.array_equal(column[start:stop], whole[start:stop])
    assert np.array_equal(np.asarray(column), whole)
    assert [int(column[i]) for i in range(len(whole))] == whole.tolist()


def test_what_lies_in_one_part_is_not_copied():
    first, second = np.zeros((3, 2)), np.ones((4, 2))
    assert np.shares_memory(JoinedColumn([first, second])[3:6], second)


def test_cohorts_of_sequences_in_columns_equal_others():
    element = struct(x=fd.float32, y=fd.int32)
    values = {
        "b": {"x": np.arange(3, dtype=np.float32), "y": np.arange(3, dtype=np.int32)},
        "a": {"x": np.zeros(0, np.float32), "y": np.zeros(0, np.int32)},
        "c": {"x": np.array([7], np.float32), "y": np.array([8], np.int32)},
    }
    members: dict[str | int, Elements] = {
        client: to_member(value, sequence(element), "a value", client) for client, value in values.items()
    }
    made = cohort_of_elements(members, element)
    expected = cohort_of(values, sequence(element))

    @fd.computation(fd.at_clients(sequence(element)))
    def total(data: Any) -> Any:
        sums = fd.federated_map(lambda s: s.fold(lambda a, e: a + e["x"] * e["y"], np.float32(0)), data)
        return fd.federated_sum(sums), sums

    for runtime in (fd.runtime.local(), fd.runtime.reference()):
        with fd.use(runtime):
            found = [total(cohort) for cohort in (made, in_memory(made), expected)]
        assert found[0] == found[1] == found[2]
        assert float(found[0][0]) == 0 + 1 + 4 + 56


def test_columns_of_rows_and_of_elements_are_joined_each_by_its_own_lengths():
    batches = sequence(struct(x=(fd.int32, [None]), n=fd.int32))
    values = {
        "b": [{"x": [1, 2], "n": 20}, {"x": np.zeros(0, np.int32), "n": 0}],
        "a": [],
        "c": [{"x": [3], "n": 10}],
    }
    members: dict[str | int, Elements] = {
        client: to_member(value, batches, "a value", client) for client, value in values.items()
    }
    made = cohort_of_elements(members, batches.element)
    assert [np.asarray(column).tolist() for column in made.value.columns] == [[1, 2, 3], [20, 0, 10]]
    for cohort in (made, in_memory(made)):
        read = [[(x.tolist(), int(n)) for x, n in cohort.client(i)] for i in range(3)]
        assert read == [[([1, 2], 20), ([], 0)], [], [([3], 10)]]
