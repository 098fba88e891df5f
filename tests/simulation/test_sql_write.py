# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from foedus.errors import DataError, OutputError
from foedus.simulation import ClientData, open_sql, save_sql
from foedus.simulation._sql_file import is_indexed, read_splits, reading

ELEMENT = {"day": "int16", "heat": ("float32", (2,)), "note": "str", "wet": "bool"}


@pytest.fixture
def diary() -> ClientData:
    clients = {
        "b": [
            {"day": -3, "heat": np.array([1.5, np.nan], np.float32), "note": "é\0", "wet": True},
            {"day": 300, "heat": np.array([-0.0, 2], np.float32), "note": "", "wet": False},
        ],
        "a": [],
    }
    return ClientData.from_clients(clients, element_type=ELEMENT)


def test_what_is_saved_can_be_opened(diary: ClientData, tmp_path: Path):
    path = tmp_path / "new folder" / "diary.sqlite"
    save_sql(path, {"all": diary, "some": diary.select(["b"]).take(1)})
    assert read_splits(path) == {"all": 2, "some": 1}
    opened = open_sql(path, "all", element_type=ELEMENT)
    assert opened.sizes() == {"a": 0, "b": 2}
    for name, column in diary.columns("b").items():
        np.testing.assert_array_equal(opened.columns("b")[name], column)
        assert opened.columns("b")[name].dtype == column.dtype
    assert open_sql(path, "some", element_type=ELEMENT).sizes() == {"b": 1}


def test_transforms_are_done_before(diary: ClientData, tmp_path: Path):
    numbers = ClientData.from_arrays({"x": np.arange(4, dtype=np.int32)}, ["p", "p", "q", "p"])
    save_sql(tmp_path / "f", {"train": numbers.filter(lambda e: e["x"] % 2 == 1).repeat(2)})
    opened = open_sql(tmp_path / "f", "train", element_type={"x": "int32"})
    assert opened.sizes() == {"p": 4, "q": 0}
    assert opened.columns("p")["x"].tolist() == [1, 3, 1, 3]


def test_the_file_has_an_index_and_is_the_same_each_time(diary: ClientData, tmp_path: Path):
    for name in ("one", "two"):
        save_sql(tmp_path / name, {"train": diary})
    with reading(tmp_path / "one") as connection:
        assert is_indexed(connection)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_older_file_is_replaced_whole_or_not_at_all(diary: ClientData, tmp_path: Path):
    path = tmp_path / "f"
    save_sql(path, {"train": diary})
    before = path.read_bytes()
    broken = ClientData.from_arrays({"x": np.array([1, 2**63 + 1], np.uint64)}, ["a", "b"])
    with pytest.raises(DataError, match="A value of the field 'x' does not fit"):
        save_sql(path, {"train": broken})
    assert path.read_bytes() == before
    save_sql(path, {"test": diary})
    assert list(read_splits(path)) == ["test"]
    assert [other.name for other in tmp_path.iterdir()] == ["f"]


def test_saving_data_over_the_file_it_comes_from(diary: ClientData, tmp_path: Path):
    path = tmp_path / "f"
    save_sql(path, {"train": diary})
    save_sql(path, {"train": open_sql(path, "train", element_type=ELEMENT).repeat(2)})
    assert open_sql(path, "train", element_type=ELEMENT).sizes() == {"a": 0, "b": 4}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            ClientData.from_arrays({"x": np.zeros(2)}, ["a", "b"]),
            "This file format cannot hold a field of this dtype\n"
            "  found     float64\n"
            "  expected  float32, bool, str, or an integer dtype\n"
            "  at        .x of the element type",
        ),
        (
            ClientData.from_arrays(np.zeros(2, np.float32), ["a", "b"]),
            "Examples of this file format are structs with named fields\n"
            "  found     float32\n"
            "  expected  such as <label=int32,pixels=float32[28,28]>",
        ),
        (
            ClientData.from_arrays({"x": np.zeros(2, np.float32)}, ["a", "b"]).batch(2),
            "A field of this file format has one dtype and a known shape\n"
            "  found     float32[?]\n"
            "  expected  such as float32[28,28]\n"
            "  at        .x of the element type",
        ),
        (
            ClientData.from_arrays({"x": np.zeros(2, np.float32)}, [7, 8]),
            "Client ids in this file format are strings\n"
            "  found     7 in the split 'train'\n"
            "  hint      make the data again, with str(id) for each id",
        ),
        (
            ClientData.from_arrays({"x": np.array(["\ud800"], dtype=object)}, ["a"]),
            "A string of the field 'x' cannot be encoded\n  found     surrogates not allowed",
        ),
    ],
)
def test_what_the_format_cannot_hold(data: ClientData, text: str, tmp_path: Path, told):
    assert told(lambda: save_sql(tmp_path / "f", {"train": data})) == text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(diary: ClientData, tmp_path: Path, told):
    (tmp_path / "f").touch()
    assert told(lambda: save_sql(tmp_path / "f" / "g.sqlite", {"train": diary})) == (
        "g.sqlite cannot be written\n"
        "  found     File exists\n"
        "  at        TMP/f\n"
        "  hint      choose a folder that you may write to"
    )


def test_a_file_that_sqlite_cannot_write(diary: ClientData, tmp_path: Path):
    (tmp_path / "f").mkdir()
    with pytest.raises(OutputError):
        save_sql(tmp_path / "f", {"train": diary})
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_the_schema_is_that_of_tff(diary: ClientData, tmp_path: Path):
    save_sql(tmp_path / "f", {"train": diary})
    with closing(sqlite3.connect(tmp_path / "f")) as connection:
        query = "SELECT client_id, split_name, num_examples FROM client_metadata ORDER BY client_id"
        assert connection.execute(query).fetchall() == [("a", "train", 0), ("b", "train", 2)]
        query = "SELECT split_name, client_id, typeof(serialized_example_proto) FROM examples"
        assert connection.execute(query).fetchall() == [("train", "b", "blob")] * 2
