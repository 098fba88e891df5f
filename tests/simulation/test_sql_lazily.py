# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Cohorts too large to be read at once are read client by client, in pieces that rounds walk through."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus.errors import CorruptDataError
from foedus.simulation import ClientData, open_sql, save_sql
from foedus.simulation._sql_read import LazyColumn
from foedus.types import float32, int32, sequence

ROWS = {"x": (float32, (3,)), "y": int32}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClientData:
    rng = np.random.default_rng(0)
    owners = np.repeat([f"client {i:02}" for i in range(40)], rng.integers(0, 9, 40))
    columns = {
        "x": rng.normal(size=(len(owners), 3)).astype("float32"),
        "y": np.arange(len(owners), dtype="int32"),
    }
    save_sql(tmp_path / "rows.sqlite", {"train": ClientData.from_arrays(columns, owners)})
    monkeypatch.setattr("foedus.simulation._sql_read._READ_AT_ONCE", 0)
    return open_sql(tmp_path / "rows.sqlite", "train", element_type=ROWS)


@fd.computation(fd.at_clients(sequence({"x": fd.types.tensor(float32, (3,)), "y": int32})))
def moments(rows: Any) -> Any:
    def walk(rows: Any) -> Any:
        return rows.batch(4).fold_padded(
            lambda total, batch, mask: total + (batch["x"].sum(1) * batch["y"] * mask).sum(), 0.0
        )

    return fd.federated_sum(fd.federated_map(walk, rows))


def test_a_round_reads_in_pieces_and_gives_the_same_bits(data: ClientData, monkeypatch: pytest.MonkeyPatch):
    cohort = data.cohort()
    assert all(isinstance(column, LazyColumn) for column in cohort.value.columns)
    runtime = fd.runtime.local(workers=2)
    with fd.use(runtime):
        expected = moments(data.in_memory().cohort())
        monkeypatch.setattr("foedus.runtime._fused._PIECE_BYTES", 600)
        found = moments(cohort)
    assert found == expected
    (schedule,) = runtime.schedules
    assert schedule.pieces >= 3
    assert f"data read in {schedule.pieces} pieces" in str(schedule)


def test_readers_of_all_sorts_see_the_same_rows(data: ClientData):
    held = data.in_memory()
    assert [data.examples(i)[0]["y"] for i in data.ids if data.sizes()[i]] == [
        held.examples(i)[0]["y"] for i in held.ids if held.sizes()[i]
    ]
    lazy, whole = data.cohort(), held.cohort()
    for column, array in zip(lazy.value.columns, whole.value.columns, strict=True):
        assert (column.dtype, column.shape, column.nbytes) == (array.dtype, array.shape, array.nbytes)
        np.testing.assert_array_equal(column[3:57], array[3:57])
        np.testing.assert_array_equal(column[5], array[5])
        assert column[4:4].shape == array[4:4].shape
    with fd.use(fd.runtime.reference()):
        assert moments(lazy) == moments(whole)


def test_a_client_that_cannot_be_read_is_named_when_its_turn_comes(data: ClientData, tmp_path: Path):
    broken = data.ids[7]
    with closing(sqlite3.connect(tmp_path / "rows.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE examples SET serialized_example_proto = x'ff' WHERE client_id = ?", (broken,)
        )
    cohort = data.cohort()
    with pytest.raises(CorruptDataError, match=str(broken)):
        moments(cohort)
