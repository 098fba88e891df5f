# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Writes client data to SQLite files in the format of TFF's data sets."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from foedus.data import ClientId
from foedus.errors import DataError, OutputError, place
from foedus.simulation._client_data import ClientData
from foedus.simulation._example_columns import Field, features_of, writable_fields
from foedus.simulation._example_proto import encode_example
from foedus.simulation._progress import progress
from foedus.simulation._replace_file import replacing

_AT_ONCE = 100
_SCHEMA = """
CREATE TABLE examples (
    split_name TEXT NOT NULL, client_id TEXT NOT NULL, serialized_example_proto BLOB NOT NULL);
CREATE TABLE client_metadata (
    client_id TEXT NOT NULL, split_name TEXT NOT NULL, num_examples INTEGER NOT NULL);
"""
_INDEX = "CREATE INDEX examples_by_client ON examples (client_id, split_name)"


def save_sql(path: str | os.PathLike[str], splits: Mapping[str, ClientData]) -> None:
    """Saves client data, transforms done, to a file that ``open_sql`` and TFF read.

    The file appears, or replaces an older one, only when it is complete.

    Args:
        path: The file.
        splits: The data of each split under its name. Client ids must be strings, and examples structs with
            named fields of float32, integer, bool or str, of known shape.

    Raises:
        DataError: If the format cannot hold the data; nothing is written.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    fields = {name: writable_fields(data.element_type) for name, data in splits.items()}
    for name, data in splits.items():
        _check_ids(name, data)
    with replacing(path) as temporary:
        try:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
                _write(connection, path.name, splits, fields)
        except sqlite3.Error as error:
            raise OutputError(
                f"{path.name} cannot be written", found=str(error), at=place(str(path.parent))
            ) from error


def _check_ids(split: str, data: ClientData) -> None:
    if data.ids and not isinstance(data.ids[0], str):
        raise DataError(
            "Client ids in this file format are strings",
            found=f"{data.ids[0]!r} in the split {split!r}",
            at=place(),
            hint="make the data again, with str(id) for each id",
        )


def _write(
    connection: sqlite3.Connection,
    name: str,
    splits: Mapping[str, ClientData],
    fields: Mapping[str, tuple[Field, ...]],
) -> None:
    # Nobody reads the file yet: nothing needs to be undone, and one fsync at the end is enough.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executescript(_SCHEMA)
    connection.execute("BEGIN")
    with progress(f"Writing {name}", sum(sum(data.sizes().values()) for data in splits.values())) as advance:
        for split, data in splits.items():
            for client, messages in _messages(data, fields[split]):
                rows = ((split, client, message) for message in messages)
                count = connection.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows).rowcount
                count = max(count, 0)  # SQLite counts -1 where there was no row
                connection.execute("INSERT INTO client_metadata VALUES (?, ?, ?)", (client, split, count))
                advance(count)
    connection.execute(_INDEX)
    connection.execute("COMMIT")


def _messages(data: ClientData, fields: tuple[Field, ...]) -> Iterator[tuple[ClientId, Iterator[bytes]]]:
    for start in range(0, len(data), _AT_ONCE):
        cohort = data.cohort(data.ids[start : start + _AT_ONCE])
        for i, client in enumerate(cohort.ids):
            yield client, (encode_example(features_of(element, fields)) for element in cohort.client(i))
