# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A two-layer network for JAX, and clients of different sizes for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from foedus.learning import metrics, models

FEATURES, HIDDEN, CLASSES = 3, 4, 3
SIZES = {"b": 5, "a": 2, "e": 0, "d": 7, "c": 4}
"""Examples of each client, not in the order of ids; one has none."""
CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels


def initial(dtype: str = "float32") -> Callable[[Any], dict[str, Any]]:
    def init(key: Any) -> dict[str, Any]:
        one, two = jax.random.split(key)
        return {
            "w1": jax.random.normal(one, (FEATURES, HIDDEN), dtype),
            "b1": jnp.full(HIDDEN, 0.1, dtype),
            "w2": jax.random.normal(two, (HIDDEN, CLASSES), dtype),
            "b2": jnp.zeros(CLASSES, dtype),
        }

    return init


def network(w: Any, x: Any) -> Any:
    return jax.nn.relu(x @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]


def model_of(
    apply: Callable[..., Any] = network,
    *,
    dtype: str = "float32",
    init: Any = None,
    coupled: bool | None = None,
) -> models.Model:
    return models.from_jax(
        apply,
        init=initial(dtype) if init is None else init,
        loss=CROSS_ENTROPY,
        example={"x": (dtype, (FEATURES,)), "y": "int32"},
        metrics=[metrics.accuracy()],
        coupled=coupled,
    )


def clients(dtype: str = "float32", sizes: dict[str, int] = SIZES) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        name: {
            "x": rng.normal(size=(n, FEATURES)).astype(dtype),
            "y": rng.integers(0, CLASSES, n).astype(np.int32),
        }
        for name, n in sizes.items()
    }
