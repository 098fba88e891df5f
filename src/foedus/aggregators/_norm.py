# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Norms of whole values."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp


def norm_of(value: Any, order: float) -> Any:
    """The norm of a whole value, over all elements of all its leaves.

    Args:
        value: Arrays of floating point or complex numbers.
        order: 1, 2 or infinity.

    Returns:
        The norm, float64: the square of a large float32 is still a number there.
    """
    wide = [jnp.abs(_wide(leaf)) for leaf in jax.tree.leaves(value)]
    if order == math.inf:
        return jnp.max(jnp.stack([jnp.float64(0), *(jnp.max(leaf, initial=0) for leaf in wide)]))
    powers = [jnp.sum(leaf if order == 1 else jnp.square(leaf)) for leaf in wide]
    total = sum(powers, start=jnp.float64(0))
    return total if order == 1 else jnp.sqrt(total)


def _wide(leaf: Any) -> Any:
    return leaf.astype(jnp.complex128 if jnp.iscomplexobj(leaf) else jnp.float64)


def scaled(leaf: Any, by: Any) -> Any:
    """An array times a number, rounded once."""
    return (_wide(leaf) * by).astype(leaf.dtype)


def within(norm: Any, limit: Any) -> Any:
    """Whether a norm is a finite number of at most ``limit``, compared in float32."""
    return jnp.isfinite(norm) & (norm.astype(jnp.float32) <= limit)
