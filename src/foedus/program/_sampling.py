# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a round."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import numpy as np

from foedus.data import ClientId, derive_key
from foedus.errors import ArgumentError, DataError, place


def check_sample(there: int, size: int) -> None:
    """Raises unless a number of clients can be drawn.

    Args:
        there: How many clients there are.
        size: How many are to be drawn.

    Raises:
        ArgumentError: If there are none, none is asked for, or too many.
    """
    if there == 0:
        raise ArgumentError("There are no clients to draw from", found="no client ids", at=place())
    if size < 1:
        raise ArgumentError(
            "There would be zero clients in a round", found=size, expected=f"1 to {there}", at=place()
        )
    if size > there:
        raise ArgumentError(
            "There cannot be more clients in a round than there are in all",
            found=size,
            expected=f"1 to {there}",
            at=place(),
            hint="clients are drawn without replacement: each takes part once in a round at most",
        )


def sample_uniform(ids: Collection[ClientId], size: int, *, seed: int, round: int) -> tuple[ClientId, ...]:
    """Draws clients for a round, uniformly and without replacement.

    The draw depends on the set of ids, the size, the seed and the round, and on nothing else: any round can
    be computed without the ones before it, and the order in which ids are given does not matter.

    Args:
        ids: All clients, each once.
        size: How many to draw.
        seed: Another seed gives other draws.
        round: The round's number.

    Returns:
        The clients, sorted.

    Raises:
        ArgumentError: If no client would be drawn, or more than there are.
        DataError: If ids are mixed strings and numbers.

    Example:
        >>> sample_uniform(["ada", "bob", "cy", "dee"], 2, seed=0, round=1)
        ('ada', 'dee')
    """
    check_sample(len(ids), size)
    return _draw(ids, size, int(seed), "cohort", int(round))


def sample_for_evaluation(ids: Collection[ClientId], size: int, *, seed: int) -> tuple[ClientId, ...]:
    """Draws clients to evaluate on: the same ones for every round, so that rounds can be compared."""
    check_sample(len(ids), size)
    return _draw(ids, size, int(seed), "evaluation")


def in_order(ids: Collection[ClientId]) -> list[ClientId]:
    """The ids sorted.

    Raises:
        DataError: If some are strings and some are numbers.
    """
    try:
        return sorted(cast("Any", ids))
    except TypeError as error:
        raise DataError("Client ids are all strings or all whole numbers", at=place()) from error


def _draw(ids: Collection[ClientId], size: int, *parts: ClientId) -> tuple[ClientId, ...]:
    ordered = in_order(ids)
    key = int.from_bytes(derive_key(*parts).astype("<u4").tobytes(), "little")
    # One number a client; those with the smallest are drawn. The stream of a bit generator is the same in
    # every version of NumPy; what `Generator.choice` makes of it is not.
    numbers = np.random.Philox(key=key).random_raw(len(ordered))
    chosen = np.sort(np.argsort(numbers, kind="stable")[:size])
    return tuple(ordered[i] for i in chosen)
