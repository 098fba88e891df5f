# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a round goes, with one worker: prints one JSON line.

Rounds are run under JAX's profiler, which notes how long every step of a compiled program took. Products and
convolutions count as arithmetic; copies, transposes, slices and concatenations as layout; all other steps as
memory traffic, for they walk through arrays once. What passes between the steps, while a program runs, is
launch, and what passes while none runs is Python. The profiler itself slows short steps down, so the shares
are given of the profiled time, beside the seconds of a round without it.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from workload_clients import clients
from workload_data import WORKLOADS
from workload_ways import by_models

import foedus as fd

_ARITHMETIC = re.compile(r"ynn_fusion|dot|convolution")
_LAYOUT = re.compile(r"copy|transpose|concatenate|slice|gather|pad|bitcast")
_AROUND = re.compile(r"ThunkExecutor|^end: |^while|^cond|^call|^conditional|\$|::|Pjit|^Handle|^Wait|^[A-Z]")
"""Steps that hold others, and what is not a step of a program."""


def kind_of(step: str) -> str | None:
    """What a step of a compiled program counts as, None if it is none."""
    if _AROUND.search(step):
        return None
    if _ARITHMETIC.search(step):
        return "arithmetic"
    return "layout" if _LAYOUT.search(step) else "memory traffic"


def events(folder: Path) -> Iterator[tuple[str, float]]:
    """Of a profile the name and the nanoseconds of every event, in whatever thread it was."""
    (file,) = folder.rglob("*.xplane.pb")
    for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
        for line in plane.lines:
            for event in line.events:
                yield event.name, event.duration_ns


def shares(folder: Path, wall_ns: float) -> dict[str, float]:
    """The share of each sort of step in what was profiled."""
    spent: dict[str, float] = defaultdict(float)
    running = 0.0
    for name, duration in events(folder):
        kind = kind_of(name)
        if kind is not None:
            spent[kind] += duration
        elif name == "ThunkExecutor::Execute (wait for completion)":
            running += duration
    running = max(running, sum(spent.values()))
    spent["launch"] = running - sum(spent.values())
    spent["Python"] = max(wall_ns - running, 0)
    total = sum(spent.values())
    return {
        kind: round(spent[kind] / total, 3)
        for kind in ("arithmetic", "memory traffic", "layout", "launch", "Python")
    }


def measured(name: str, rounds: int) -> dict[str, Any]:
    """One workload, without the profiler and with it."""
    workload = WORKLOADS[name]
    fd.set_default_runtime(fd.runtime.local(workers=1))
    data = clients(workload)
    way = by_models(workload, data.element_type, dropout=True)
    state, numbers = way.start, iter(range(1, 10_000))

    def run(count: int) -> list[float]:
        nonlocal state
        seconds = []
        for _ in range(count):
            begin = time.perf_counter()
            state = jax.block_until_ready(way.step(state, data.cohort(workload.drawn(next(numbers)))))
            seconds.append(time.perf_counter() - begin)
        return seconds

    run(3)
    plain = float(np.median(run(rounds)))
    with tempfile.TemporaryDirectory() as folder:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with jax.profiler.trace(folder, profiler_options=options):
            profiled = run(rounds)
        found = shares(Path(folder), sum(profiled) * 1e9)
    return {
        "workload": name,
        "seconds_per_round": round(plain, 6),
        "profiled_seconds_per_round": round(float(np.median(profiled)), 6),
        "shares": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", default="W1,W2,W3,W4", help="which, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured, each way")
    options = parser.parse_args()
    results = [measured(name, options.rounds) for name in options.workloads.split(",")]
    print(json.dumps({"workers": 1, "workloads": results}), flush=True)


if __name__ == "__main__":
    main()
