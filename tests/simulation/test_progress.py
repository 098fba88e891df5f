# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from foedus.simulation._progress import Unit, progress


def ticks(*times: float) -> Callable[[], float]:
    supply: Iterator[float] = iter(times)
    return lambda: next(supply)


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, _environ={})


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_short_work_shows_nothing():
    screen = console(terminal=True)
    with progress("Reading f", 3, clock=ticks(0.0, 0.5, 0.9), console=screen) as advance:
        advance(1)
        advance(2)
    assert shown(screen) == ""


@pytest.mark.parametrize(("unit", "amount"), [(Unit.EXAMPLES, "1500/3000"), (Unit.BYTES, "1.5/3.0 kB")])
def test_long_work_shows_a_bar(unit: Unit, amount: str):
    screen = console(terminal=True)
    with progress("Reading f", 3000, unit=unit, clock=ticks(0.0, 0.5, 1.5), console=screen) as advance:
        advance(1000)
        advance(500)
    assert "Reading f" in shown(screen)
    assert amount in shown(screen)


def test_a_log_file_is_left_alone():
    screen = console(terminal=False)
    with progress("Reading f", None, clock=ticks(0.0, 5.0), console=screen) as advance:
        advance(1)
    assert shown(screen) == ""


def test_an_interrupted_bar_is_taken_down():
    screen = console(terminal=True)

    def work() -> None:
        with progress("Reading f", 3, clock=ticks(0.0, 5.0), console=screen) as advance:
            advance(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "\x1b[?25h" in shown(screen)
