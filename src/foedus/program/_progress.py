# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Shows how far a run is: a bar on a terminal and in a notebook, lines of text anywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TextIO, final

from foedus.program._record import Record
from foedus.program._summary import Summary

if TYPE_CHECKING:
    from rich.console import Console

_NOTEBOOK_S = 0.2
"""Seconds between two changes of a notebook's output."""
_NOTEBOOK_WIDTH = 24


class Progress(Protocol):
    """Shows how far a run is."""

    def start(self, history: Sequence[Record], rounds: int) -> None:
        """Called once before the first round.

        Args:
            history: The records of rounds that are done already.
            rounds: How many rounds there will be in all.
        """
        ...

    def show(self, record: Record) -> None:
        """Called after every round with its metrics."""
        ...

    def note(self, text: str) -> None:
        """Called with what the user should know besides."""
        ...

    def close(self) -> None:
        """Called once at the end, however it comes, and even if the start failed."""
        ...


@final
class _Bar:
    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._summary = Summary((), 0)
        self._bar: Any = None
        self._task: Any = None

    def start(self, history: Sequence[Record], rounds: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        self._summary = Summary(history, rounds)
        self._bar = RichProgress(
            TextColumn("round {task.completed}/{task.total}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=6, max_width=40)),
            TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            console=self._console or Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=rounds, completed=len(history), text=self._summary.text())
        self._bar.start()

    def show(self, record: Record) -> None:
        self._summary.add(record)
        self._bar.update(self._task, completed=record["round"], text=self._summary.text())

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def progress_bar(console: Console | None = None) -> Progress:
    """A bar with loss and accuracy beside it, by rich.

    Args:
        console: Where to draw it; None for standard error.

    Returns:
        The progress.
    """
    return _Bar(console)


@final
class _Lines:
    def __init__(self, stream: TextIO | None, every: float, clock: Callable[[], float]) -> None:
        self._stream, self._every, self._clock = stream, every, clock
        self._summary = Summary((), 0)
        self._last = 0.0

    def start(self, history: Sequence[Record], rounds: int) -> None:
        self._summary = Summary(history, rounds)
        self._last = self._clock()

    def show(self, record: Record) -> None:
        self._summary.add(record)
        now = self._clock()
        evaluated = any(name.startswith("evaluation/") for name in record)
        if evaluated or record["round"] == self._summary.rounds or now - self._last >= self._every:
            self._last = now
            self.note(f"round {record['round']}/{self._summary.rounds}: {self._summary.text()}")

    def note(self, text: str) -> None:
        print(text, file=self._stream or sys.stderr, flush=True)

    def close(self) -> None:
        pass


def progress_lines(
    stream: TextIO | None = None, *, every: float = 10.0, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A line of text after every evaluation, after the last round, and now and then in between.

    Args:
        stream: Where to write them; None for standard error.
        every: Seconds between lines where there is no evaluation.
        clock: Seconds from any start.

    Returns:
        The progress.
    """
    return _Lines(stream, every, clock)


@final
class _Notebook:
    def __init__(self, display: Callable[..., Any], clock: Callable[[], float]) -> None:
        self._display, self._clock = display, clock
        self._summary = Summary((), 0)
        self._handle: Any = None
        self._last = 0.0

    def start(self, history: Sequence[Record], rounds: int) -> None:
        self._summary = Summary(history, rounds)
        self._handle = self._display(self._drawn(), raw=True, display_id=True)
        self._last = self._clock()

    def show(self, record: Record) -> None:
        self._summary.add(record)
        now = self._clock()
        if now - self._last >= _NOTEBOOK_S:
            self._last = now
            self._handle.update(self._drawn(), raw=True)

    def note(self, text: str) -> None:
        self._display({"text/plain": text}, raw=True)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update(self._drawn(), raw=True)

    def _drawn(self) -> dict[str, str]:
        done, rounds = self._summary.round, self._summary.rounds
        full = _NOTEBOOK_WIDTH * done // max(rounds, 1)
        bar = "█" * full + "░" * (_NOTEBOOK_WIDTH - full)
        return {"text/plain": f"round {done}/{rounds} {bar} {self._summary.text()}".rstrip()}


def progress_in_notebook(
    display: Callable[..., Any], *, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A bar of text in the output of a notebook's cell.

    Args:
        display: ``IPython.display.display``.
        clock: Seconds from any start.

    Returns:
        The progress.
    """
    return _Notebook(display, clock)


@final
class _Nothing:
    def start(self, history: Sequence[Record], rounds: int) -> None:
        pass

    def show(self, record: Record) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def no_progress() -> Progress:
    """Shows nothing.

    Returns:
        The progress.
    """
    return _Nothing()


def fitting_progress(stream: TextIO | None = None) -> Progress:
    """What fits where the program runs: a notebook, a terminal, or anything else."""
    target: Any = stream or sys.stderr
    # Who has not imported IPython is not in a notebook.
    ipython = sys.modules.get("IPython")
    if ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None:
        return progress_in_notebook(ipython.display.display)
    if target is None:
        return no_progress()
    if target.isatty() and os.environ.get("TERM") != "dumb":
        return progress_bar()
    return progress_lines(target)
