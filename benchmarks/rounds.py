# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds a round of federated averaging: prints one JSON line.

The data are synthetic clients in the folder BENCH_HOME/data: img_x.npy, img_y.npy, img_off.npy (images),
text_x.npy, text_y.npy,
text_off.npy (sequences), and init_softmax.npz, init_cnn.npz, init_lstm.npz (initial weights a0, a1, ...).
``x`` has all examples, one
client after another; ``off`` says where each client begins.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np

WORKLOADS = {
    "W1": {"model": "softmax", "pool": 340, "cohort": 10, "rate": 0.1, "batch": 20, "rounds": 60, "warm": 10},
    "W2": {
        "model": "softmax",
        "pool": 3400,
        "cohort": 1000,
        "rate": 0.1,
        "batch": 20,
        "rounds": 8,
        "warm": 2,
    },
    "W3": {"model": "cnn", "pool": 340, "cohort": 10, "rate": 0.1, "batch": 20, "rounds": 8, "warm": 3},
    "W4": {"model": "lstm", "pool": 100, "cohort": 10, "rate": 1.0, "batch": 4, "rounds": 6, "warm": 2},
}
HOME = Path(os.environ.get("BENCH_HOME", Path.home() / ".cache/foedus-bench"))


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
        "--workload", choices=WORKLOADS, default="W1", help="W1, W2: softmax; W3: CNN; W4: LSTM"
    )
    parser.add_argument(
        "--rounds", type=int, help="rounds, the warm-up included; by default the workload's own"
    )
    parser.add_argument("--workers", type=int, help="clients that run at the same time")
    parser.add_argument("--together", type=int, help="runs of clients that are folded as one batch")
    parser.add_argument(
        "--no-dropout", action="store_true", help="leave dropout out, to compare weights exactly"
    )
    return parser.parse_args()


def client_data(model: str):
    """All clients, in memory."""
    from foedus import simulation

    kind = "text" if model == "lstm" else "img"

    def load(name: str):
        return np.load(HOME / "data" / f"{kind}_{name}.npy")

    offsets = load("off")
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return simulation.ClientData.from_arrays({"x": load("x"), "y": load("y")}, owners)


def main() -> None:
    started, options = process_start(), parse()
    workload = WORKLOADS[options.workload]
    import optax
    from workload_models import apply_of, loss

    import foedus as fd
    from foedus import learning

    runtime = fd.runtime.local(workers=options.workers, together=options.together)
    fd.set_default_runtime(runtime)
    data = client_data(workload["model"])
    archive = np.load(HOME / "data" / f"init_{workload['model']}.npz")
    weights = [archive[f"a{i}"] for i in range(len(archive.files))]
    model = learning.models.from_jax(
        apply_of(workload["model"], dropout=not options.no_dropout),
        init=weights,
        loss=loss,
        example=data.element_type,
        coupled=False,
    )
    process = learning.algorithms.fed_avg(
        model,
        client_optimizer=optax.sgd(workload["rate"]),
        batches=learning.Batches(size=workload["batch"], shuffle=False),
    )
    rounds = options.rounds or workload["rounds"]
    state, times, first = process.initialize(), [], 0.0
    for number in range(1, rounds + 1):
        chosen = np.random.RandomState(1000 + number).choice(
            workload["pool"], workload["cohort"], replace=False
        )
        begin = time.perf_counter()
        state = process.next(state, data.cohort(chosen.tolist())).state
        times.append(time.perf_counter() - begin)
        first = first or time.time() - started
    seconds = float(np.median(times[min(workload["warm"], rounds - 1) :]))
    final = HOME / "data" / "final"
    final.mkdir(exist_ok=True)
    path = final / f"foedus-{options.workload}.npz"
    np.savez(path, *state.weights.trainable)
    result = {
        "peer": "foedus",
        "workload": options.workload,
        "rounds": rounds,
        "seconds_per_round": round(seconds, 6),
        "clients_per_s": round(workload["cohort"] / seconds, 1),
        "first_round_s": round(first, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "weights": str(path),
        "note": "; ".join(map(str, runtime.schedules)),
        "times": [round(t, 5) for t in times],
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
