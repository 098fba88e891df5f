# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Opens SQLite files in the format of TFF's data sets, read-only, and says what is in them.

The format has two tables: ``examples(split_name, client_id, serialized_example_proto)``, one row an example,
and ``client_metadata(client_id, split_name, num_examples)``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from foedus.errors import CorruptDataError, DataError, MissingDataError, place

TABLES = {
    "examples": ("split_name", "client_id", "serialized_example_proto"),
    "client_metadata": ("client_id", "split_name", "num_examples"),
}
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_DAMAGE_HINT = "the file is damaged or is no SQLite file: fetch it again"


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one piece of reading, in one thread; it cannot change the file.

    Args:
        path: The file.

    Raises:
        MissingDataError: If there is no such file.
        CorruptDataError: If it is broken.
        DataError: If it cannot be read for another reason.
    """
    if not path.is_file():
        raise MissingDataError(
            f"There is no file {path.name}",
            found=f"{path} is a folder" if path.is_dir() else f"nothing at {path}",
            at=place(),
        )
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: sqlite3.Error) -> DataError:
    code = getattr(error, "sqlite_errorcode", None)
    # Text that is no UTF-8 is an error without a code.
    if code is None or code & 0xFF in _DAMAGED:
        return CorruptDataError(
            f"{path.name} cannot be read",
            found=str(error),
            expected="a SQLite file",
            at=place(str(path)),
            hint=_DAMAGE_HINT,
        )
    return DataError(f"{path.name} cannot be read", found=str(error), at=place(str(path)))


def check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Makes sure that the tables and columns are there, as plain tables.

    Raises:
        CorruptDataError: If they are not.
    """
    for table, columns in TABLES.items():
        row = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        # Views and virtual tables could run anything.
        plain = row is not None and row[0] == "table" and str(row[1]).upper().startswith("CREATE TABLE")
        have = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")] if plain else []
        if missing := [name for name in columns if name not in have]:
            raise CorruptDataError(
                f"{path.name} is a SQLite file of another kind",
                found=f"the table {table!r} lacks {', '.join(missing)}" if plain else f"no table {table!r}",
                expected="; ".join(f"{name}({', '.join(fields)})" for name, fields in TABLES.items()),
                at=place(str(path)),
                hint="federated data is in the file format of TFF's data sets",
            )


def read_splits(path: Path) -> dict[str, int]:
    """The splits of a file, and how many clients each has.

    Raises:
        MissingDataError: If there is no such file.
        CorruptDataError: If it is broken, or a SQLite file of another kind.
    """
    with reading(path) as connection:
        check_tables(connection, path)
        query = "SELECT split_name, count(*) FROM client_metadata GROUP BY split_name ORDER BY split_name"
        return {str(name): int(clients) for name, clients in connection.execute(query)}


def read_clients(connection: sqlite3.Connection, path: Path, split: str) -> dict[str, int]:
    """The clients of a split, sorted by id, and how many examples each has.

    Raises:
        CorruptDataError: If an entry makes no sense.
    """
    query = "SELECT client_id, num_examples FROM client_metadata WHERE split_name = ? ORDER BY client_id"
    clients: dict[str, int] = {}
    for client, count in connection.execute(query, (split,)):
        if not isinstance(client, str) or not isinstance(count, int) or count < 0 or client in clients:
            raise CorruptDataError(
                f"The table of clients in {path.name} is damaged",
                found=f"client {client!r} with {count!r} examples" + (", twice" if client in clients else ""),
                at=place(f"split {split!r} of {path}"),
                hint=_DAMAGE_HINT,
            )
        clients[client] = count
    return clients


def is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether the examples of one client are found without going through all of them."""
    for _, name, _, _, partial in connection.execute("PRAGMA index_list(examples)").fetchall():
        query = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
        columns = [column for (column,) in connection.execute(query, (name,))]
        if not partial and (columns[0] == "client_id" or set(columns[:2]) == {"client_id", "split_name"}):
            return True
    return False
