# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The models of the workloads, as anybody would write them in JAX. Weights are lists in Keras' layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

DROPPED = (0.25, 0.5)


def softmax(weights, x):
    return x.reshape(x.shape[0], -1) @ weights[0] + weights[1]


def softmax_of_bytes(weights, x):
    return softmax(weights, x.astype(jnp.float32) / 255)


def _convolution(x, kernel, bias):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dimensions) + bias


def _max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _dropout(x, key, rate):
    kept = jax.random.bernoulli(key, jnp.float32(1 - rate), x.shape)
    return jnp.where(kept, x / jnp.float32(1 - rate), jnp.float32(0))


def _cnn(dropout):
    def cnn(weights, x, key, training):
        first, second = jax.random.split(key)
        x = jax.nn.relu(_convolution(x, weights[0], weights[1]))
        x = _max_pool(jax.nn.relu(_convolution(x, weights[2], weights[3])))
        x = _dropout(x, first, DROPPED[0]) if training and dropout else x
        x = jax.nn.relu(x.reshape(x.shape[0], -1) @ weights[4] + weights[5])
        x = _dropout(x, second, DROPPED[1]) if training and dropout else x
        return x @ weights[6] + weights[7]

    return cnn


def _lstm_layer(kernel, recurrent, bias, x):
    def step(carry, projected):
        hidden, cell = carry
        i, f, g, o = jnp.split(projected + hidden @ recurrent, 4, -1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    start = jnp.zeros((x.shape[0], recurrent.shape[0]), x.dtype)
    _, hiddens = lax.scan(step, (start, start), (x @ kernel + bias).swapaxes(0, 1))
    return hiddens.swapaxes(0, 1)


def lstm(weights, x):
    x = weights[0][x]
    x = _lstm_layer(weights[1], weights[2], weights[3], x)
    x = _lstm_layer(weights[4], weights[5], weights[6], x)
    return x @ weights[7] + weights[8]


def apply_of(model: str, *, dropout: bool) -> Callable[..., Any]:
    """The function of a workload's model."""
    if model == "cnn":
        return _cnn(dropout)
    return {"softmax": softmax, "softmax_of_bytes": softmax_of_bytes, "lstm": lstm}[model]


def keras_layers(model: str, *, dropout: bool) -> list[Any]:
    """The layers of a workload's model in Keras, after its input: W1 to W3."""
    from keras import layers

    if model == "softmax":
        return [layers.Flatten(), layers.Dense(10)]
    first, second = DROPPED if dropout else (0.0, 0.0)
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPool2D(2),
        layers.Dropout(first),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(second),
        layers.Dense(10),
    ]


def loss(predictions, labels):
    losses = optax.softmax_cross_entropy_with_integer_labels(predictions, labels)
    return losses.reshape(losses.shape[0], -1).mean(1)
