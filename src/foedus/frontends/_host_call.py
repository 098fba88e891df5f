# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled programs that call Python functions of NumPy arrays.

As ``jax.pure_callback``, but without a JAX array between: to read one where the callback runs may wait for a
thread that itself waits for a callback, and then nothing goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import custom_batching
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import mlir

_WIDE = ("int64", "uint64", "float64", "complex128")


class HostFunction(Protocol):
    """A pure function of NumPy arrays."""

    results: list[jax.ShapeDtypeStruct]
    """The shapes and dtypes of its results."""

    def __call__(self, *arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]: ...

    def content(self) -> bytes | None:
        """What it computes; None where nobody can tell."""
        ...


def host_call(function: HostFunction) -> Callable[..., list[Any]]:
    """A function of NumPy arrays as one of JAX.

    Args:
        function: The function.

    Returns:
        The same over arrays of JAX, without a gradient; ``jax.vmap`` loops.
    """

    @custom_batching.sequential_vmap
    def call(*arrays: Any) -> list[Any]:
        found = _CALL.bind(*arrays, callback=function)
        return [_widened(array, result) for array, result in zip(found, function.results, strict=True)]

    return call


def _narrow_shape(result: jax.ShapeDtypeStruct) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """How a result comes back: 64 bits as twice 32, for the thread of a callback does not know 64 bits."""
    if result.dtype.name not in _WIDE:
        return tuple(result.shape), np.dtype(result.dtype)
    parts = (2, 2) if result.dtype.kind == "c" else (2,)
    return (*result.shape, *parts), np.dtype(np.uint32)


def _widened(array: Any, result: jax.ShapeDtypeStruct) -> Any:
    if result.dtype.name not in _WIDE:
        return array
    if result.dtype.kind != "c":
        return jax.lax.bitcast_convert_type(array, result.dtype)
    parts = jax.lax.bitcast_convert_type(array, jnp.float64)
    return jax.lax.complex(parts[..., 0], parts[..., 1])


def _on_host(function: HostFunction, arrays: tuple[Any, ...]) -> tuple[np.ndarray[Any, Any], ...]:
    found = function(*(np.asarray(array) for array in arrays))
    shapes = [_narrow_shape(result) for result in function.results]
    return tuple(
        np.ascontiguousarray(array).reshape(-1).view(dtype).reshape(shape)
        for array, (shape, dtype) in zip(found, shapes, strict=True)
    )


def _lower(context: Any, *operands: Any, callback: HostFunction) -> Any:
    results, _, _ = mlir.emit_python_callback(
        context,
        lambda *arrays: _on_host(callback, arrays),
        None,
        list(operands),
        context.avals_in,
        context.avals_out,
        has_side_effect=False,
        returns_token=False,
    )
    return results


_CALL = Primitive("host_callback")
_CALL.multiple_results = True
_CALL.def_impl(lambda *arrays, callback: [jnp.asarray(array) for array in _on_host(callback, arrays)])
_CALL.def_abstract_eval(
    lambda *_, callback: [ShapedArray(*_narrow_shape(result)) for result in callback.results]
)
mlir.register_lowering(_CALL, _lower)
