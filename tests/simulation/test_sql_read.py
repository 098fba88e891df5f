# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from foedus.errors import CorruptDataError, DataError, MissingDataError
from foedus.simulation import ClientData, open_sql, save_sql
from foedus.simulation._example_proto import Feature, encode_example
from foedus.simulation.datasets import emnist
from foedus.types import parse

TABLES = (
    "CREATE TABLE examples (split_name TEXT, client_id TEXT, serialized_example_proto BLOB)",
    "CREATE TABLE client_metadata (client_id TEXT, split_name TEXT, num_examples INTEGER)",
)
INDEX = "CREATE INDEX by_client ON examples (client_id, split_name)"
VISIT = {"day": "int32", "heat": ("float32", (2,)), "note": "str"}


def visit(day: int, note: str = "") -> dict[str, Feature]:
    return {"day": np.array([day]), "heat": np.array([day, -day], np.float32), "note": [note.encode()]}


def write(
    path: Path, rows, *, counts: Mapping | None = None, commands=(*TABLES, INDEX), split="train"
) -> Path:
    """A file with one row for each (client, message or features)."""
    found: dict[str, int] = {}
    with closing(sqlite3.connect(path)) as connection, connection:
        for command in commands:
            connection.execute(command)
        for client, features in rows:
            message = encode_example(features) if isinstance(features, dict) else features
            connection.execute("INSERT INTO examples VALUES (?, ?, ?)", (split, client, message))
            found[client] = found.get(client, 0) + 1
        for client, count in (found if counts is None else counts).items():
            connection.execute("INSERT INTO client_metadata VALUES (?, ?, ?)", (client, split, count))
    return path


VISITS = [("b", visit(1)), ("a", visit(2, "é")), ("b", visit(3)), ("c", visit(4)), ("b", visit(2))]


@pytest.fixture(
    params=["with an index", "without an index", "with an index on clients", "with a partial index"]
)
def visits(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    indexes = {
        "with an index": (INDEX,),
        "without an index": (),
        "with an index on clients": ("CREATE INDEX i ON examples (client_id)",),
        "with a partial index": ("CREATE INDEX i ON examples (client_id) WHERE split_name = 'test'",),
    }
    return write(tmp_path / "visits ?#%.sqlite", VISITS, commands=(*TABLES, *indexes[request.param]))


def test_reads_clients_sorted_and_examples_in_order(visits: Path):
    data = open_sql(visits, "train", element_type=VISIT)
    assert data.ids == ("a", "b", "c")
    assert data.sizes() == {"a": 1, "b": 3, "c": 1}
    assert data.element_type == parse("<day=int32,heat=float32[2],note=str>")
    assert data.columns("b")["day"].tolist() == [1, 3, 2]
    (example,) = data.examples("a")
    assert (example["day"], example["heat"].tolist(), example["note"]) == (2, [2, -2], "é")


def test_reads_only_the_cohort(visits: Path):
    cohort = open_sql(visits, "train", element_type=VISIT).cohort(["c", "b"])
    assert cohort.value.columns[0].tolist() == [4, 1, 3, 2]
    assert (cohort.value.first.tolist(), cohort.value.count.tolist()) == ([0, 1], [1, 3])


def test_in_memory_gives_the_same_and_shares(visits: Path):
    data = open_sql(visits, "train", element_type=VISIT).select(["c", "b"]).repeat(2)
    resident = data.in_memory()
    assert resident.ids == data.ids == ("c", "b")
    assert resident.columns("b")["day"].tolist() == data.columns("b")["day"].tolist() == [1, 3, 2] * 2
    visits.unlink()
    one, other = resident.cohort(["c"]).value.columns, resident.cohort(["b"]).value.columns
    assert np.shares_memory(one[1], other[1])


def test_the_file_is_never_changed(visits: Path):
    before = visits.read_bytes()
    open_sql(visits, "train", element_type=VISIT).in_memory()
    assert visits.read_bytes() == before
    assert [path.name for path in visits.parent.iterdir()] == [visits.name]


def test_reads_from_several_threads(visits: Path):
    data = open_sql(visits, "train", element_type=VISIT)
    found: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: found.append(data.columns("b")["day"].tolist())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1, 3, 2]] * 4


def test_integers_of_every_dtype_that_holds_them(tmp_path: Path):
    path = write(tmp_path / "f", [("a", {"x": np.array([0, 1]), "y": np.array([0.5], np.float32)})])
    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        data = open_sql(path, "train", element_type={"x": (dtype, (2,)), "y": "float64"})
        column = data.columns("a")["x"]
        assert (column.dtype.name, column.tolist()) == (dtype, [[0, 1]])
        assert data.columns("a")["y"].dtype == np.float64


def test_clients_without_examples(tmp_path: Path):
    path = write(tmp_path / "f", VISITS, counts={"a": 1, "b": 3, "c": 1, "0": 0})
    data = open_sql(path, "train", element_type=VISIT)
    assert data.ids[0] == "0"
    assert data.examples("0") == []
    assert data.columns("0")["heat"].shape == (0, 2)
    nobody = open_sql(write(tmp_path / "g", [], counts={"a": 0}), "train", element_type=VISIT)
    assert nobody.in_memory().sizes() == {"a": 0}


def test_a_value_without_a_kind_is_an_empty_one(tmp_path: Path):
    path = write(tmp_path / "f", [("a", {"x": None, "n": None, "s": None})])
    data = open_sql(
        path, "train", element_type={"x": ("float32", (0,)), "n": ("int8", (2, 0)), "s": ("str", (0,))}
    )
    (example,) = data.examples("a")
    assert (example["x"].shape, example["n"].shape, example["s"].shape) == ((0,), (2, 0), (0,))


def test_ids_and_splits_are_no_sql(tmp_path: Path):
    name = "'; DROP TABLE examples; --"
    path = write(tmp_path / "f", [(name, visit(1))], split=name)
    assert open_sql(path, name, element_type=VISIT).ids == (name,)


# ---------------------------------------------------------------- what is wrong with an example


BAD_EXAMPLES = [
    (
        {"day": np.array([1]), "heat": np.zeros(2, np.float32)},
        "The field 'note' is missing, in client 'b'\n"
        "  found     fields day, heat\n"
        "  expected  fields day, heat, note\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite\n"
        "  hint      give the element type that the file holds; `map` can leave fields out afterwards",
    ),
    (
        {**visit(1), "wind": np.array([1])},
        "The field 'wind' is not declared, in client 'b'\n"
        "  found     fields day, heat, note, wind\n"
        "  expected  fields day, heat, note\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite\n"
        "  hint      give the element type that the file holds; `map` can leave fields out afterwards",
    ),
    (
        {**visit(1), "heat": np.zeros(3, np.float32)},
        "The field 'heat' has the wrong number of values, in client 'b'\n"
        "  found     3 values\n"
        "  expected  2, for float32[2]\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite",
    ),
    (
        {**visit(1), "heat": np.array([1, 2])},
        "The field 'heat' has another kind of values, in client 'b'\n"
        "  found     an int64 list\n"
        "  expected  a float list, for float32[2]\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite",
    ),
    (
        visit(2**31),
        "A value of the field 'day' does not fit, in client 'b'\n"
        "  found     2147483648\n"
        "  expected  int32\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite",
    ),
    (
        encode_example(visit(1))[:-1],
        "This is no tf.train.Example: a field of 50 bytes has only 49, in client 'b'\n"
        "  at        byte 0, example 1 of client 'b', split 'train', TMP/f.sqlite\n"
        "  hint      the file is damaged: fetch it again",
    ),
    (
        encode_example({"day": np.array([300])}).replace(b"\xac\x02", b"\xac\x82"),
        "This is no tf.train.Example: packed integers end within a number, in client 'b'\n"
        "  at        byte 17, in the feature 'day', example 1 of client 'b', split 'train', TMP/f.sqlite\n"
        "  hint      the file is damaged: fetch it again",
    ),
    (
        "text",
        "An example is no bytes, in client 'b'\n"
        "  found     str\n"
        "  at        example 1 of client 'b', split 'train', TMP/f.sqlite\n"
        "  hint      the file is damaged: fetch it again",
    ),
]


@pytest.mark.parametrize(("bad", "text"), BAD_EXAMPLES)
def test_a_bad_example_is_found_with_its_client(bad, text: str, tmp_path: Path, told):
    path = write(tmp_path / "f.sqlite", [("a", visit(1)), ("b", visit(1)), ("b", bad)])
    data = open_sql(path, "train", element_type=VISIT)
    assert told(data.in_memory) == text
    assert len(data.examples("a")) == 1


def test_a_wrong_declaration_fails_when_the_file_is_opened(tmp_path: Path, told):
    path = write(tmp_path / "f.sqlite", VISITS)
    text = told(lambda: open_sql(path, "train", element_type={**VISIT, "heat": ("float32", (3,))}))
    assert text.startswith("The field 'heat' has the wrong number of values, in client 'a'\n")


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (
            "float32",
            "Examples of this file format are structs with named fields\n"
            "  found     float32\n"
            "  expected  such as <label=int32,pixels=float32[28,28]>",
        ),
        (
            {"x": ("float32", (None,))},
            "A field of this file format has one dtype and a known shape\n"
            "  found     float32[?]\n"
            "  expected  such as float32[28,28]\n"
            "  at        .x of the element type",
        ),
        (
            {"x": "complex64"},
            "This file format cannot hold a field of this dtype\n"
            "  found     complex64\n"
            "  expected  float32, float64, bool, str, or an integer dtype\n"
            "  at        .x of the element type",
        ),
    ],
)
def test_types_that_no_file_holds(element, text: str, tmp_path: Path, told):
    assert told(lambda: open_sql(write(tmp_path / "f", VISITS), "train", element_type=element)) == text


# ---------------------------------------------------------------- what is wrong with a file


def test_a_split_that_is_not_there(tmp_path: Path, told):
    path = write(tmp_path / "f.sqlite", VISITS)
    assert told(lambda: open_sql(path, "tests", element_type=VISIT)) == (
        "There is no split 'tests' in f.sqlite\n  found     splits train\n  at        TMP/f.sqlite"
    )


def test_a_file_that_is_not_there(tmp_path: Path, told):
    with pytest.raises(MissingDataError):
        open_sql(tmp_path / "f.sqlite", "train", element_type=VISIT)
    assert told(lambda: open_sql(tmp_path / "f.sqlite", "train", element_type=VISIT)) == (
        "There is no file f.sqlite\n  found     nothing at TMP/f.sqlite"
    )
    (tmp_path / "g").mkdir()
    assert told(lambda: open_sql(tmp_path / "g", "train", element_type=VISIT)) == (
        "There is no file g\n  found     TMP/g is a folder"
    )


def test_a_file_of_another_format(tmp_path: Path, told):
    path = tmp_path / "f.sqlite"
    path.write_bytes(b"PK\x03\x04" + bytes(5000))
    assert told(lambda: open_sql(path, "train", element_type=VISIT)) == (
        "f.sqlite cannot be read\n"
        "  found     file is not a database\n"
        "  expected  a SQLite file\n"
        "  at        TMP/f.sqlite\n"
        "  hint      the file is damaged or is no SQLite file: fetch it again"
    )


def test_an_empty_file_has_no_tables(tmp_path: Path, told):
    (tmp_path / "f.sqlite").touch()
    assert told(lambda: open_sql(tmp_path / "f.sqlite", "train", element_type=VISIT)) == (
        "f.sqlite is a SQLite file of another kind\n"
        "  found     no table 'examples'\n"
        "  expected  examples(split_name, client_id, serialized_example_proto); "
        "client_metadata(client_id, split_name, num_examples)\n"
        "  at        TMP/f.sqlite\n"
        "  hint      federated data is in the file format of TFF's data sets"
    )


@pytest.mark.parametrize(
    ("examples", "found"),
    [
        (
            "CREATE TABLE examples (client_id, serialized_example_proto)",
            "the table 'examples' lacks split_name",
        ),
        ("CREATE VIEW examples AS SELECT 1 AS split_name, 2 AS client_id", "no table 'examples'"),
        ("CREATE VIRTUAL TABLE examples USING fts5(split_name)", "no table 'examples'"),
    ],
)
def test_tables_of_another_kind(examples: str, found: str, tmp_path: Path, told):
    path = write(tmp_path / "f", [], commands=(examples, TABLES[1]))
    assert found in told(lambda: open_sql(path, "train", element_type=VISIT)).splitlines()[1]


def test_truncated_files_are_corrupt(tmp_path: Path):
    save_sql(tmp_path / "whole", {"train": emnist.synthetic(writers=3).train})
    whole = (tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut"
    for size in (0, 1, 50, 100, 1000, 4096, 5000, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(CorruptDataError):
            open_sql(cut, "train", element_type=emnist.ELEMENT_TYPE).in_memory()


def test_damaged_files_give_our_errors_or_data(tmp_path: Path):
    save_sql(tmp_path / "whole", {"train": emnist.synthetic(writers=3).train})
    whole = (tmp_path / "whole").read_bytes()
    rng = np.random.default_rng(0)
    damaged = tmp_path / "damaged"
    failed = 0
    for _ in range(60):
        data = bytearray(whole)
        # Where the pages of SQLite begin is what it needs most; damage to pixels would not be seen.
        at = int(rng.integers(0, len(data) // 4096)) * 4096 + int(rng.integers(0, 64))
        data[at : at + 64] = rng.bytes(64)
        damaged.write_bytes(data)
        try:
            open_sql(damaged, "train", element_type=emnist.ELEMENT_TYPE).in_memory()
        except (DataError, MissingDataError):
            failed += 1
    assert failed > 10


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (
            {"a": 1, "b": 2, "c": 1},
            "f does not hold the examples that it lists for client 'b'\n"
            "  found     3 examples\n"
            "  expected  2, as the table client_metadata says\n"
            "  at        client 'b', split 'train', TMP/f\n"
            "  hint      the file is incomplete: fetch it again",
        ),
        (
            {"a": 1, "b": 3, "c": 1, "d": 1},
            "f does not hold the examples that it lists for client 'd'\n"
            "  found     0 examples\n"
            "  expected  1, as the table client_metadata says\n"
            "  at        client 'd', split 'train', TMP/f\n"
            "  hint      the file is incomplete: fetch it again",
        ),
        (
            {"a": 1, "b": 10**15},
            "f claims more examples than it can hold\n"
            "  found     1000000000000000 examples of client 'b', in {size} bytes\n"
            "  at        split 'train' of TMP/f",
        ),
        (
            {"a": -1},
            "The table of clients in f is damaged\n"
            "  found     client 'a' with -1 examples\n"
            "  at        split 'train' of TMP/f\n"
            "  hint      the file is damaged or is no SQLite file: fetch it again",
        ),
    ],
)
def test_counts_that_cannot_be_true(counts: Mapping, text: str, visits: Path, told):
    with closing(sqlite3.connect(visits)) as connection, connection:
        connection.execute("DELETE FROM client_metadata")
        rows = [(client, "train", count) for client, count in counts.items()]
        connection.executemany("INSERT INTO client_metadata VALUES (?, ?, ?)", rows)
    path = visits.rename(visits.with_name("f"))

    def read() -> ClientData:
        return open_sql(path, "train", element_type=VISIT).in_memory()

    with pytest.raises(CorruptDataError):
        read()
    assert told(read) == text.format(size=path.stat().st_size)


def test_clients_that_come_twice_or_are_no_text(tmp_path: Path, told):
    path = write(tmp_path / "f", VISITS)
    for client, found in (
        ("a", "client 'a' with 1 examples, twice"),
        (b"\xff", "client b'\\xff' with 1 examples"),
    ):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO client_metadata VALUES (?, 'train', 1)", (client,))
        assert (
            told(lambda: open_sql(path, "train", element_type=VISIT)).splitlines()[1]
            == f"  found     {found}"
        )
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "DELETE FROM client_metadata WHERE rowid = (SELECT max(rowid) FROM client_metadata)"
            )


def test_text_that_is_no_utf_8_is_corrupt(tmp_path: Path, told):
    path = write(tmp_path / "f", VISITS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO client_metadata VALUES (CAST(x'ff' AS TEXT), 'train', 1)")
    with pytest.raises(CorruptDataError, match="f cannot be read"):
        open_sql(path, "train", element_type=VISIT)
