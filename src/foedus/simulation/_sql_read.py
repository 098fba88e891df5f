# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Client data in SQLite files in the format of TFF's data sets."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any, TypeAlias, final

import numpy as np

from foedus.data import ClientId, Ragged
from foedus.errors import CorruptDataError, DataError, MissingDataError, place
from foedus.simulation._client_data import ClientData, whole
from foedus.simulation._example_columns import Field, empty_columns, fill_row, readable_fields
from foedus.simulation._example_proto import decode_example
from foedus.simulation._progress import progress
from foedus.simulation._sql_file import check_tables, is_indexed, read_clients, read_splits, reading
from foedus.types import Type, to_type

Array: TypeAlias = np.ndarray[Any, Any]

_BY_CLIENT = (
    "SELECT serialized_example_proto FROM examples WHERE client_id = ? AND split_name = ? ORDER BY rowid"
)
_DAMAGED = "the file is damaged: fetch it again"
_READ_AT_ONCE = 2**28
"""Cohorts of more bytes than this are read client by client, when they are needed."""
_BY_ROW = "SELECT serialized_example_proto FROM examples WHERE rowid = ?"


def open_sql(path: str | os.PathLike[str], split: str, *, element_type: object) -> ClientData:
    """Opens one split of a SQLite file in the format of TFF's data sets.

    The file has the tables ``examples(split_name, client_id, serialized_example_proto)``, with serialised
    ``tf.train.Example`` messages, and ``client_metadata(client_id, split_name, num_examples)``. It is opened
    for each cohort that is asked for and never changed, so the data can be used from several threads and
    processes. Without an index on the clients all rows are gone through once, here.

    Args:
        path: The file.
        split: The name of the split, such as ``train``.
        element_type: A specification of one example's type, as ``foedus.types.to_type`` takes it: a name, a
            dtype and a known shape for each feature. Float lists are read as float32 or float64, int64 lists
            as any integer dtype or bool that holds their values, bytes lists as strings.

    Returns:
        The data, clients sorted by id, the examples of each in the order of the rows.

    Raises:
        MissingDataError: If there is no such file or split.
        CorruptDataError: If the file is broken or of another format.
        DataError: If the declared type cannot be in such a file, or the first example is of another type.
    """
    path = Path(path).absolute()
    element = to_type(element_type)
    fields = readable_fields(element)
    splits = read_splits(path)
    if split not in splits:
        raise MissingDataError(
            f"There is no split {split!r} in {path.name}",
            found=f"splits {', '.join(splits)}" if splits else "no split at all",
            at=place(str(path)),
        )
    with reading(path) as connection:
        clients = read_clients(connection, path, split)
        rows = None if is_indexed(connection) else _rows_of_clients(connection, split)
    _check_total(clients, path, split)
    counts = np.fromiter(clients.values(), dtype=np.int64, count=len(clients))
    store = SqlStore(path, split, element, fields, tuple(clients), counts, rows)
    store.read(np.flatnonzero(counts)[:1])
    return whole(store)


def _check_total(clients: Mapping[str, int], path: Path, split: str) -> None:
    """Keeps a damaged count from asking for memory without end: an example takes at least a byte."""
    size = path.stat().st_size
    if sum(clients.values()) > size:
        worst = max(clients, key=clients.__getitem__)
        raise CorruptDataError(
            f"{path.name} claims more examples than it can hold",
            found=f"{clients[worst]} examples of client {worst!r}, in {size} bytes",
            at=place(f"split {split!r} of {path}"),
        )


def _rows_of_clients(connection: sqlite3.Connection, split: str) -> dict[ClientId, Array]:
    rows: dict[ClientId, list[int]] = {}
    query = "SELECT client_id, rowid FROM examples WHERE split_name = ? ORDER BY rowid"
    for client, row in connection.execute(query, (split,)):
        rows.setdefault(client, []).append(row)
    return {client: np.array(found, dtype=np.int64) for client, found in rows.items()}


@final
class ClientReader:
    """Reads clients when they are asked for, and remembers the last one; for one or several threads.

    Args:
        store: Where they are.
        chosen: int64[n], which clients.
        first: int64[n], the row at which each begins.
    """

    def __init__(self, store: SqlStore, chosen: Array, first: Array) -> None:
        self._store, self._chosen, self._first = store, chosen, first
        self.total = int(store.counts[chosen].sum())
        self._last = local()

    def client_at(self, row: int) -> tuple[int, tuple[Array, ...]]:
        """The first row of the client that has a row, and its columns."""
        # Clients without examples begin where the next one does.
        which = int(np.searchsorted(self._first, row, side="right")) - 1
        if getattr(self._last, "which", None) != which:
            self._last.columns = self._store.rows_of(self._chosen[which : which + 1])
            self._last.which = which
        return int(self._first[which]), self._last.columns


@final
class LazyColumn:
    """One column of the examples of many clients, as much of an array as readers of columns need.

    Args:
        reader: Reads clients.
        field: Which column.
        like: A column of the same dtype and shape of rows.
    """

    def __init__(self, reader: ClientReader, field: int, like: Array) -> None:
        self._reader, self._field = reader, field
        self.dtype, self.shape = like.dtype, (reader.total, *like.shape[1:])
        self.nbytes = reader.total * like.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice) -> Any:
        if not isinstance(which, slice):
            start, columns = self._reader.client_at(int(which))
            return columns[self._field][which - start]
        begin, end, step = which.indices(len(self))
        assert step == 1, "columns are read in runs of rows; please report"
        parts = [np.empty((0, *self.shape[1:]), self.dtype)]
        while begin < end:
            start, columns = self._reader.client_at(begin)
            part = columns[self._field][begin - start : end - start]
            parts.append(part)
            begin += len(part)
        return np.concatenate(parts) if len(parts) != 2 else parts[1]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)


@final
@dataclass(frozen=True, slots=True, eq=False)
class SqlStore:
    """One split of a file.

    Args:
        path: The file.
        split: The split's name.
        element: The declared type of one example.
        fields: Its fields.
        ids: The clients, sorted.
        counts: int64[clients], how many examples each has.
        rows: Where the table has no index: the row ids of each client's examples.
    """

    path: Path
    split: str
    element: Type
    fields: tuple[Field, ...]
    ids: tuple[ClientId, ...]
    counts: Array
    rows: Mapping[ClientId, Array] | None

    def read(self, chosen: Array) -> Ragged:
        """See ``Store``. More than fits well into memory is read when it is needed."""
        count = self.counts[chosen]
        first = np.cumsum(count) - count
        one = empty_columns(self.fields, 1)
        if int(count.sum()) * sum(column.nbytes for column in one) <= _READ_AT_ONCE:
            return Ragged(self.element, self.rows_of(chosen), first, count)
        reader = ClientReader(self, chosen, first)
        columns = tuple(LazyColumn(reader, i, column) for i, column in enumerate(one))
        return Ragged(self.element, columns, first, count)

    def rows_of(self, chosen: Array) -> tuple[Array, ...]:
        """The examples of some clients, one client after another, one column for each field."""
        count = self.counts[chosen]
        first = np.cumsum(count) - count
        total = int(count.sum())
        columns = empty_columns(self.fields, total)
        with reading(self.path) as connection, progress(f"Reading {self.path.name}", total) as advance:
            check_tables(connection, self.path)
            for position, start, size in zip(chosen.tolist(), first.tolist(), count.tolist(), strict=True):
                self._read_client(
                    connection, self.ids[position], tuple(c[start : start + size] for c in columns)
                )
                advance(size)
        return columns

    def _read_client(
        self, connection: sqlite3.Connection, client: ClientId, columns: tuple[Array, ...]
    ) -> None:
        expected = len(columns[0])
        found = 0
        for message in self._messages(connection, client):
            if found < expected:
                self._read_example(client, message, columns, found)
            found += 1
        if found != expected:
            raise CorruptDataError(
                f"{self.path.name} does not hold the examples that it lists for client {client!r}",
                found=f"{found} examples",
                expected=f"{expected}, as the table client_metadata says",
                at=self._place(client),
                hint="the file is incomplete: fetch it again",
            )

    def _messages(self, connection: sqlite3.Connection, client: ClientId) -> Iterator[Any]:
        if self.rows is None:
            yield from (message for (message,) in connection.execute(_BY_CLIENT, (client, self.split)))
            return
        for row in self.rows.get(client, np.zeros(0, dtype=np.int64)).tolist():
            yield from (message for (message,) in connection.execute(_BY_ROW, (row,)))

    def _read_example(self, client: ClientId, message: Any, columns: tuple[Array, ...], row: int) -> None:
        where = f"example {row} of client {client!r}"
        if not isinstance(message, bytes):
            raise CorruptDataError(
                f"An example is no bytes, in client {client!r}",
                found=type(message).__name__,
                at=place(where, f"split {self.split!r}", str(self.path)),
                hint=_DAMAGED,
            )
        try:
            fill_row(columns, row, fields=self.fields, features=decode_example(message))
        except DataError as error:
            raise type(error)(
                f"{error.headline}, in client {client!r}",
                found=error.found,
                expected=error.expected,
                at=place(error.at, where, f"split {self.split!r}", str(self.path)),
                hint=_DAMAGED if isinstance(error, CorruptDataError) else error.hint,
            ) from None

    def _place(self, client: ClientId) -> str | None:
        return place(f"client {client!r}", f"split {self.split!r}", str(self.path))
