# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Bars and lines."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from foedus.program import Record, no_progress, progress_bar, progress_in_notebook, progress_lines
from foedus.program._progress import _Bar, _Lines, _Nothing, fitting_progress

FIRST: Record = {"round": 1, "train/loss": 0.5, "train/accuracy": 0.25, "seconds": 0.1}
SECOND: Record = {
    "round": 2,
    "train/loss": 0.4,
    "train/accuracy": 0.5,
    "evaluation/accuracy": 0.75,
    "seconds": 0.1,
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_round_loss_and_accuracy():
    stream = io.StringIO()
    bar = progress_bar(Console(file=stream, force_terminal=True, width=100, color_system=None))
    bar.start([FIRST], 3)
    bar.note("something [to] say")
    bar.show(SECOND)
    bar.close()
    shown = stream.getvalue()
    assert "something [to] say" in shown
    last = shown.splitlines()[-2]
    assert "round 2/3" in last
    assert "loss 0.4, accuracy 0.5; evaluation accuracy 0.75" in last


def test_a_bar_fits_a_narrow_terminal():
    stream = io.StringIO()
    bar = progress_bar(Console(file=stream, force_terminal=True, width=80, color_system=None))
    bar.start([], 100)
    bar.show(
        SECOND | {"round": 99, "evaluation/loss": 1.2345, "train/loss": 0.1234, "train/accuracy": 0.9876}
    )
    bar.close()
    last = stream.getvalue().splitlines()[-2].rpartition("\x1b[2K")[2]
    assert last.startswith("round 99/100 ━")
    assert "loss 0.1234, accuracy 0.9876; evaluation accuracy 0.75" in last
    assert len(last) <= 80


def test_lines_come_with_evaluations_the_last_round_and_time():
    stream, clock = io.StringIO(), Clock()
    lines = progress_lines(stream, every=10.0, clock=clock)
    lines.start([], 5)
    lines.show(FIRST)
    lines.show(SECOND)
    clock.now += 9.9
    lines.show(FIRST | {"round": 3})
    clock.now += 0.1
    lines.show(FIRST | {"round": 4})
    lines.show(FIRST | {"round": 5, "train/loss": float("nan")})
    lines.close()
    assert stream.getvalue().splitlines() == [
        "round 2/5: loss 0.4, accuracy 0.5; evaluation accuracy 0.75",
        "round 4/5: loss 0.5, accuracy 0.25; evaluation accuracy 0.75",
        "round 5/5: loss nan, accuracy 0.25, not finite since round 5; evaluation accuracy 0.75",
    ]


def test_a_notebook_changes_one_output():
    shown: list[str] = []

    def update(drawn: dict[str, str], raw: bool) -> None:
        shown.append(drawn["text/plain"])

    def display(drawn: dict[str, str], raw: bool, display_id: bool = False) -> Any:
        shown.append(drawn["text/plain"])
        return SimpleNamespace(update=update)

    clock = Clock()
    notebook = progress_in_notebook(display, clock=clock)
    notebook.close()
    notebook.start([], 2)
    notebook.note("by the way")
    notebook.show(FIRST)
    clock.now += 0.3
    notebook.show(SECOND)
    notebook.close()
    full = "█" * 24 + " loss 0.4, accuracy 0.5; evaluation accuracy 0.75"
    assert shown == ["round 0/2 " + "░" * 24, "by the way", f"round 2/2 {full}", f"round 2/2 {full}"]


def test_nothing_shows_nothing(capsys: pytest.CaptureFixture[str]):
    nothing = no_progress()
    nothing.start([], 1)
    nothing.note("unseen")
    nothing.show(FIRST)
    nothing.close()
    assert capsys.readouterr() == ("", "")


def test_what_fits_where_the_program_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(fitting_progress(Terminal()), _Bar)
    assert isinstance(fitting_progress(io.StringIO()), _Lines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(fitting_progress(Terminal()), _Lines)
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(fitting_progress(), _Nothing)


def test_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch):
    displayed: list[Any] = []
    shell = SimpleNamespace(kernel=object())
    display = SimpleNamespace(display=lambda drawn, **options: displayed.append(drawn))
    fake = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    progress = fitting_progress(io.StringIO())
    progress.start([], 1)
    progress.note("here")
    assert displayed[1] == {"text/plain": "here"}
    shell.kernel = None
    assert isinstance(fitting_progress(io.StringIO()), _Lines)
