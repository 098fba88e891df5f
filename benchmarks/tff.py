# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One program written for TensorFlow Federated, run by TFF and by Foedus: prints one JSON line.

The program trains a Keras model on ``tf.data`` clients with ``build_weighted_fed_avg``; between the two runs
only an import differs. TFF is run by the Python of an environment in BENCH_HOME/envs/tff, in both of its
modes; what takes turns is repeated. The clients' data sets are made once, before the first round, or with
--fresh anew in every round, which is then part of it. Final weights show that the work is equal; where there
is dropout they differ by chance.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from workload_data import HOME, WORKLOADS, Workload, columns, offsets

LOOPS = ("reduce", "iterator")
"""TFF's modes: how a client goes through its data set; the first is its default."""
_TRAINED = ("W1", "W2", "W3")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", default="W1,W3", help=f"some of {', '.join(_TRAINED)}")
    parser.add_argument("--rounds", type=int, help="rounds of a run; by default as many as the workload says")
    parser.add_argument("--repeats", type=int, default=3, help="how often everything runs")
    parser.add_argument("--fresh", action="store_true", help="make the data sets anew in every round")
    parser.add_argument("--no-dropout", action="store_true", help="leave dropout out, to compare weights")
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a run is killed")
    parser.add_argument("--run", choices=("foedus", *LOOPS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.workloads = options.workloads.split(",")
    unknown = [name for name in options.workloads if name not in _TRAINED]
    if unknown:
        parser.error(f"not known: {', '.join(unknown)}; there are {', '.join(_TRAINED)}")
    return options


# ---------------------------------------------------------------- the program


def keras_model(tf: Any, workload: Workload, *, dropout: bool) -> Any:
    """The model of a workload."""
    layers = tf.keras.layers
    image = tf.keras.Input((28, 28, 1))
    if workload.model == "softmax":
        return tf.keras.Sequential([image, layers.Flatten(), layers.Dense(10)])
    return tf.keras.Sequential(
        [
            image,
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPool2D(2),
            layers.Dropout(0.25 if dropout else 0.0),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5 if dropout else 0.0),
            layers.Dense(10),
        ]
    )


def run(workload: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Trains, and says how long each round took and where the weights are."""
    import tensorflow as tf

    if options.run == "foedus":
        import foedus.tff as tff
    else:
        import tensorflow_federated as tff
    starts, examples = offsets(workload), columns(workload)

    def dataset(client: int) -> Any:
        own = slice(starts[client], starts[client + 1])
        slices = np.ascontiguousarray(examples["x"][own]), np.ascontiguousarray(examples["y"][own])
        return tf.data.Dataset.from_tensor_slices(slices).batch(workload.batch)

    spec = (tf.TensorSpec([None, 28, 28, 1], tf.float32), tf.TensorSpec([None], tf.int32))

    def model_fn() -> Any:
        return tff.learning.models.from_keras_model(
            keras_model(tf, workload, dropout=not options.no_dropout),
            input_spec=spec,
            loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
        )

    modes = {"reduce": "DATASET_REDUCE", "iterator": "DATASET_ITERATOR", "foedus": "DATASET_REDUCE"}
    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(workload.rate),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
        loop_implementation=getattr(tff.learning.LoopImplementation, modes[options.run]),
    )
    weights = tff.learning.models.ModelWeights(workload.initial, [])
    state = process.set_model_weights(process.initialize(), weights)
    kept = {} if options.fresh else {client: dataset(client) for client in range(workload.pool)}
    seconds: list[float] = []
    trained: list[np.ndarray[Any, Any]] = []
    for number in range(1, workload.rounds + 1):
        chosen = workload.drawn(number)
        begin = time.perf_counter()
        state = process.next(state, [kept.get(client) or dataset(client) for client in chosen]).state
        trained = [np.asarray(weight) for weight in process.get_model_weights(state).trainable]
        seconds.append(time.perf_counter() - begin)
    path = Path(tempfile.gettempdir()) / f"{options.run}-{os.getpid()}.npz"
    np.savez(path, *trained)
    warm = min(workload.warm, workload.rounds - 1)
    return {"seconds_per_round": float(np.median(seconds[warm:])), "weights": str(path)}


# ---------------------------------------------------------------- comparing


def _weights(outcome: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    path = Path(outcome["result"].pop("weights"))
    archive = np.load(path)
    found = [archive[name] for name in archive.files]
    path.unlink()
    return found


def _distance(one: Any, other: Any, start: Any) -> float:
    """How far weights are apart, relative to how far training moved them."""
    apart = sum(float(np.sum((a - b) ** 2)) for a, b in zip(one, other, strict=True))
    moved = sum(float(np.sum((a - b) ** 2)) for a, b in zip(other, start, strict=True))
    return (apart / moved) ** 0.5


def compared(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one workload by Foedus and by both modes of TFF, which take turns."""
    from measured_run import measured_run

    theirs = str(HOME / "envs" / "tff" / "bin" / "python")
    flags = [f for f, is_on in (("--fresh", options.fresh), ("--no-dropout", options.no_dropout)) if is_on]
    flags += ["--rounds", str(options.rounds or WORKLOADS[name].rounds)]
    seconds: dict[str, list[float]] = {}
    distance: dict[str, float] = {}
    ours: Any = None
    for way in ("foedus", *LOOPS) * options.repeats:
        python = sys.executable if way == "foedus" else theirs
        command = [python, str(Path(__file__).resolve()), "--workloads", name, "--run", way, *flags]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "FOEDUS_CACHE_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
        outcome = measured_run(command, timeout=options.timeout, environment=environment)
        if "failed" in outcome:
            return {"workload": name, "failed": f"{way}: {outcome['failed']}"}
        weights = _weights(outcome)
        ours = weights if way == "foedus" else ours
        distance |= {} if way == "foedus" else {way: _distance(ours, weights, WORKLOADS[name].initial)}
        seconds.setdefault(way, []).append(outcome["result"]["seconds_per_round"])
    middle = {way: statistics.median(own) for way, own in seconds.items()}
    better = min(middle[loop] for loop in LOOPS)
    return {
        "workload": name,
        "seconds_per_round": {way: round(value, 6) for way, value in middle.items()},
        "spread": {way: [round(min(own), 6), round(max(own), 6)] for way, own in seconds.items()},
        "times_as_fast_as_tff": round(better / middle["foedus"], 2),
        "distance": distance,
    }


def main() -> None:
    options = parse()
    if options.run is not None:
        from dataclasses import replace

        own = WORKLOADS[options.workloads[0]]
        print(json.dumps(run(replace(own, rounds=options.rounds or own.rounds), options)), flush=True)
        os._exit(0)  # TFF leaves threads and a worker process behind.
    results = [compared(name, options) for name in options.workloads]
    print(json.dumps({"fresh_data_sets": options.fresh, "workloads": results}), flush=True)
    if any("failed" in result for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
