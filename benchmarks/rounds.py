# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds a round of federated averaging: prints one JSON line.

The workloads and the data that they need are in workload_data.py. The final weights go to
BENCH_HOME/data/final, where those of other programs can be compared with them. The first round is shorter
where an earlier run has left its compiled programs on disk; with FOEDUS_CACHE_DIR= (empty) none are used.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from workload_data import DATA, WORKLOADS, Workload

WAYS = ("models", "operators", "keras", "tff")
_WRITTEN = {"operators": ("W1", "W2"), "keras": ("W1", "W2", "W3"), "tff": ("W1", "W2", "W3")}
"""The workloads that are written in a way that not all are."""


def process_start() -> float:
    """The time at which this process began, by the kernel's clock where there is one."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))
    except OSError:
        return time.time() - time.process_time()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workload",
        choices=WORKLOADS,
        default="W1",
        help="W1, W2: softmax; W3: CNN; W4: LSTM; W5: softmax, very many clients, images as bytes",
    )
    parser.add_argument(
        "--way", choices=WAYS, default="models", help="how it is written; not for all workloads"
    )
    parser.add_argument(
        "--rounds", type=int, help="rounds, the warm-up included; by default the workload's own"
    )
    parser.add_argument("--cohort", type=int, help="clients a round; by default the workload's own")
    parser.add_argument("--workers", type=int, help="clients that run at the same time")
    parser.add_argument("--together", type=int, help="runs of clients that are folded as one batch")
    parser.add_argument(
        "--no-dropout", action="store_true", help="leave dropout out, to compare weights exactly"
    )
    options = parser.parse_args()
    written = _WRITTEN.get(options.way, WORKLOADS)
    if options.workload not in written:
        parser.error(f"--way {options.way} is there for {', '.join(written)} only")
    return options


@dataclass
class AnonymousMemory:
    """Watches how much memory this process has that no file stands behind; Linux only.

    Args:
        peak_mb: The most that was seen.
    """

    peak_mb: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Looks every 50 ms, until ``stop``."""
        status = Path("/proc/self/status")
        while status.exists():
            kilobytes = next(
                int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssAnon")
            )
            self.peak_mb = max(self.peak_mb or 0.0, kilobytes / 1024)
            if self._stop.wait(0.05):
                return

    def stop(self) -> None:
        """Ends the watch."""
        self._stop.set()


@dataclass
class Measured:
    """Rounds that were run.

    Args:
        seconds: How long each took.
        examples: How many examples its clients had.
        first_s: From the start of the process to the end of the first round.
        weights: The final weights.
        note: How the runtime ran them.
    """

    seconds: list[float]
    examples: list[int]
    first_s: float
    weights: list[Any]
    note: str


def run(workload: Workload, options: argparse.Namespace, started: float) -> Measured:
    """Runs the rounds."""
    import jax
    from workload_clients import clients
    from workload_ways import by_keras, by_models, by_operators, by_tff

    import foedus as fd

    runtime = fd.runtime.local(workers=options.workers, together=options.together)
    fd.set_default_runtime(runtime)
    data = clients(workload)
    given = data.cohort(range(workload.pool)) if options.way == "tff" else data.element_type
    ways = {"models": by_models, "operators": by_operators, "keras": by_keras, "tff": by_tff}
    way = ways[options.way](workload, given, dropout=not options.no_dropout)
    state, seconds, examples, first = way.start, [], [], 0.0
    for number in range(1, workload.rounds + 1):
        chosen = workload.drawn(number)
        begin = time.perf_counter()
        cohort = data.cohort(chosen)
        state = jax.block_until_ready(way.step(state, cohort))
        seconds.append(time.perf_counter() - begin)
        first = first or time.time() - started
        examples.append(int(cohort.value.count.sum()))
    note = "; ".join(map(str, runtime.schedules))
    return Measured(seconds, examples, first, way.weights(state), note)


def main() -> None:
    started, options = process_start(), parse()
    own = WORKLOADS[options.workload]
    workload = replace(own, rounds=options.rounds or own.rounds, cohort=options.cohort or own.cohort)
    memory = AnonymousMemory()
    watch = threading.Thread(target=memory.watch)
    watch.start()
    try:
        measured = run(workload, options, started)
    finally:
        memory.stop()
        watch.join()
    warm = min(workload.warm, workload.rounds - 1)
    seconds = float(np.median(measured.seconds[warm:]))
    each = np.array(measured.seconds[warm:]) / np.array(measured.examples[warm:])
    name = "foedus" if options.way == "models" else f"foedus-{options.way}"
    path = DATA / "final" / f"{name}-{options.workload}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez(path, *measured.weights)
    result = {
        "peer": name,
        "workload": options.workload,
        "rounds": workload.rounds,
        "seconds_per_round": round(seconds, 6),
        "clients_per_s": round(workload.cohort / seconds, 1),
        "microseconds_per_example": round(float(np.median(each)) * 1e6, 4),
        "first_round_s": round(measured.first_s, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peak_anonymous_mb": None if memory.peak_mb is None else round(memory.peak_mb),
        "weights": str(path),
        "note": measured.note,
        "times": [round(t, 5) for t in measured.seconds],
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
