# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging in NumPy, written from its definition alone (McMahan et al., 2017, algorithm 1): two
layers with relu, softmax cross-entropy, stochastic gradient descent. It shares nothing with Foedus.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]
Client = tuple[Array, Array]


def loss_and_gradients(w: Weights, x: Array, y: Array) -> tuple[float, Weights]:
    hidden = np.maximum(x @ w["w1"] + w["b1"], 0)
    logits = hidden @ w["w2"] + w["b2"]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    d_logits = (p - np.eye(p.shape[1], dtype=x.dtype)[y]) / np.asarray(len(y), x.dtype)
    d_hidden = (d_logits @ w["w2"].T) * (hidden > 0)
    gradients = {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
        "w2": hidden.T @ d_logits,
        "b2": d_logits.sum(axis=0),
    }
    return float(loss), gradients


def train(w: Weights, client: Client, *, size: int, epochs: int, rate: float) -> tuple[Weights, int, float]:
    """The weights after a client's training, how many examples it saw, and their mean loss on the way."""
    x, y = client
    seen, total = 0, 0.0
    for _ in range(epochs):
        for start in range(0, len(y), size):
            rows = slice(start, start + size)
            loss, gradients = loss_and_gradients(w, x[rows], y[rows])
            w = {name: w[name] - np.asarray(rate, x.dtype) * gradients[name] for name in w}
            seen, total = seen + len(y[rows]), total + loss * len(y[rows])
    return w, seen, total / max(seen, 1)


def fed_avg(
    w: Weights,
    clients: list[Client],
    *,
    rounds: int,
    size: int,
    epochs: int,
    rate: float,
    server_rate: float,
    weight: Callable[[int, float], float],
) -> Weights:
    """``weight`` says how much a client counts, by its examples and its loss; one without examples counts
    nothing."""
    for _ in range(rounds):
        change, mass = {name: np.zeros_like(w[name]) for name in w}, 0.0
        for client in clients:
            trained, seen, loss = train(w, client, size=size, epochs=epochs, rate=rate)
            share = weight(seen, loss) if seen else 0.0
            change = {
                name: change[name] + w[name].dtype.type(share) * (trained[name] - w[name]) for name in w
            }
            mass += share
        w = {
            name: w[name] + w[name].dtype.type(server_rate) * change[name] / w[name].dtype.type(mass)
            for name in w
        }
    return w
