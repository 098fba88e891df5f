# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The training of ``examples/landing_page.py`` in NumPy: federated averaging of softmax regression.

It shares nothing with Foedus. As Keras does, it takes the cross-entropy of probabilities that are kept from 0
and 1 by 1e-7, and then made to add up to one again; where they are kept, no gradient goes through.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray
Client = tuple[Array, Array]
KEPT = 1e-7


def loss_and_gradients(w: Array, b: Array, x: Array, y: Array) -> tuple[float, Array, Array]:
    logits = x @ w + b
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    kept = np.clip(p, KEPT, 1 - KEPT)
    rows, total = np.arange(len(y)), kept.sum(axis=1)
    loss = (np.log(total) - np.log(kept[rows, y])).mean()
    d_kept = np.broadcast_to(1 / total[:, None], p.shape).copy()
    d_kept[rows, y] -= 1 / kept[rows, y]
    d_p = np.where((p >= KEPT) & (p <= 1 - KEPT), d_kept, 0) / len(y)
    d_logits = p * (d_p - (d_p * p).sum(axis=1, keepdims=True))
    return float(loss), x.T @ d_logits, d_logits.sum(axis=0)


class Round(NamedTuple):
    """What a round gives: the mean loss while it trained, and the weights after it."""

    loss: float
    w: Array
    b: Array


def round_from(w: Array, b: Array, clients: list[Client], *, epochs: int, size: int, rate: float) -> Round:
    """One round of all clients, each of which begins with these weights; it is computed in their dtype."""
    change_w, change_b, loss, seen = np.zeros_like(w), np.zeros_like(b), 0.0, 0
    for x, y in clients:
        # The epochs follow each other without a break: a batch may hold rows of two.
        x, y = np.concatenate([x] * epochs).astype(w.dtype), np.concatenate([y] * epochs)
        own_w, own_b = w, b
        for start in range(0, len(y), size):
            rows = slice(start, start + size)
            now, d_w, d_b = loss_and_gradients(own_w, own_b, x[rows], y[rows])
            own_w, own_b = own_w - rate * d_w, own_b - rate * d_b
            loss, seen = loss + now * len(y[rows]), seen + len(y[rows])
        change_w, change_b = change_w + len(y) * (own_w - w), change_b + len(y) * (own_b - b)
    return Round(loss / seen, w + change_w / seen, b + change_b / seen)


def rounding(
    w: Array, b: Array, clients: list[Client], *, epochs: int, size: int, rate: float, orders: int
) -> tuple[float, float]:
    """How far float32 takes a round from float64: the loss, and the weight that is farthest off.

    The features are added up in several orders, of which the worst counts.
    """
    exact = round_from(w, b, clients, epochs=epochs, size=size, rate=rate)
    generator, found = np.random.default_rng(0), []
    for _ in range(orders):
        order = generator.permutation(len(w))
        mixed = [(x[:, order], y) for x, y in clients]
        start = w[order].astype(np.float32), b.astype(np.float32)
        rounded = round_from(*start, mixed, epochs=epochs, size=size, rate=rate)
        off = max(np.max(np.abs(rounded.w - exact.w[order])), np.max(np.abs(rounded.b - exact.b)))
        found.append((abs(rounded.loss - exact.loss), float(off)))
    losses, weights = zip(*found, strict=True)
    return max(losses), max(weights)


def losses(clients: list[Client], *, rounds: int, epochs: int, size: int, rate: float) -> list[float]:
    """The mean training loss of each round."""
    w, b = np.zeros((clients[0][0].shape[1], 10)), np.zeros(10)
    found = []
    for _ in range(rounds):
        loss, w, b = round_from(w, b, clients, epochs=epochs, size=size, rate=rate)
        found.append(loss)
    return found
