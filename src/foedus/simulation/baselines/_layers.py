# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The layers of the baselines' networks, in plain JAX."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


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


def small_network(key: Any, *, flat: int, classes: int) -> dict[str, Any]:
    """The first weights of two convolutions of 16 and 32 filters, a hidden layer of 64 units, and an output.

    Args:
        key: A key of JAX's.
        flat: How many values the second convolution leaves of an image.
        classes: How many outputs there are.

    Returns:
        Kernels and biases by layer.
    """
    first, second, hidden, output = jax.random.split(key, 4)
    return {
        "conv_1": {"kernel": he_normal(first, 3, 3, 1, 16), "bias": jnp.zeros(16, jnp.float32)},
        "conv_2": {"kernel": he_normal(second, 3, 3, 16, 32), "bias": jnp.zeros(32, jnp.float32)},
        "hidden": {"kernel": he_normal(hidden, flat, 64), "bias": jnp.zeros(64, jnp.float32)},
        "output": {"kernel": he_normal(output, 64, classes), "bias": jnp.zeros(classes, jnp.float32)},
    }


def convolution(x: Any, kernel: Any, bias: Any) -> Any:
    """A convolution without padding.

    Args:
        x: float32[rows, height, width, channels].
        kernel: float32[size, size, channels, filters].
        bias: float32[filters].

    Returns:
        float32[rows, height - size + 1, width - size + 1, filters].
    """
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout) + bias


def max_pool(x: Any) -> Any:
    """The maximum of every two by two pixels; an odd last row or column is left out."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


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
