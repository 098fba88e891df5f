# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What the scripts of ``examples/tff`` compute, in NumPy; it shares nothing with Foedus.

The softmax regression is that of ``numpy_landing_page``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .numpy_landing_page import Array, Client, loss_and_gradients


class Softmax(NamedTuple):
    """A softmax regression, and how fast it moves.

    Args:
        w: float64[784,10].
        b: float64[10].
    """

    w: Array
    b: Array


ZEROS = Softmax(np.zeros((784, 10)), np.zeros(10))


class Seen(NamedTuple):
    """What was added up over examples."""

    loss: float
    right: int
    examples: int
    batches: int

    def __add__(self, other: object) -> Seen:
        assert isinstance(other, Seen)
        loss, right, examples, batches = other
        return Seen(self.loss + loss, self.right + right, self.examples + examples, self.batches + batches)


NOTHING = Seen(0.0, 0, 0, 0)


def batches(client: Client, size: int, epochs: int = 1) -> Iterator[Client]:
    """A client's examples in batches, which may hold examples of two epochs."""
    x, y = np.concatenate([client[0]] * epochs).astype(np.float64), np.concatenate([client[1]] * epochs)
    for start in range(0, len(y), size):
        yield x[start : start + size], y[start : start + size]


def seen(model: Softmax, x: Array, y: Array) -> Seen:
    """How good a model is on a batch."""
    loss, _, _ = loss_and_gradients(*model, x, y)
    right = int(((x @ model.w + model.b).argmax(axis=1) == y).sum())
    return Seen(loss * len(y), right, len(y), 1)


def trained(
    model: Softmax, client: Client, *, rate: float, size: int, epochs: int = 1, momentum: float = 0.0
) -> tuple[Softmax, Seen]:
    """The model after one client's steps, and what it was good for before each."""
    velocity, total = ZEROS, NOTHING
    for x, y in batches(client, size, epochs):
        total += seen(model, x, y)
        _, d_w, d_b = loss_and_gradients(*model, x, y)
        velocity = Softmax(momentum * velocity.w + d_w, momentum * velocity.b + d_b)
        model = Softmax(model.w - rate * velocity.w, model.b - rate * velocity.b)
    return model, total


def mean_of(models: list[Softmax], weights: list[float]) -> Softmax:
    """The weighted mean of models."""
    return Softmax(*(np.average(parts, axis=0, weights=weights) for parts in zip(*models, strict=True)))


def evaluated(model: Softmax, clients: list[Client], size: int) -> Seen:
    """How good a model is on all clients' examples."""
    total = NOTHING
    for client in clients:
        for x, y in batches(client, size):
            total += seen(model, x, y)
    return total


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).

    Args:
        counter: uint64[n,4], each below 2^32.
        key: Two numbers below 2^32.

    Returns:
        uint64[n,4], each below 2^32.
    """
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = counter.T
    for turn in range(10):
        k0, k1 = (key[0] + turn * 0x9E3779B9) & 0xFFFFFFFF, (key[1] + turn * 0xBB67AE85) & 0xFFFFFFFF
        one, two = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (two >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            two & low,
            (one >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            one & low,
        )
    return np.stack([c0, c1, c2, c3], axis=1)


def normal(seed: tuple[int, int], size: int) -> Array:
    """``tf.random.stateless_normal`` on a CPU: the seed is scrambled once, then Box and Muller's method."""
    scrambled = philox(np.array([[seed[0], 0, seed[1], 0]], np.uint64), (0x3EC8F720, 0x02461E29))[0]
    blocks = -(-size // 4)
    counter = np.zeros((blocks, 4), np.uint64)
    counter[:, 0], counter[:, 2:] = np.arange(blocks), scrambled[2:]
    bits = philox(counter, (int(scrambled[0]), int(scrambled[1]))).reshape(-1, 2)
    uniform = (bits & np.uint64(0x7FFFFF)).astype(np.float64) / 2**23
    radius = np.sqrt(-2 * np.log(np.maximum(uniform[:, 0], 1e-7)))
    angle = 2 * np.pi * uniform[:, 1]
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).ravel()[:size]
