# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products whose result is tall and narrow: the gradient of a layer with few outputs, above all."""

from __future__ import annotations

from typing import Any

from jax import lax

_NARROW = 32
"""Up to this many columns a product costs about half if it is computed lying down."""
_TALLER = 4


def lies_down(lhs: Any, rhs: Any, params: dict[str, Any]) -> bool:
    """Whether a product ``x.T @ d`` of matrices has a side that is narrow."""
    if params["dimension_numbers"] != (((0,), (0,)), ((), ())) or lhs.ndim != 2 or rhs.ndim != 2:
        return False
    small, large = sorted((lhs.shape[1], rhs.shape[1]))
    return small <= _NARROW and large >= _TALLER * small


def lying_product(lhs: Any, rhs: Any, params: dict[str, Any]) -> Any:
    """A product ``x.T @ d`` as ``(d.T @ x).T``, where ``d`` is the narrower one.

    Vectors of the processor are filled along the longer side. The barrier keeps the compiler from turning it
    back.

    Args:
        lhs: ``[rows, a]``.
        rhs: ``[rows, b]``.
        params: The parameters of ``dot_general_p``.

    Returns:
        The product ``[a, b]``.
    """
    narrow, wide = (rhs, lhs) if rhs.shape[1] < lhs.shape[1] else (lhs, rhs)
    options = {key: params[key] for key in ("precision", "preferred_element_type")}
    product = lax.optimization_barrier(lax.dot_general(narrow, wide, (((0,), (0,)), ((), ())), **options))
    return product if narrow is lhs else product.T
