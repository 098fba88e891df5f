# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds a round of federated averaging: prints one JSON line.

The workloads and the data that they need are in workload_data.py. The final weights go to
BENCH_HOME/data/final, where those of other programs can be compared with them. The first round is shorter
where an earlier run has left its compiled programs on disk; with FOEDUS_CACHE_DIR= (empty) none are used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from workload_data import WORKLOADS
from workload_rounds import report, run_rounds

WAYS = ("models", "operators", "keras", "tff")
_WRITTEN = {"operators": ("W1", "W2"), "keras": ("W1", "W2", "W3"), "tff": ("W1", "W2", "W3")}
"""The workloads that are written in a way that not all are."""


def schedule(text: str) -> int:
    """How many runs of clients are folded as one batch."""
    try:
        return 1 if text == "loop" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"neither loop nor a number: {text!r}") from None


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
    parser.add_argument(
        "--workers",
        "--devices",
        type=int,
        help="devices, or on a CPU threads, that fold clients; by default all",
    )
    parser.add_argument(
        "--schedule",
        type=schedule,
        help="loop: one client after another; a number: so many runs of clients as one batch; "
        "by default what suits the device",
    )
    parser.add_argument(
        "--no-dropout", action="store_true", help="leave dropout out, to compare weights exactly"
    )
    options = parser.parse_args()
    written = _WRITTEN.get(options.way, WORKLOADS)
    if options.workload not in written:
        parser.error(f"--way {options.way} is there for {', '.join(written)} only")
    return options


def main() -> None:
    options = parse()
    own = WORKLOADS[options.workload]
    workload = replace(own, rounds=options.rounds or own.rounds, cohort=options.cohort or own.cohort)

    import jax
    from workload_clients import clients
    from workload_ways import by_keras, by_models, by_operators, by_tff

    import foedus as fd

    runtime = fd.runtime.local(workers=options.workers, together=options.schedule)
    fd.set_default_runtime(runtime)
    data = clients(workload)
    given = data.cohort(range(workload.pool)) if options.way == "tff" else data.element_type
    ways = {"models": by_models, "operators": by_operators, "keras": by_keras, "tff": by_tff}
    way = ways[options.way](workload, given, dropout=not options.no_dropout)
    state = way.start

    def next_round(chosen: Sequence[int]) -> None:
        nonlocal state
        state = jax.block_until_ready(way.step(state, data.cohort(chosen)))

    measured = run_rounds(workload, next_round)
    name = "foedus" if options.way == "models" else f"foedus-{options.way}"
    note = "; ".join(map(str, runtime.schedules))
    report(name, workload, options.workload, measured, way.weights(state), note)


if __name__ == "__main__":
    main()
