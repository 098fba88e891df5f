# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Recognising the digits of federated EMNIST; clients are writers."""

from __future__ import annotations

from typing import Any

import jax
import optax

from foedus import learning
from foedus.simulation.baselines._layers import convolution, dropout, max_pool, small_network
from foedus.simulation.datasets import emnist

__all__ = ["model", "training"]

_CLASSES = 10
_DROPPED = 0.25


def _init(key: Any) -> dict[str, Any]:
    return small_network(key, flat=800, classes=_CLASSES)


def _apply(weights: Any, pixels: Any, key: Any, training: bool) -> Any:
    ink = 1 - pixels[..., None]
    x = max_pool(jax.nn.relu(convolution(ink, **weights["conv_1"])))
    x = max_pool(jax.nn.relu(convolution(x, **weights["conv_2"])))
    x = x.reshape(x.shape[0], -1)
    x = dropout(x, key, _DROPPED) if training else x
    x = jax.nn.relu(x @ weights["hidden"]["kernel"] + weights["hidden"]["bias"])
    return x @ weights["output"]["kernel"] + weights["output"]["bias"]


def model() -> learning.models.Model:
    """A convolutional network for 28x28 digits on white background.

    Returns:
        A model of 56,714 weights with accuracy as its metric.
    """
    return learning.models.from_jax(
        _apply,
        init=_init,
        loss=optax.softmax_cross_entropy_with_integer_labels,
        example=emnist.ELEMENT_TYPE,
        metrics=[learning.metrics.accuracy()],
        coupled=False,
    )


def training() -> learning.LearningProcess:
    """Federated averaging of ``model`` as ``foedus demo --data emnist`` trains it.

    Returns:
        The learning process.
    """
    return learning.algorithms.fed_avg(
        model(), client_optimizer=optax.sgd(0.1), batches=learning.Batches(size=10, epochs=2)
    )
