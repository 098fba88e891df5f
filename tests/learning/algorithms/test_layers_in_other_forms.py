# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Networks whose layers the local runtime puts into other forms are trained as the reference trains them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import foedus as fd
from foedus import learning
from foedus.simulation import ClientData

BOUND = 1e-5
"""The spec's N4, relative to the greatest weight of an array."""


def normal(*shape: int) -> Any:
    return np.random.default_rng([1, *shape]).normal(size=shape).astype("float32") / 4


def convolutional(weights: Any, x: Any, key: Any, training: bool) -> Any:
    layout = ("NHWC", "HWIO", "NHWC")
    x = jax.nn.relu(lax.conv_general_dilated(x, weights["c"], (1, 1), "SAME", dimension_numbers=layout))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = jax.nn.relu(lax.conv_general_dilated(x, weights["d"], (2, 2), "VALID", dimension_numbers=layout))
    x = x.reshape(x.shape[0], -1)
    x = jnp.where(jax.random.bernoulli(key, jnp.float32(0.75), x.shape), x, jnp.float32(0)) if training else x
    return x @ weights["o"]


def recurrent(weights: Any, x: Any, key: Any, training: bool) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(row @ weights["x"] + h @ weights["h"])
        return h, h

    rows = x[..., 0].swapaxes(0, 1)
    return lax.scan(step, jnp.zeros((x.shape[0], 16), x.dtype), rows)[0] @ weights["o"]


NETWORKS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "convolutional": (
        convolutional,
        {"c": normal(3, 3, 1, 4), "d": normal(2, 2, 4, 8), "o": normal(32, 3)},
    ),
    "recurrent": (recurrent, {"x": normal(8, 16), "h": normal(16, 16), "o": normal(16, 3)}),
}


def data() -> ClientData:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(6), [7, 0, 12, 1, 5, 9])
    x = rng.normal(size=(len(owners), 8, 8, 1)).astype("float32")
    return ClientData.from_arrays({"x": x, "y": rng.integers(0, 3, len(owners)).astype("int32")}, owners)


@pytest.mark.parametrize("name", NETWORKS)
def test_local_and_reference_agree(name: str):
    apply, start = NETWORKS[name]
    clients = data()
    model = learning.models.from_jax(
        apply,
        init=start,
        loss=optax.softmax_cross_entropy_with_integer_labels,
        example=clients.element_type,
        coupled=False,
    )
    process = learning.algorithms.fed_avg(
        model, client_optimizer=optax.sgd(0.1), batches=learning.Batches(size=4, epochs=2)
    )
    found = []
    for runtime in (fd.runtime.reference(), fd.runtime.local(workers=2)):
        with fd.use(runtime):
            state = process.initialize(seed=1)
            for _ in range(2):
                state = process.next(state, clients.cohort()).state
        found.append(state.weights.trainable)
    for layer in start:
        expected, local = (np.asarray(weights[layer]) for weights in found)
        assert np.max(np.abs(expected - start[layer])) > 1e-3
        np.testing.assert_allclose(local, expected, rtol=0, atol=BOUND * np.max(np.abs(expected)))
