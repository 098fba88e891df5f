# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from foedus.data import has_rows
from foedus.errors import ArgumentError
from foedus.types import STRING, PythonValue, Sequence, Struct, Tensor, Type, pack

_MOST = 3
"""The greatest length of an unknown dimension and of a sequence."""
_ELEMENTS: Mapping[str, st.SearchStrategy[Any]] = {
    "b": st.booleans(),
    "f": st.floats(width=16),
    "V": st.floats(width=16),
    "c": st.complex_numbers(width=64),
    "U": st.text(max_size=4),
}


def _elements(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return st.integers(int(limits.min), int(limits.max))
    if dtype.kind == "f" and dtype.itemsize > 2:
        return st.floats(width=32 if dtype.itemsize == 4 else 64)
    return _ELEMENTS[dtype.kind]


def _arrays(dtype: np.dtype[Any], shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    size, stored = math.prod(shape), object if dtype == STRING else dtype
    items = st.lists(_elements(dtype), min_size=size, max_size=size)
    return items.map(lambda items: np.array(items, dtype=stored).reshape(shape))


def _tensors(type_: Tensor) -> st.SearchStrategy[Any]:
    if type_.shape == ():
        return _elements(type_.dtype) if type_.dtype == STRING else st.one_of(
            _elements(type_.dtype), _arrays(type_.dtype, ()).map(lambda array: array[()])
        )  # fmt: skip
    lengths = st.integers(0, _MOST)
    if type_.shape is None:
        shapes = st.lists(lengths, max_size=2).map(tuple)
    else:
        shapes = st.tuples(*(lengths if size is None else st.just(size) for size in type_.shape))
    return shapes.flatmap(lambda shape: _arrays(type_.dtype, shape))


def _of_rows(element: Type, rows: int) -> Type:
    """An element's type with a length in place of the unknown one."""
    match element:
        case Tensor(dtype, shape) if shape is not None:
            return Tensor(dtype, tuple(rows if size is None else size for size in shape))
        case Struct(fields, container):
            return Struct(tuple((name, _of_rows(t, rows)) for name, t in fields), container)
        case _:
            return element


def _sequences(element: Type) -> st.SearchStrategy[Any]:
    if has_rows(element):
        lengths = st.integers(0, _MOST)
        return st.lists(lengths.flatmap(lambda rows: values(_of_rows(element, rows))), max_size=_MOST)
    elements = st.lists(values(element), max_size=_MOST)
    if not isinstance(element, Tensor) or element.shape is None:
        return elements
    columns = [values(Tensor(element.dtype, (length, *element.shape))) for length in range(_MOST)]
    return st.one_of(elements, *columns)


def values(type_: Type) -> st.SearchStrategy[PythonValue]:
    """Python values of a plain type, as a user would pass them.

    Args:
        type_: A tensor, a sequence, or a struct of such.

    Returns:
        Numbers of the whole range of their dtype with NaN and infinities, strings, arrays, containers;
        sequences, which may be empty, as lists of elements or as arrays.

    Raises:
        ArgumentError: If it is the type of no plain value.
    """
    match type_:
        case Tensor():
            return _tensors(type_)
        case Struct(fields):
            return st.tuples(*(values(t) for _, t in fields)).map(lambda items: pack(type_, items))
        case Sequence(element):
            return _sequences(element)
        case _:
            raise ArgumentError("Only plain types have values", found=type_)
