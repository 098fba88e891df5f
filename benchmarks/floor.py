# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine can do, and what a round of each workload needs at the least: prints one JSON line.

Measured are products of large float32 matrices by XLA, on one core and on all; copies of arrays larger than
the cache; and one call of a compiled program that does next to nothing. The floor of a round is the longer of
its arithmetic at the speed of the matrix products and its bytes at the speed of the copies, on all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from this_machine import cores
from workload_data import DATA, WORKLOADS, Workload, columns, offsets

FORMULA = (
    "FLOP of a round = examples × FLOP an example + 2 × weights × (batches + clients): a multiply and an add "
    "for every use of a weight in a product, forward, for its gradient, and for its input's gradient where "
    "something before it is trained; then one step of gradient descent a batch, and one weighted sum a "
    "client. Element-wise functions are not counted. Bytes of a round = its examples once, and 8 bytes a "
    "weight and client: the weights read once, the trained ones written once. Products of small matrices do "
    "not reach the speed of large ones, so the floor is out of reach."
)
_SIDE = 2048
"""Of the square matrices that are multiplied."""
_COPIED = 2**28
"""Bytes of the arrays that are copied."""
_CALLS = 5000


def best(function: Callable[[], Any], repeats: int) -> float:
    """The least time of several, after one that is not counted."""
    function()
    times: list[float] = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def gflops(repeats: int) -> float:
    """Speed of a matrix product on the cores that this process may use."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.asarray(np.random.default_rng(0).random((_SIDE, _SIDE), dtype=np.float32))
    product = jax.jit(lambda a, b: a @ b)
    return 2 * _SIDE**3 / best(lambda: product(matrix, matrix).block_until_ready(), repeats) / 1e9


def gflops_one_core(repeats: int) -> float | None:
    """The same in a process that may use one core only; None where a process cannot be kept on a core."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    command = [sys.executable, __file__, "--one-core", "--repeats", str(repeats)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def gbps(threads: int, repeats: int) -> float:
    """Speed of copies, bytes read and written."""
    pairs = [(np.ones(_COPIED // 4, np.float32), np.zeros(_COPIED // 4, np.float32)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def copy_all() -> None:
            list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))

        return 2 * _COPIED * threads / best(copy_all, repeats) / 1e9


def call_us() -> float:
    """Microseconds of one call of a compiled program, from Python until its result is there."""
    import jax
    import jax.numpy as jnp

    program, number = jax.jit(lambda x: x + 1), jnp.float32(0)

    def calls() -> None:
        for _ in range(_CALLS):
            program(number).block_until_ready()

    return best(calls, 3) / _CALLS * 1e6


@dataclass(frozen=True)
class Product:
    """Weights as they are used in products.

    Args:
        uses: How many multiply-adds there are for an example.
        first: Whether nothing before it is trained, so that its input needs no gradient.
    """

    uses: int
    first: bool = False


def products(model: str) -> list[Product]:
    """The products of a model, for one example."""
    shapes = [array.shape for array in np.load(DATA / f"init_{model.split('_')[0]}.npz").values()]
    matrices = [shape for shape in shapes if len(shape) > 1]
    if model == "cnn":
        first, second, hidden, output = matrices
        # Convolutions of 3x3 without padding: kernels are used at every place of 26x26 and 24x24 images.
        return [
            Product(26 * 26 * int(np.prod(first)), first=True),
            Product(24 * 24 * int(np.prod(second))),
            Product(int(np.prod(hidden))),
            Product(int(np.prod(output))),
        ]
    if model == "lstm":
        steps = np.load(DATA / "text_x.npy", mmap_mode="r").shape[1]
        return [Product(steps * int(np.prod(shape))) for shape in matrices[1:]]  # the embedding is looked up
    return [Product(int(np.prod(shape)), first=True) for shape in matrices]


def needs(workload: Workload) -> dict[str, Any]:
    """What a round needs, on average over the rounds of a measurement."""
    sizes = np.diff(offsets(workload))
    drawn = [np.array(workload.drawn(number)) % len(sizes) for number in range(1, workload.rounds + 1)]
    examples = float(np.mean([sizes[chosen].sum() for chosen in drawn]))
    batches = float(np.mean([(-(-sizes[chosen] // workload.batch)).sum() for chosen in drawn]))
    weights = sum(array.size for array in workload.initial)
    each = sum(2 * product.uses * (2 if product.first else 3) for product in products(workload.model))
    row = sum(column.dtype.itemsize * int(np.prod(column.shape[1:])) for column in columns(workload).values())
    return {
        "examples": round(examples),
        "gflop": (examples * each + 2 * weights * (batches + workload.cohort)) / 1e9,
        "megabytes": (examples * row + 8 * weights * workload.cohort) / 1e6,
    }


def with_floor(need: dict[str, Any], gflops_all: float, gbps_all: float) -> dict[str, Any]:
    """A round's needs, and the least time for them."""
    arithmetic, memory = need["gflop"] / gflops_all, need["megabytes"] / 1e3 / gbps_all
    return {
        **{name: float(f"{value:.5g}") for name, value in need.items()},
        "floor_s": float(f"{max(arithmetic, memory):.4g}"),
        "bound": "arithmetic" if arithmetic >= memory else "memory",
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7, help="how often everything is timed")
    parser.add_argument("--one-core", action="store_true", help="only the matrix product, on one core")
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(gflops(options.repeats))
        return
    one_core = gflops_one_core(options.repeats)
    all_cores, copied = gflops(options.repeats), gbps(cores(), options.repeats)
    result = {
        "gflops_one_core": one_core,
        "gflops_all_cores": all_cores,
        "gbps_one_thread": gbps(1, options.repeats),
        "gbps_all_cores": copied,
        "call_us": call_us(),
        "formula": FORMULA,
        "workloads": {
            name: with_floor(needs(workload), all_cores, copied)
            for name, workload in WORKLOADS.items()
            if DATA.is_dir()
        },
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
