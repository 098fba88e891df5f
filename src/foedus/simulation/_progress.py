# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of long work with data: a bar on the terminal or in the notebook, once it has taken a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PATIENCE_S = 1.0


class Unit(Enum):
    """What is counted."""

    EXAMPLES = "examples"
    BYTES = "bytes"


@contextmanager
def progress(
    what: str,
    total: int | None,
    *,
    unit: Unit = Unit.EXAMPLES,
    clock: Callable[[], float] = time.monotonic,
    console: Console | None = None,
) -> Iterator[Callable[[int], None]]:
    """Shows how far something is.

    Args:
        what: What is being done.
        total: How much there is to do; None where nobody knows.
        unit: What is counted.
        clock: Seconds.
        console: Where to show it; None for standard error.

    Yields:
        A function to call with what was done since the last call.
    """
    bar = _Bar(what, total, unit, clock, console)
    try:
        yield bar.advance
    finally:
        bar.stop()


@final
class _Bar:
    def __init__(
        self, what: str, total: int | None, unit: Unit, clock: Callable[[], float], console: Console | None
    ) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.clock, self.console = clock, console
        self.start = clock()
        self.done = 0
        self.shown: Progress | None = None

    def advance(self, amount: int) -> None:
        self.done += amount
        if self.shown is None and self.clock() - self.start < _PATIENCE_S:
            return
        if self.shown is None:
            self.shown = _bar(self.unit, self.console)
            self.shown.add_task(self.what, total=self.total)
            self.shown.start()
        self.shown.update(self.shown.task_ids[0], completed=self.done)

    def stop(self) -> None:
        if self.shown is not None:
            self.shown.stop()


def _bar(unit: Unit, console: Console | None) -> Progress:
    from rich import progress as rich_progress
    from rich.console import Console

    console = Console(stderr=True) if console is None else console
    amount = rich_progress.DownloadColumn() if unit is Unit.BYTES else rich_progress.MofNCompleteColumn()
    return rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        amount,
        rich_progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
    )
