# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Draws characters that nobody wrote, in the form of EMNIST."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from foedus.data import derive_key
from foedus.errors import ArgumentError, place
from foedus.simulation._client_data import ClientData
from foedus.simulation._splits import Splits

Array: TypeAlias = np.ndarray[Any, Any]

_SIDE = 28
_COARSE = 7
_NOISE = 0.15


def drawn_characters(classes: int, *, writers: int, seed: int) -> Splits:
    """Draws training and test examples for each of several writers.

    Args:
        classes: How many different characters.
        writers: How many clients.
        seed: What all of it is drawn from.

    Raises:
        ArgumentError: If there is to be no writer.
    """
    if writers < 1:
        raise ArgumentError("There must be a writer", found=writers, at=place())
    shapes = np.stack([_shape(seed, label) for label in range(classes)])
    train, test = {}, {}
    for writer in range(writers):
        name = f"writer{writer:03d}"
        rng = _generator(seed, "writer", writer)
        # Few clients with many examples, as in real data.
        count = 10 + int(50 * rng.random() ** 2)
        drawn = _examples(shapes, count + 2 + count // 8, rng)
        train[name] = {key: column[:count] for key, column in drawn.items()}
        test[name] = {key: column[count:] for key, column in drawn.items()}
    return Splits(ClientData.from_clients(train), ClientData.from_clients(test))


def _generator(*parts: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive_key("drawn characters", *parts).tolist()))


def _shape(seed: int, label: int) -> Array:
    """Ink from 0 to 1 of a class, float[28,28]: a blurred pattern of coarse blots."""
    blots = (_generator(seed, "class", label).random((_COARSE, _COARSE)) < 0.35).astype(np.float64)
    ink = np.kron(blots, np.ones((_SIDE // _COARSE, _SIDE // _COARSE)))
    for axis in (0, 1):
        ink = (np.roll(ink, 1, axis) + 2 * ink + np.roll(ink, -1, axis)) / 4
    return ink


def _examples(shapes: Array, count: int, rng: np.random.Generator) -> dict[str, Array]:
    """One writer's examples: some classes more often than others, all moved and faded alike."""
    labels = rng.choice(len(shapes), size=count, p=rng.dirichlet(np.full(len(shapes), 2.0)))
    moved = np.roll(shapes[labels], tuple(rng.integers(-1, 2, size=2)), axis=(1, 2))
    ink = (0.7 + 0.3 * rng.random()) * moved + _NOISE * rng.standard_normal(moved.shape)
    return {"label": labels.astype(np.int32), "pixels": (1.0 - np.clip(ink, 0.0, 1.0)).astype(np.float32)}
