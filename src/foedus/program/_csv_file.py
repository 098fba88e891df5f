# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as a table in a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from foedus.program._durable import make_folder, replace_file, unwritable
from foedus.program._record import Record
from foedus.program._release import Release


@final
class _CsvFile:
    """One row a round, in the file as soon as the round is over.

    A column that comes up later, such as that of the first evaluation, makes the file be written anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[Record] = []
        self._columns: list[str] = []

    def start(self, history: Sequence[Record]) -> None:
        self._records = list(history)
        self._columns = list(dict.fromkeys(name for record in history for name in record))
        make_folder(self._path.parent)
        self._rewrite()

    def release(self, record: Record) -> None:
        self._records.append(record)
        new = [name for name in record if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
            return
        try:
            with open(self._path, "a", encoding="utf-8", newline="") as file:
                file.write(self._rows([record]))
        except OSError as error:
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        pass

    def _rewrite(self) -> None:
        header: Record = {name: name for name in self._columns}
        table = self._rows([header, *self._records]) if self._columns else ""
        replace_file(self._path, table.encode("utf-8", "surrogatepass"))

    def _rows(self, records: Iterable[Record]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(records)
        return text.getvalue()


def csv_file(path: str | os.PathLike[str]) -> Release:
    """Writes the metrics of a run to a file of comma-separated values.

    Args:
        path: The file. What it held is replaced by the run's history when the run starts.

    Returns:
        The release.
    """
    return _CsvFile(Path(path))
