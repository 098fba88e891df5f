# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Pooling, forward and backward, as elementwise operations on shifted slices.

XLA's CPU backend runs windowed reductions, and above all the scatter that is the gradient of max
pooling, as scalar loops.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

_MOST_TAPS = 64
_REDUCERS: dict[str, tuple[Callable[[Any, Any], Any], float]] = {
    "reduce_window_max": (lax.max, -math.inf),
    "reduce_window_min": (lax.min, math.inf),
    "reduce_window_sum": (lax.add, 0.0),
}


def reduce_windows(name: str, x: Any, params: dict[str, Any]) -> Any | None:
    """Pooling as a reduction over shifted slices.

    Args:
        name: The primitive.
        x: What is pooled.
        params: The primitive's parameters.

    Returns:
        The same (a sum up to rounding), or None if it is better left as it is.
    """
    window = params["window_dimensions"]
    if name not in _REDUCERS or not _suits(x, window):
        return None
    reduce, neutral = _REDUCERS[name]
    padded = _padded(x, neutral, params["padding"], params["base_dilation"])
    result = None
    for part in _taps(padded, window, params["window_strides"], params["window_dilation"]):
        result = part if result is None else reduce(result, part)
    return result


def scatter_to_selected(source: Any, x: Any, params: dict[str, Any]) -> Any | None:
    """The gradient of max or min pooling: what comes to a window goes to the first of its extremes.

    Args:
        source: What comes to each window.
        x: What was pooled.
        params: The parameters of ``select_and_scatter_add_p``.

    Returns:
        The same, or None if it is better left as it is.
    """
    window, strides, padding = params["window_dimensions"], params["window_strides"], params["padding"]
    select = params["select_prim"].name
    if select not in ("ge", "le") or not _suits(x, window):
        return None
    reduce, neutral = _REDUCERS["reduce_window_max" if select == "ge" else "reduce_window_min"]
    ones = (1,) * x.ndim
    padded = _padded(x, neutral, padding, ones)
    parts = list(_taps(padded, window, strides, ones))
    extreme = parts[0]
    for part in parts[1:]:
        extreme = reduce(extreme, part)
    free = jnp.ones(source.shape, bool)
    total = None
    for at, part in zip(itertools.product(*map(range, window)), parts, strict=True):
        chosen = free & (part == extreme)
        free = free & ~chosen
        own = _spread(jnp.where(chosen, source, jnp.zeros_like(source)), padded.shape, at, strides)
        total = own if total is None else total + own
    assert total is not None
    return _cropped(total, x.shape, padding)


def _suits(x: Any, window: tuple[int, ...]) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating) and 1 < math.prod(window) <= _MOST_TAPS


def _padded(x: Any, fill: float, padding: Any, dilation: Any) -> Any:
    config = [(int(a), int(b), d - 1) for (a, b), d in zip(padding, dilation, strict=True)]
    return lax.pad(x, jnp.asarray(fill, x.dtype), config) if any(any(c) for c in config) else x


def _taps(x: Any, window: Any, strides: Any, dilation: Any) -> Any:
    """For every position inside a window, what it holds in all windows."""
    sizes = [
        (n - (w - 1) * d - 1) // s + 1 for n, w, s, d in zip(x.shape, window, strides, dilation, strict=True)
    ]
    for at in itertools.product(*map(range, window)):
        start = [i * d for i, d in zip(at, dilation, strict=True)]
        limit = [a + (n - 1) * s + 1 for a, n, s in zip(start, sizes, strides, strict=True)]
        yield lax.slice(x, start, limit, strides)


def _spread(part: Any, shape: Any, at: Any, strides: Any) -> Any:
    """The inverse of a tap: its values at their places, zeros elsewhere."""
    config = []
    for size, n, i, s in zip(shape, part.shape, at, strides, strict=True):
        config.append((i, size - i - ((n - 1) * s + 1), s - 1))
    return lax.pad(part, jnp.zeros((), part.dtype), config)


def _cropped(x: Any, shape: Any, padding: Any) -> Any:
    start = [int(low) for low, _ in padding]
    return lax.slice(x, start, [a + n for a, n in zip(start, shape, strict=True)])
