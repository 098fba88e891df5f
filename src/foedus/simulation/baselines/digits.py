# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Recognising the embedded 8x8 digits; clients are writing forms."""

from __future__ import annotations

from typing import Any

import jax
import optax

from foedus import learning
from foedus.simulation.baselines._layers import convolution, dropout, max_pool, random_shift, small_network
from foedus.simulation.datasets import digits

__all__ = ["model", "training"]

_CLASSES = 10
_DROPPED = 0.3


def _init(key: Any) -> dict[str, Any]:
    return small_network(key, flat=128, classes=_CLASSES)


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
