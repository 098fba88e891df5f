# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutions as matrix products over patches: the form that XLA's CPU backend keeps fast inside loops.

There the library kernels for convolutions are not used, and its own are an order of magnitude slower
(``benchmarks/RESULTS.md``).
A convolution, its gradient by the input and its gradient by the kernel are all ``conv_general_dilated``, in
other layouts; one
function serves all three. "Patches" are the im2col of Chellapilla, Puri and Simard, "High performance
convolutional neural
networks for document processing", 2006.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

MOST_TAPS = 128
"""Windows of more positions than this are left to the convolution itself, for their patches would fill
the memory."""


@dataclass(frozen=True, slots=True)
class _Windows:
    """The spatial side of a convolution.

    Args:
        kernel: The size of the kernel in each dimension.
        out: The size of the result.
        strides: From window to window.
        dilation: From tap to tap inside a window.
    """

    kernel: tuple[int, ...]
    out: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    def taps(self) -> list[tuple[int, ...]]:
        """All positions inside a window."""
        return list(itertools.product(*map(range, self.kernel)))

    def places(self) -> list[tuple[int, ...]]:
        """All windows."""
        return list(itertools.product(*map(range, self.out)))


def convolve(lhs: Any, rhs: Any, params: dict[str, Any]) -> Any | None:
    """A convolution as matrix products.

    Args:
        lhs: The input.
        rhs: The kernel.
        params: The parameters of ``conv_general_dilated_p``.

    Returns:
        The same up to rounding, or None if it is better left as it is.
    """
    numbers = params["dimension_numbers"]
    groups, batches = params["feature_group_count"], params["batch_group_count"]
    if not jnp.issubdtype(lhs.dtype, jnp.floating) or len(numbers.lhs_spec) < 3:
        return None
    x = _padded(lhs, numbers.lhs_spec[2:], params["padding"], params["lhs_dilation"])
    kernel = tuple(rhs.shape[d] for d in numbers.rhs_spec[2:])
    strides, dilation = params["window_strides"], params["rhs_dilation"]
    sizes = tuple(x.shape[d] for d in numbers.lhs_spec[2:])
    out = tuple(
        (n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(sizes, kernel, dilation, strides, strict=True)
    )
    windows = _Windows(kernel, out, strides, dilation)
    if min(math.prod(kernel), math.prod(out)) > MOST_TAPS or 0 in out:
        return None
    x = _split(x, numbers.lhs_spec, groups, batches)
    k = _split_kernel(rhs, numbers.rhs_spec, groups * batches)
    dtype = params["preferred_element_type"]
    by_place = math.prod(out) < math.prod(kernel)
    form = _by_place if by_place else _shifted_products if _shrinks(x, k, windows) else _by_tap
    result = form(x, k, windows, dtype)
    return _joined(result, numbers.out_spec)


def _padded(x: Any, spatial: tuple[int, ...], padding: Any, dilation: Any) -> Any:
    config = [(0, 0, 0)] * x.ndim
    for d, (low, high), step in zip(spatial, padding, dilation, strict=True):
        config[d] = (int(low), int(high), step - 1)
    if not any(any(c) for c in config):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), config)


@dataclass(frozen=True, slots=True)
class _Input:
    """The padded input, and which of its dimensions is what; ``group`` is one more where there are groups."""

    value: Any
    batch: int
    feature: int
    spatial: tuple[int, ...]
    group: int | None


def _split(x: Any, spec: tuple[int, ...], groups: int, batches: int) -> _Input:
    batch, feature, *spatial = spec
    if groups == batches == 1:
        return _Input(x, batch, feature, tuple(spatial), None)
    cut, count = (feature, groups) if groups > 1 else (batch, batches)
    shape = (*x.shape[:cut], count, x.shape[cut] // count, *x.shape[cut + 1 :])

    def after(d: int) -> int:
        return d + 1 if d >= cut else d

    return _Input(x.reshape(shape), after(batch), after(feature), tuple(map(after, spatial)), cut)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The kernel ``[group, spatial..., in, out]``."""

    value: Any


def _split_kernel(rhs: Any, spec: tuple[int, ...], groups: int) -> _Kernel:
    out, feature, *spatial = spec
    value = rhs.transpose(*spatial, feature, out)
    per_group = value.shape[-1] // groups
    value = value.reshape(*value.shape[:-1], groups, per_group)
    return _Kernel(jnp.moveaxis(value, -2, 0) if groups > 1 else value[..., 0, :][None])


def _window(x: Any, spatial: tuple[int, ...], start: Any, count: Any, step: Any) -> Any:
    """Every ``step``-th element, ``count`` of them, of the spatial dimensions."""
    first, limit, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    for d, a, n, s in zip(spatial, start, count, step, strict=True):
        first[d], limit[d], strides[d] = a, a + (n - 1) * s + 1, s
    if not any(first) and limit == list(x.shape) and set(strides) == {1}:
        return x
    return lax.slice(x, first, limit, strides)


def _tap(x: _Input, at: tuple[int, ...], windows: _Windows) -> Any:
    """What the tap ``at`` of every window reads."""
    start = tuple(i * d for i, d in zip(at, windows.dilation, strict=True))
    return _window(x.value, x.spatial, start, windows.out, windows.strides)


@dataclass(frozen=True, slots=True)
class _Result:
    """A result and where its dimensions are; ``group`` None where there are no groups."""

    value: Any
    batch: int
    feature: int
    spatial: tuple[int, ...]
    group: int | None


def _over_features(read: Any, k: Any, x: _Input, dtype: Any) -> _Result:
    """The product of what was read of the input, in its layout, with ``k`` of ``[group, in, out]``."""
    ungrouped = x.group is None
    batch: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()) if x.group is None else ((x.group,), (0,))
    product = lax.dot_general(
        read,
        k[0] if ungrouped else k,
        (((x.feature,), (0 if ungrouped else 1,)), batch),
        preferred_element_type=dtype,
    )
    kept = [d for d in range(read.ndim) if d not in (x.feature, x.group)]
    where = {d: i + (0 if ungrouped else 1) for i, d in enumerate(kept)}
    spatial = tuple(where[d] for d in x.spatial)
    return _Result(product, where[x.batch], product.ndim - 1, spatial, None if ungrouped else 0)


def _by_tap(x: _Input, kernel: _Kernel, windows: _Windows, dtype: Any) -> _Result:
    """Patches over the features, times the kernel."""
    taps = windows.taps()
    patches = lax.concatenate([_tap(x, at, windows) for at in taps], x.feature)
    shape = kernel.value.shape
    k = kernel.value.reshape(shape[0], -1, shape[-1])
    return _over_features(patches, k, x, dtype)


def _shrinks(x: _Input, kernel: _Kernel, windows: _Windows) -> bool:
    """Whether the results of all taps are smaller than what they read."""
    dense = set(windows.strides) == {1}
    return dense and math.prod(windows.kernel) > 1 and kernel.value.shape[-1] < x.value.shape[x.feature]


def _shifted_products(x: _Input, kernel: _Kernel, windows: _Windows, dtype: Any) -> _Result:
    """The product of the whole input with every tap, summed over shifted windows."""
    group, *spatial, feature, out = kernel.value.shape
    taps = math.prod(spatial)
    k = jnp.moveaxis(kernel.value.reshape(group, taps, feature, out), 1, 2).reshape(
        group, feature, taps * out
    )
    whole = _over_features(x.value, k, x, dtype)
    total = None
    for number, at in enumerate(windows.taps()):
        start = tuple(i * d for i, d in zip(at, windows.dilation, strict=True))
        own = lax.slice_in_dim(whole.value, number * out, (number + 1) * out, axis=whole.feature)
        part = _window(own, whole.spatial, start, windows.out, windows.strides)
        total = part if total is None else total + part
    return _Result(total, whole.batch, whole.feature, whole.spatial, whole.group)


def _by_place(x: _Input, kernel: _Kernel, windows: _Windows, dtype: Any) -> _Result:
    """Windows over the batch, times the kernel: for kernels larger than the result, as gradients have
    them."""
    many, out = x.value.shape[x.batch], kernel.value.shape[-1]
    read = [
        _window(
            x.value,
            x.spatial,
            tuple(i * s for i, s in zip(at, windows.strides, strict=True)),
            windows.kernel,
            windows.dilation,
        )
        for at in windows.places()
    ]
    spatial = tuple(range(1, 1 + len(x.spatial)))
    # What is summed over comes first in both factors, so one of them is transposed: the smaller one goes
    # left, and the larger one keeps its order.
    group = ((), ()) if x.group is None else ((0,), (x.group,))
    right, left = zip(
        *sorted(zip((*x.spatial, x.feature), (*spatial, 1 + len(spatial)), strict=True)), strict=True
    )
    if x.group is None:
        left = tuple(d - 1 for d in left)
    product = lax.dot_general(
        kernel.value[0] if x.group is None else kernel.value,
        lax.concatenate(read, x.batch),
        ((left, right), group),
        preferred_element_type=dtype,
    )
    at = 0 if x.group is None else 1
    result = product.reshape(*product.shape[:at], out, *windows.out, many)
    places = tuple(range(at + 1, at + 1 + len(windows.out)))
    return _Result(result, result.ndim - 1, at, places, None if x.group is None else 0)


def _joined(result: _Result, spec: tuple[int, ...]) -> Any:
    """The result in its own layout, groups side by side in the features."""
    order = [result.batch, result.feature, *result.spatial]
    value = result.value
    if result.group is not None:
        value = value.transpose(result.batch, result.group, result.feature, *result.spatial)
        value = value.reshape(value.shape[0], -1, *value.shape[3:])
        order = list(range(value.ndim))
    permutation = [0] * len(order)
    for here, there in zip(order, spec, strict=True):
        permutation[there] = here
    return value.transpose(permutation)
