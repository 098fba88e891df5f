# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where the metrics of a run go."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol, final

from foedus.program._record import Record
from foedus.program._summary import Summary

_LOG = logging.getLogger("foedus.program")


class Release(Protocol):
    """Takes the metrics of a run, round by round."""

    def start(self, history: Sequence[Record]) -> None:
        """Called once before the first record.

        Args:
            history: What was released before, where a run is resumed. Whatever was released beyond it, by a
                process that was killed, is to be forgotten: those rounds come again.
        """
        ...

    def release(self, record: Record) -> None:
        """Called after every round.

        Args:
            record: The round's metrics.
        """
        ...

    def close(self) -> None:
        """Called once at the end, however it comes, and even if the start failed."""
        ...


@final
class InMemory:
    """Keeps the records in a list."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def start(self, history: Sequence[Record]) -> None:
        """Begins with what was released before."""
        self.records[:] = history

    def release(self, record: Record) -> None:
        """Adds a record."""
        self.records.append(record)

    def close(self) -> None:
        """Keeps them."""


def in_memory() -> InMemory:
    """Keeps the records of a run where the program can look at them while it goes on.

    Returns:
        A release with an attribute ``records``.
    """
    return InMemory()


@final
class _LogLines:
    def __init__(self) -> None:
        self._summary = Summary((), 0)

    def start(self, history: Sequence[Record]) -> None:
        self._summary = Summary(history, 0)

    def release(self, record: Record) -> None:
        self._summary.add(record)
        _LOG.info("round %d: %s", record["round"], self._summary.text())

    def close(self) -> None:
        pass


def log_lines() -> Release:
    """Writes a line a round to Python's logging, under the name ``foedus.program`` at level INFO.

    Returns:
        The release.
    """
    return _LogLines()
