# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Zeroing: values that are too large to be right count for nothing."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp

from foedus.aggregators._aggregator import Aggregator
from foedus.aggregators._limited import Limited, Treated, limit_of
from foedus.aggregators._norm import norm_of, within
from foedus.aggregators._sum import sum as plain_sum
from foedus.errors import ArgumentError, place
from foedus.process import EstimationProcess

_ORDERS = (1, 2, math.inf)


class ZeroedWeight(Enum):
    """The weight of a value that was replaced by zeros."""

    ZERO = "zero"
    """Zero: a weighted mean is that of the other clients."""
    KEPT = "kept"
    """As it was: a weighted mean is drawn towards zero, as one without weights is."""


def zero(
    inner: Aggregator,
    *,
    norm: float | EstimationProcess,
    order: float = math.inf,
    weight: ZeroedWeight = ZeroedWeight.ZERO,
    zeroed_count_sum: Aggregator | None = None,
) -> Aggregator:
    """Replaces each client's whole value by zeros if its norm is too large.

    For what can only come from broken data or broken clients: the norm is usually some times that of almost
    all clients, such as ``quantile(0.98, initial=10.0).map(lambda c: 2 * c + 1)``. The norm is over all
    elements of all leaves. A value whose norm is NaN or infinite is replaced too.

    Args:
        inner: What aggregates.
        norm: The largest norm that is let through: a number, or an estimation process, which then learns
            from the clients' norms in every step. Values are compared with what it reported before.
        order: Of the norm: 1, 2, or infinity for the greatest absolute value.
        weight: What becomes of the weight of a value that is replaced. Without weights the client is
            counted by ``inner`` as any other.
        zeroed_count_sum: How the clients are counted whose values are replaced, int32; ``sum()`` if not
            given.

    Returns:
        An aggregator of floating point or complex numbers, with the weights of ``inner``. Its state and its
        measurements are ``<inner,norm,zeroed_count>``: of ``inner``, of the norm, which is measured as
        float32, the one that values were compared with, and of the count.

    Raises:
        ArgumentError: If the norm is negative or no number, or the order is none of the three.
        CompositionError: If the estimation process does not take a float32 of each client and report one.

    Example:
        >>> import foedus as fd
        >>> from foedus.aggregators import mean, zero
        >>> process = zero(mean(), norm=10.0).create(fd.float32, fd.float32)
        >>> float(process.next(process.initialize(), [1.0, 50.0], [1.0, 1.0]).result)
        1.0
    """
    if isinstance(order, bool) or order not in _ORDERS:
        raise ArgumentError(
            "There is no such order of a norm",
            found=repr(order),
            expected="1, 2 or math.inf",
            at=place("the order of zero"),
        )
    keeps = weight is ZeroedWeight.KEPT

    def treat(value: Any, weight: Any, limit: Any) -> Treated:
        size = norm_of(value, order)
        exceeds = ~within(size, limit)
        value, zeroed = jax.tree.map(lambda x: jnp.where(exceeds, 0, x).astype(x.dtype), (value, weight))
        kept = weight if keeps else zeroed
        return Treated(value, kept, size.astype(jnp.float32), exceeds.astype(jnp.int32))

    count = zeroed_count_sum or plain_sum()
    return Limited(inner, limit_of(norm, "zero"), count, treat, "Zeroing", "zeroed_count")
