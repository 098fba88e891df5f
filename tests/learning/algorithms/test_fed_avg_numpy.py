# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""FedAvg equals an independent implementation in NumPy, weight for weight."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import foedus as fd
from foedus import learning, runtime
from foedus.learning import Weighting
from foedus.learning.algorithms import fed_avg

from .. import numpy_fed_avg as independent
from ..small_models import SIZES, clients, model_of

BOUNDS = {"float64": 1e-12, "float32": 1e-5}
"""The spec's N4, relative to the greatest weight of an array: a few dozen steps, each of a few sums."""

WEIGHTINGS = {
    "examples": (Weighting.EXAMPLES, lambda seen, loss: float(seen)),
    "uniform": (Weighting.UNIFORM, lambda seen, loss: 1.0),
    "square of examples": (lambda m: m["examples"] ** 2, lambda seen, loss: float(seen**2)),
    "by loss": (
        lambda m: jnp.where(m["loss"] > 1.2, 3.0, 1.0),
        lambda seen, loss: 3.0 if loss > 1.2 else 1.0,
    ),
}


def compare(
    make: Any,
    dtype: str,
    weighting: str,
    *,
    rounds: int,
    size: int,
    epochs: int,
    server_rate: float = 1.0,
    sizes: dict[str, int] = SIZES,
) -> None:
    ours, theirs = WEIGHTINGS[weighting]
    data = clients(dtype, sizes)
    process = fed_avg(
        model_of(dtype=dtype, coupled=False),
        client_optimizer=optax.sgd(0.1),
        server_optimizer=optax.sgd(server_rate),
        batches=learning.Batches(size=size, epochs=epochs, shuffle=False),
        weighting=ours,
    )
    with fd.use(make()):
        state = process.initialize(seed=3)
        start = state.weights.trainable
        for _ in range(rounds):
            state = process.next(state, data).state
    expected = independent.fed_avg(
        start,
        [(data[i]["x"], data[i]["y"]) for i in sorted(data)],
        rounds=rounds,
        size=size,
        epochs=epochs,
        rate=0.1,
        server_rate=server_rate,
        weight=theirs,
    )
    for name, leaf in state.weights.trainable.items():
        assert leaf.dtype == dtype
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(leaf, expected[name], rtol=0, atol=BOUNDS[dtype] * scale, err_msg=name)
        assert not np.allclose(leaf, start[name], atol=1e-3), "nothing was learnt"


CASES = [("float32", "examples"), *(("float64", name) for name in WEIGHTINGS)]


@pytest.mark.parametrize(("dtype", "weighting"), CASES)
def test_local_equals_numpy(dtype: str, weighting: str):
    compare(runtime.local, dtype, weighting, rounds=4, size=3, epochs=3)


@pytest.mark.parametrize("size", [1, 100])
def test_local_equals_numpy_for_other_batches(size: int):
    compare(runtime.local, "float64", "examples", rounds=2, size=size, epochs=1, server_rate=0.5)


def test_the_reference_equals_numpy():
    few = {"b": 3, "a": 0, "c": 1}
    compare(runtime.reference, "float64", "examples", rounds=1, size=2, epochs=2, server_rate=0.5, sizes=few)
