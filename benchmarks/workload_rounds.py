# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the rounds of a workload, and says how long they took in the JSON line that all programs print."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from workload_data import DATA, Workload, offsets

_LOOK_EVERY = 0.05
"""Seconds between two looks at the memory."""


def process_start() -> float:
    """The time at which this process began, by the kernel's clock where there is one."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))
    except OSError:
        return time.time() - time.process_time()


@dataclass
class Measured:
    """Rounds that were run.

    Args:
        seconds: How long each took.
        examples: How many examples its clients had.
        first_s: From the start of the process to the end of the first round.
        anonymous_mb: The most memory in use that no file stands behind; None where nothing tells.
    """

    seconds: list[float]
    examples: list[int]
    first_s: float
    anonymous_mb: float | None


def run_rounds(workload: Workload, next_round: Callable[[Sequence[int]], object]) -> Measured:
    """Runs all rounds.

    Args:
        workload: What to run.
        next_round: Runs a round of some clients, to its end.

    Returns:
        How long they took.
    """
    counts = np.diff(offsets(workload))
    seconds, examples, first = list[float](), list[int](), 0.0
    with _anonymous_memory() as seen:
        for number in range(1, workload.rounds + 1):
            chosen = workload.drawn(number)
            begin = time.perf_counter()
            next_round(chosen)
            seconds.append(time.perf_counter() - begin)
            first = first or time.time() - process_start()
            examples.append(int(counts[np.asarray(chosen) % len(counts)].sum()))
    return Measured(seconds, examples, first, max(seen, default=None))


@contextmanager
def _anonymous_memory() -> Iterator[list[float]]:
    """Watches how many MB this process has that no file stands behind; Linux only, else it sees nothing."""
    status, over = Path("/proc/self/status"), threading.Event()
    seen: list[float] = []

    def watch() -> None:
        while status.exists() and not over.wait(_LOOK_EVERY):
            lines = status.read_text().splitlines()
            seen.append(next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def report(
    name: str, workload: Workload, kind: str, measured: Measured, weights: list[Any], note: str
) -> None:
    """Keeps the final weights, and prints the JSON line.

    Args:
        name: What the program is called.
        workload: What was run.
        kind: The name of the workload.
        measured: How long it took.
        weights: The final weights, in Keras' layout.
        note: How it was run.
    """
    path = DATA / "final" / f"{name}-{kind}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez(path, *(np.asarray(weight) for weight in weights))
    warm = min(workload.warm, workload.rounds - 1)
    seconds = float(np.median(measured.seconds[warm:]))
    each = np.array(measured.seconds[warm:]) / np.array(measured.examples[warm:])
    anonymous = measured.anonymous_mb
    result = {
        "peer": name,
        "workload": kind,
        "rounds": workload.rounds,
        "seconds_per_round": round(seconds, 6),
        "clients_per_s": round(workload.cohort / seconds, 1),
        "microseconds_per_example": round(float(np.median(each)) * 1e6, 4),
        "first_round_s": round(measured.first_s, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peak_anonymous_mb": None if anonymous is None else round(anonymous),
        "weights": str(path),
        "note": note,
        "times": [round(t, 5) for t in measured.seconds],
    }
    print(json.dumps(result), flush=True)
