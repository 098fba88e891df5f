# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of clients from round to round: what living ones hold stays, and room is made for others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foedus.tff import _datasets_at_clients as held
from foedus.types import Type, to_type

tf: Any = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow


def numbers(first: int, count: int) -> Any:
    return tf.data.Dataset.from_tensor_slices(np.arange(first, first + count, dtype=np.int32)).batch(3)


def read(datasets: Any, element: Type) -> dict[Any, list[list[int]]]:
    cohort = held.cohort_of_datasets(datasets, element)
    return {client: [batch.tolist() for batch in cohort.client(i)] for i, client in enumerate(cohort.ids)}


def test_room_is_made_for_those_that_live(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held, "_FIRST_BYTES", 160)  # Room for 20 rows, or 2 batches of them at first.
    held._held_for.cache_clear()
    element = to_type(numbers(0, 3).element_spec)
    kept = {"kept": numbers(0, 4)}
    for number in range(1, 9):
        passing = {f"new{number}": numbers(100 * number, 7)}  # Gone after its round.
        assert read({**kept, **passing}, element) == {
            "kept": [[0, 1, 2], [3]],
            f"new{number}": [[100 * number + i for i in own] for own in ([0, 1, 2], [3, 4, 5], [6])],
        }
    living = held._held_for(element)
    assert len(living._numbers) == 2
    assert living._stock._most_bytes <= 160 * 8, "room was made for data sets that are gone"
    held._held_for.cache_clear()


def test_a_shuffled_data_set_keeps_its_first_order_when_room_is_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held, "_FIRST_BYTES", 160)
    held._held_for.cache_clear()
    shuffled = numbers(0, 12).unbatch().shuffle(12, seed=1, reshuffle_each_iteration=True).batch(12)
    element = to_type(shuffled.element_spec)
    first = read([shuffled], element)
    others = [numbers(50, 9) for _ in range(6)]
    assert read([shuffled, *others], element)[0] == first[0]
    assert sorted(first[0][0]) == list(range(12))
    held._held_for.cache_clear()


def test_names_are_ids_and_strings_are_read_anew():
    words = tf.data.Dataset.from_tensor_slices(["a", "bc"])
    cohort = held.cohort_of_datasets({"x": words, "y": words}, to_type(words.element_spec))
    assert cohort.ids == ("x", "y")
    assert [[str(word) for word in cohort.client(i)] for i in range(2)] == [["a", "bc"]] * 2
