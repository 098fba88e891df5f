# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Recognising the embedded 8x8 digits; clients are writing forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from foedus import learning
from foedus.simulation.baselines._layers import convolution, dropout, he_normal, max_pool, random_shift
from foedus.simulation.datasets import digits

__all__ = ["model", "training"]

_CLASSES = 10
_DROPPED = 0.3


def _init(key: Any) -> dict[str, Any]:
    first, second, hidden, output = jax.random.split(key, 4)
    return {
        "conv_1": {"kernel": he_normal(first, 3, 3, 1, 16), "bias": jnp.zeros(16, jnp.float32)},
        "conv_2": {"kernel": he_normal(second, 3, 3, 16, 32), "bias": jnp.zeros(32, jnp.float32)},
        "hidden": {"kernel": he_normal(hidden, 128, 64), "bias": jnp.zeros(64, jnp.float32)},
        "output": {"kernel": he_normal(output, 64, _CLASSES), "bias": jnp.zeros(_CLASSES, jnp.float32)},
    }


def _apply(weights: Any, pixels: Any, key: Any, training: bool) -> Any:
    shift, drop = jax.random.split(key)
    images = random_shift(pixels, shift, 1) if training else pixels
    x = jax.nn.relu(convolution(images[..., None], **weights["conv_1"]))
    x = max_pool(jax.nn.relu(convolution(x, **weights["conv_2"])))
    x = x.reshape(x.shape[0], -1)
    x = dropout(x, drop, _DROPPED) if training else x
    x = jax.nn.relu(x @ weights["hidden"]["kernel"] + weights["hidden"]["bias"])
    return x @ weights["output"]["kernel"] + weights["output"]["bias"]


def model() -> learning.models.Model:
    """A small convolutional network for 8x8 digits, trained on randomly shifted images.

    Returns:
        A model of 13,706 weights with accuracy as its metric.
    """
    return learning.models.from_jax(
        _apply,
        init=_init,
        loss=optax.softmax_cross_entropy_with_integer_labels,
        example=digits.ELEMENT_TYPE,
        metrics=[learning.metrics.accuracy()],
        coupled=False,
    )


def training() -> learning.LearningProcess:
    """Federated averaging of ``model`` as ``foedus demo`` trains it.

    Returns:
        The learning process.
    """
    return learning.algorithms.fed_avg(
        model(), client_optimizer=optax.sgd(0.2), batches=learning.Batches(size=20, epochs=2)
    )
