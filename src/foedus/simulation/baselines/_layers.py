# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The layers of the baselines' networks, in plain JAX."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp


def he_normal(key: Any, *shape: int) -> Any:
    """Weights float32[shape] with variance 2 / fan-in (He et al., "Delving Deep into Rectifiers", 2015,
    section 2.2).

    Args:
        key: A key of JAX's.
        *shape: The last dimension counts outputs, the others make the fan-in.

    Returns:
        The weights.
    """
    fan_in = math.prod(shape[:-1])
    return jax.random.normal(key, shape, dtype=jnp.float32) * jnp.float32(math.sqrt(2 / fan_in))


def convolution(x: Any, kernel: Any, bias: Any) -> Any:
    """A convolution without padding, as one matrix product over patches, which XLA does well inside loops on
    a CPU.

    Args:
        x: float32[rows, height, width, channels].
        kernel: float32[size, size, channels, filters].
        bias: float32[filters].

    Returns:
        float32[rows, height - size + 1, width - size + 1, filters].
    """
    size = kernel.shape[0]
    height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
    shifted = [x[:, i : i + height, j : j + width, :] for i in range(size) for j in range(size)]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1]) + bias


def max_pool(x: Any) -> Any:
    """The maximum of every two by two pixels; an odd last row or column is left out."""
    rows, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(rows, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def dropout(x: Any, key: Any, rate: float) -> Any:
    """Leaves out values with a probability and scales the others up (Srivastava et al., "Dropout", 2014)."""
    kept = jax.random.bernoulli(key, jnp.float32(1 - rate), x.shape)
    return jnp.where(kept, x / jnp.float32(1 - rate), jnp.float32(0))


def random_shift(images: Any, key: Any, most: int) -> Any:
    """Shifts every image by up to ``most`` pixels in each direction, filling with zeros.

    Args:
        images: float32[rows, height, width].
        key: A key of JAX's.
        most: Pixels.

    Returns:
        Images of the same shape.
    """
    rows, height, width = images.shape
    offsets = jax.random.randint(key, (rows, 2), 0, 2 * most + 1, dtype=jnp.int32)
    padded = jnp.pad(images, ((0, 0), (most, most), (most, most)))
    return jax.vmap(lambda image, offset: jax.lax.dynamic_slice(image, offset, (height, width)))(
        padded, offsets
    )
