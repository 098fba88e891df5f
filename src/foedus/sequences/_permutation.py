# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The permutation of shuffled data, inside compiled code."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.data import MULTIPLIERS, ROUNDS


def _scramble(x: Any, k: Any) -> Any:
    x = (x ^ k) * np.uint32(MULTIPLIERS[0])
    x = (x ^ (x >> 13)) * np.uint32(MULTIPLIERS[1])
    return x ^ (x >> 16)


def permuted(key: Any, size: Any, position: Any, repetition: Any) -> Any:
    """Where a key's permutation of ``size`` values sends positions; see ``foedus.data.permutation``."""
    unsigned = jnp.asarray(size).astype(jnp.uint32)
    needed = 32 - lax.clz(jnp.maximum(unsigned, 1) - 1)
    bits = jnp.maximum((needed + 1) // 2, 1).astype(jnp.uint32)
    mask = (jnp.uint32(1) << bits) - 1
    again = jnp.asarray(repetition).astype(jnp.uint32) * np.uint32(MULTIPLIERS[2])
    keys = jnp.asarray(key).astype(jnp.uint32)
    with np.errstate(over="ignore"):
        counters = [np.uint32(i) * np.uint32(MULTIPLIERS[2]) for i in range(ROUNDS)]
    round_keys = [_scramble(keys[i % 2] + again, counters[i]) for i in range(ROUNDS)]

    def once(value: Any) -> Any:
        left, right = value >> bits, value & mask
        for k in round_keys:
            left, right = right, left ^ (_scramble(right, k) & mask)
        return (left << bits) | right

    start = jnp.asarray(position).astype(jnp.uint32)
    real = start < unsigned
    walked = lax.while_loop(
        lambda value: jnp.any(real & (value >= unsigned)),
        lambda value: jnp.where(value >= unsigned, once(value), value),
        jnp.where(real, once(start), start),
    )
    return jnp.where(real, walked, 0).astype(jnp.int32)
