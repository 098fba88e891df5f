# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping: no client's value has more than a given norm."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from foedus.aggregators._aggregator import Aggregator
from foedus.aggregators._limited import Limited, Treated, limit_of
from foedus.aggregators._norm import norm_of, scaled, within
from foedus.aggregators._sum import sum as plain_sum
from foedus.process import EstimationProcess


def _clip(value: Any, weight: Any, limit: Any) -> Treated:
    norm = norm_of(value, 2)
    exceeds = ~within(norm, limit)
    factor = jnp.where(exceeds & (norm > 0), jnp.maximum(limit, 0) / norm, 1)
    clipped = jax.tree.map(lambda x: jnp.where(jnp.isfinite(norm), scaled(x, factor), 0), value)
    return Treated(clipped, weight, norm.astype(jnp.float32), exceeds.astype(jnp.int32))


def clip(
    inner: Aggregator, *, norm: float | EstimationProcess, clipped_count_sum: Aggregator | None = None
) -> Aggregator:
    """Scales each client's whole value down to an L2 norm before it is aggregated.

    From Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1. The norm is over all
    elements of all leaves. A value of a smaller norm is aggregated as it is, and weights are passed on.

    A value whose norm is NaN or infinite has no direction: it becomes zeros, keeps its weight, and counts as
    clipped.

    Args:
        inner: What aggregates the clipped values.
        norm: The largest norm: a number, or an estimation process such as ``quantile``, which then learns
            from the clients' norms in every step. Values are clipped to what it reported before.
        clipped_count_sum: How the clipped clients are counted, int32; ``sum()`` if not given.

    Returns:
        An aggregator of floating point or complex numbers, with the weights of ``inner``. Its state and its
        measurements are ``<clipped_count,inner,norm>``: of the count, of ``inner``, and of the norm, which
        is measured as float32, the one that values were clipped to.

    Raises:
        ArgumentError: If the norm is negative or no number.
        CompositionError: If the estimation process does not take a float32 of each client and report one.

    Example:
        >>> import foedus as fd
        >>> from foedus.aggregators import clip, mean
        >>> process = clip(mean(), norm=5.0).create(fd.float32)
        >>> step = process.next(process.initialize(), [1.0, 50.0], [(), ()])
        >>> float(step.result), int(step.measurements["clipped_count"])
        (3.0, 1)
    """
    count = clipped_count_sum or plain_sum()
    return Limited(inner, limit_of(norm, "clip"), count, _clip, "Clipping", "clipped_count")
