# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on plain values, leaf by leaf, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foedus.types import Struct, Tensor, Type


def each_leaf(function: Callable[..., Any], *values: Any) -> Any:
    """Applies a function to the arrays of plain values of one type."""
    if isinstance(values[0], tuple):
        return tuple(each_leaf(function, *items) for items in zip(*values, strict=True))
    with np.errstate(all="ignore"):
        return np.asarray(function(*values))


def filled(type_: Type, fill: Callable[[Tensor], Any]) -> Any:
    """A plain value of a type with one number a leaf."""
    match type_:
        case Struct(fields):
            return tuple(filled(t, fill) for _, t in fields)
        case Tensor(dtype, shape):
            return np.full([size or 0 for size in shape or ()], fill(type_), dtype=dtype)
        case _:
            raise AssertionError(f"{type_} has no numbers; please report")


def zeros(type_: Type) -> Any:
    """Zeros of a type."""
    return filled(type_, lambda _: 0)


def limits(type_: Type, *, highest: bool) -> Any:
    """The greatest numbers of a type, or the least: infinities for floating point."""

    def limit(tensor: Tensor) -> Any:
        if tensor.dtype.kind in "iu":
            found = np.iinfo(tensor.dtype)
            return found.max if highest else found.min
        return np.inf if highest else -np.inf

    return filled(type_, limit)


def add(one: Any, other: Any) -> Any:
    """The sum; integers wrap around."""
    return each_leaf(np.add, one, other)


def minimum(one: Any, other: Any) -> Any:
    """The lesser, element by element."""
    return each_leaf(np.minimum, one, other)


def maximum(one: Any, other: Any) -> Any:
    """The greater, element by element."""
    return each_leaf(np.maximum, one, other)


def multiply(value: Any, by: Any) -> Any:
    """A value times one number, which takes on each leaf's dtype."""
    return each_leaf(lambda x: x * np.asarray(by).astype(x.dtype), value)


def divide(value: Any, by: Any) -> Any:
    """A value divided by one number, which takes on each leaf's dtype; integers are divided as Python divides
    them.
    """
    return each_leaf(lambda x: _quotient(x, np.asarray(by).astype(x.dtype)), value)


def _quotient(x: Any, by: Any) -> Any:
    return np.floor_divide(x, by) if x.dtype.kind in "iu" else x / by
