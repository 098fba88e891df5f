# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as event files for TensorBoard.

Of tensorboardX only the format is used, its messages and its records, and not its ``SummaryWriter``: that
one writes from a thread, where a full disk goes unnoticed, and two of them in one second overwrite each
other's file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from foedus.errors import MissingExtraError, place
from foedus.program._durable import make_folder, unwritable
from foedus.program._record import Record
from foedus.program._release import Release

_VERSION = "brain.Event:2"


@final
class _EventFiles:
    def __init__(self, folder: Path, open_records: Callable[[str], Any], messages: Any) -> None:
        self._folder = folder
        self._open_records = open_records
        self._messages = messages
        self._file: Any = None

    def start(self, history: Sequence[Record]) -> None:
        make_folder(self._folder)
        seconds, rest = divmod(time.time_ns(), 10**9)
        with self._writing():
            self._file = self._open_records(str(self._folder / f"events.out.tfevents.{seconds}.{rest:09}"))
        began = self._messages.SessionLog(status=self._messages.SessionLog.START)
        # The rounds of a killed run that come again hide their first versions, in whatever file those are.
        self._write({"file_version": _VERSION}, {"session_log": began, "step": len(history) + 1})

    def release(self, record: Record) -> None:
        numbers = [(n, v) for n, v in record.items() if n != "round" and not isinstance(v, str)]
        values = [{"tag": name, "simple_value": value} for name, value in numbers]
        self._write({"step": record["round"], "summary": {"value": values}})

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._writing():
                file.close()

    def _write(self, *events: dict[str, Any]) -> None:
        with self._writing():
            for event in events:
                self._file.write(self._messages.Event(wall_time=time.time(), **event).SerializeToString())
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._folder, error) from error


def tensorboard(folder: str | os.PathLike[str]) -> Release:
    """Writes the metrics of a run as event files, which TensorBoard shows while the run goes on.

    Args:
        folder: The folder; give each run its own.

    Returns:
        The release.

    Raises:
        MissingExtraError: If the package ``tensorboardX`` is not installed.
    """
    try:
        from tensorboardX.proto import event_pb2
        from tensorboardX.record_writer import RecordWriter
    except ImportError as error:
        raise MissingExtraError(
            "Event files for TensorBoard need the package `tensorboardX`",
            found=str(error),
            at=place(),
            hint='pip install "foedus[plots]"',
        ) from error
    return _EventFiles(Path(folder), RecordWriter, event_pb2)
