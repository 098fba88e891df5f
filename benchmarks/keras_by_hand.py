# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of a Keras model on JAX without a framework: prints one JSON line as rounds.py does.

It is what can be had from Keras: its stateless calls inside one compiled program a round, which scans over
the clients and loops over a client's batches. Clients are padded to the longest of the workload. The kernels
begin as zeros, for they are set anyway, and Keras takes 0.4 s to compile how random ones are drawn.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from workload_data import WORKLOADS, Workload, columns, offsets
from workload_rounds import report, run_rounds


def round_of(workload: Workload) -> Callable[..., Any]:
    """A compiled round: from weights, padded clients and their counts to the mean of the trained weights."""
    import jax
    import jax.numpy as jnp
    import keras
    from jax import lax

    layers = [keras.layers.Flatten(), keras.layers.Dense(10, kernel_initializer="zeros")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    rows = np.arange(workload.batch)

    def mean_loss(weights: Any, x: Any, y: Any, is_real: Any) -> Any:
        own: Any = losses(y, model.stateless_call(weights, [], x)[0])
        return jnp.where(is_real, own, 0).sum() / is_real.sum()

    def train(start: Any, x: Any, y: Any, count: Any) -> Any:
        def step(number: Any, weights: Any) -> Any:
            at = number * workload.batch
            batch = (lax.dynamic_slice_in_dim(column, at, workload.batch) for column in (x, y))
            gradients = jax.grad(mean_loss)(weights, *batch, at + rows < count)
            return [w - workload.rate * g for w, g in zip(weights, gradients, strict=True)]

        return lax.fori_loop(0, (count + workload.batch - 1) // workload.batch, step, start)

    @jax.jit
    def next_weights(weights: Any, x: Any, y: Any, count: Any) -> Any:
        def add(total: Any, client: Any) -> tuple[Any, None]:
            trained = train(weights, *client)
            return [t + client[2] * w for t, w in zip(total, trained, strict=True)], None

        total = lax.scan(add, [jnp.zeros_like(w) for w in weights], (x, y, count))[0]
        return [t / count.sum() for t in total]

    return next_weights


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", choices=("W1", "W2"), default="W1", help="both train a softmax")
    parser.add_argument(
        "--rounds", type=int, help="rounds, the warm-up included; by default the workload's own"
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    own = WORKLOADS[options.workload]
    workload = replace(own, rounds=options.rounds or own.rounds)
    os.environ["KERAS_BACKEND"] = "jax"

    import jax

    stored, starts = columns(workload), offsets(workload)
    counts = np.diff(starts)
    longest = -(-int(counts.max()) // workload.batch) * workload.batch
    next_weights, weights = round_of(workload), workload.initial

    def padded(column: Any, chosen: Sequence[int]) -> Any:
        filled = np.zeros((len(chosen), longest, *column.shape[1:]), column.dtype)
        for place, client in enumerate(chosen):
            filled[place, : counts[client]] = column[starts[client] : starts[client + 1]]
        return filled

    def next_round(chosen: Sequence[int]) -> None:
        nonlocal weights
        batches = (padded(stored[name], chosen) for name in ("x", "y"))
        weights = jax.block_until_ready(
            next_weights(weights, *batches, counts[list(chosen)].astype(np.int32))
        )

    measured = run_rounds(workload, next_round)
    report("keras-by-hand", workload, options.workload, measured, weights, "one call a round")


if __name__ == "__main__":
    main()
