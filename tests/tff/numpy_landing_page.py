# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The training of ``examples/landing_page.py`` in NumPy: federated averaging of softmax regression.

It shares nothing with Foedus. As Keras does, it takes the cross-entropy of probabilities that are kept from 0
and 1 by 1e-7, and then made to add up to one again; where they are kept, no gradient goes through.
"""

from __future__ import annotations

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


def losses(clients: list[Client], *, rounds: int, epochs: int, size: int, rate: float) -> list[float]:
    """The mean training loss of each round."""
    w, b = np.zeros((clients[0][0].shape[1], 10)), np.zeros(10)
    found = []
    for _ in range(rounds):
        change_w, change_b, loss, seen = np.zeros_like(w), np.zeros_like(b), 0.0, 0
        for x, y in clients:
            # The epochs follow each other without a break: a batch may hold rows of two.
            x, y = np.concatenate([x] * epochs).astype(np.float64), np.concatenate([y] * epochs)
            own_w, own_b = w, b
            for start in range(0, len(y), size):
                rows = slice(start, start + size)
                now, d_w, d_b = loss_and_gradients(own_w, own_b, x[rows], y[rows])
                own_w, own_b = own_w - rate * d_w, own_b - rate * d_b
                loss, seen = loss + now * len(y[rows]), seen + len(y[rows])
            change_w, change_b = change_w + len(y) * (own_w - w), change_b + len(y) * (own_b - b)
        w, b = w + change_w / seen, b + change_b / seen
        found.append(loss / seen)
    return found
