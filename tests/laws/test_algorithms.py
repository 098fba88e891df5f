# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every learning algorithm keeps the laws, in every runtime."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from foedus import runtime
from foedus.learning import Batches, LearningProcess, Weighting, metrics, models
from foedus.learning.algorithms import fed_avg

from . import algorithm_laws as laws
from .algorithm_laws import Algorithm

RUNTIMES = {"local": runtime.local}
FEATURES = 2
DATA = ({"b": 3, "a": 2, "c": 0}, {"d": 1, "b": 3, "a": 2})
"""Examples of the clients of every other round: fewer than a batch, a last partial batch, and none at all."""


def weights(key: Any) -> Any:
    return {"w": jax.random.normal(key, (FEATURES, 2), "float32"), "b": [jnp.zeros(2, "float32")]}


def linear(w: Any, x: Any) -> Any:
    return x @ w["w"] + w["b"][0]


def with_dropout(w: Any, x: Any, key: Any, training: bool) -> Any:
    return linear(w, jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x * 2, 0) if training else x)


def with_batch_norm(w: Any, x: Any) -> Any:
    return linear(w, x - x.mean(axis=0))


def build(apply: Any, **settings: Any) -> LearningProcess:
    model = models.from_jax(
        apply,
        init=weights,
        loss=optax.softmax_cross_entropy_with_integer_labels,
        example={"x": ("float32", (FEATURES,)), "y": "int32"},
        metrics=[metrics.accuracy()],
        coupled=apply is with_batch_norm,
    )
    return fed_avg(
        model, **{"client_optimizer": optax.sgd(0.1), "batches": Batches(size=2, epochs=2)} | settings
    )


def clients(sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        i: {
            "x": rng.normal(size=(n, FEATURES)).astype(np.float32),
            "y": rng.integers(0, 2, n).astype(np.int32),
        }
        for i, n in sizes.items()
    }


def in_batches(data: dict[str, Any]) -> dict[str, Any]:
    """The same clients, whose examples arrive as batches of different sizes."""
    cuts = (slice(0, 1), slice(1, 3))
    return {i: [{name: d[name][cut] for name in d} for cut in cuts] for i, d in data.items()}


PLAIN = (clients(DATA[0]), clients(DATA[1]))
READY = (in_batches(PLAIN[0]), in_batches(PLAIN[1]))
ADAM = {"client_optimizer": optax.adam(0.1), "server_optimizer": optax.adam(0.1)}

ALGORITHMS = {
    "fed_avg": Algorithm(lambda: build(linear), PLAIN),
    "fed_avg with adam and dropout": Algorithm(
        lambda: build(with_dropout, weighting=Weighting.UNIFORM, **ADAM), PLAIN
    ),
    "fed_avg with batch normalisation": Algorithm(lambda: build(with_batch_norm), PLAIN),
    "fed_avg on ready-made batches": Algorithm(lambda: build(linear, batches=None), READY),
}
LAWS = [
    laws.agrees,
    laws.repeats_itself,
    laws.resumes,
    laws.ignores_order,
    laws.keeps_types,
    laws.compiles_once,
    laws.explains_itself,
]


@pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_it_keeps_the_laws(make: Any, law: laws.Law, algorithm: Algorithm):
    assert law(make, algorithm) == []
