# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An estimate of a quantile of the clients' numbers, learned from how many are below it."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from foedus.errors import ArgumentError, place
from foedus.lang import (
    computation,
    federated_apply,
    federated_broadcast,
    federated_map,
    federated_sum,
    federated_value,
)
from foedus.process import EstimationProcess
from foedus.types import SERVER, at_clients, at_server, float32


def quantile(target: float, *, initial: float, learning_rate: float = 0.2) -> EstimationProcess:
    """Estimates a quantile of positive numbers that clients have, such as the norms of their updates.

    From Andrew et al., "Differentially Private Learning with Adaptive Clipping", 2021, algorithm 1, without
    noise: where the fraction b of the clients has at most C, C becomes C exp(-eta (b - gamma)). A client
    whose number is NaN counts as above. Without clients C stays as it is; it never leaves the positive
    numbers of float32.

    Clients send whether they are below, as part of a sum; their numbers stay with them.

    Args:
        target: The quantile gamma, from 0 to 1: 0.5 for the median.
        initial: The first estimate C, positive.
        learning_rate: The rate eta, positive; an estimate changes at most by the factor exp(eta) a step.

    Returns:
        A process with ``next: (<estimate=float32@SERVER,value={float32}@CLIENTS> -> float32@SERVER)``, whose
        ``report`` is the estimate. Use ``map`` for a multiple of it.

    Raises:
        ArgumentError: If an argument is out of its range.

    Example:
        >>> median = quantile(0.5, initial=1.0)
        >>> estimate = median.next(median.initialize(), [3.0, 4.0, 0.5])  # one of three is below
        >>> round(float(median.report(estimate)), 4)
        1.0339
    """
    _require(target, "target", "a number from 0 to 1", is_right=0 <= target <= 1)
    _require(initial, "initial", "a positive number", is_right=0 < initial < math.inf)
    _require(learning_rate, "learning_rate", "a positive number", is_right=0 < learning_rate < math.inf)
    limits = jnp.finfo(jnp.float32)

    def updated(estimate: Any, count: Any) -> Any:
        fraction = count["below"] / jnp.maximum(count["clients"], 1)
        new = estimate * jnp.exp(-learning_rate * (fraction - target))
        new = jnp.clip(new, limits.tiny, limits.max)
        return jnp.where(count["clients"] > 0, new, estimate).astype(jnp.float32)

    @computation
    def initialize() -> Any:
        return federated_value(np.float32(initial), SERVER)

    @computation(at_server(float32), at_clients(float32))
    def next_(estimate: Any, value: Any) -> Any:
        counted = federated_map(
            lambda x, c: {"below": (x <= c).astype(jnp.int32), "clients": jnp.int32(1)},
            (value, federated_broadcast(estimate)),
        )
        return federated_apply(updated, (estimate, federated_sum(counted)))

    @computation(at_server(float32))
    def report(estimate: Any) -> Any:
        return estimate

    return EstimationProcess(initialize, next_, report)


def _require(value: float, name: str, expected: str, *, is_right: bool) -> None:
    if not is_right:
        raise ArgumentError(
            f"The {name} of a quantile is out of its range", found=value, expected=expected, at=place(name)
        )
