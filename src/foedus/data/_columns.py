# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The columns that the elements of sequences lie in, and what one entry of each is.

Each tensor of an element has a column. Where its shape is known, the column has one entry for each element.
Where its first dimension is unknown, the element has rows of its own: the column has one entry for each row,
and where each element's rows begin is written beside the columns. One element may have tensors of both sorts,
such as the rows of a batch and their number; all tensors with rows have the same number of them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from foedus.errors import DataError, place
from foedus.types import STRING, Array, PlainValue, Struct, Tensor, Type, field_path

Columns: TypeAlias = Any
"""An array with entries along its first dimension for a tensor, a tuple of columns for a struct."""

Column = TypeVar("Column")


class Unit(Enum):
    """What one entry of a column is."""

    ELEMENT = "element"
    """One element's tensor."""
    ROW = "row"
    """One row of an element that has several."""


def units(element: Type) -> Columns:
    """What one entry of each column is.

    Args:
        element: The type of the elements.

    Returns:
        A ``Unit`` for each column, nested as the columns are.

    Raises:
        DataError: If a tensor's rank or a dimension other than its first is unknown.
    """
    return _units(element, "")


def _units(element: Type, path: str) -> Columns:
    match element:
        case Tensor(_, shape):
            if shape is not None and None not in shape:
                return Unit.ELEMENT
            if shape is not None and None not in shape[1:]:
                return Unit.ROW
            raise DataError(
                "In a sequence, only the first dimension of a tensor can be unknown",
                found=element,
                at=place(f"{path} of an element" if path else "an element"),
            )
        case Struct(fields):
            return tuple(_units(t, path + field_path(i, name)) for i, (name, t) in enumerate(fields))
        case _:
            raise AssertionError(f"{element} is in a sequence; please report")


def has_rows(element: Type) -> bool:
    """Whether an element of this type has rows of its own, in all of its tensors or in some.

    Raises:
        DataError: If a tensor's rank or a dimension other than its first is unknown.
    """
    return Unit.ROW in flat_columns(units(element))


def zip_columns(function: Callable[..., Column], *columns: Columns) -> Columns:
    """Applies a function to the arrays that stand in the same place of several nested columns.

    Args:
        function: From one array of each to what takes their place.
        columns: What is nested in one way, at least one.

    Returns:
        What the function gives, nested as they are.
    """
    if isinstance(columns[0], tuple):
        return tuple(zip_columns(function, *parts) for parts in zip(*columns, strict=True))
    return function(*columns)


def map_columns(function: Callable[[Array], Column], columns: Columns) -> Columns:
    """Applies a function to every array of nested columns."""
    if isinstance(columns, tuple):
        return tuple(map_columns(function, column) for column in cast("tuple[Columns, ...]", columns))
    return function(columns)


def map_entries(function: Callable[[Array, Unit], Column], columns: Columns, kinds: Columns) -> Columns:
    """Applies a function to every array of nested columns and what one entry of it is.

    Args:
        function: From both to what takes the array's place.
        columns: The columns.
        kinds: Their units.

    Returns:
        What the function gives, nested as the columns are.
    """
    if isinstance(columns, tuple):
        pairs = zip(cast("tuple[Columns, ...]", columns), kinds, strict=True)
        return tuple(map_entries(function, column, unit) for column, unit in pairs)
    return function(columns, kinds)


def flat_columns(columns: Columns) -> list[Columns]:
    """The arrays of nested columns, or what stands for each, in order."""
    if isinstance(columns, tuple):
        return [array for column in cast("tuple[Columns, ...]", columns) for array in flat_columns(column)]
    return [columns]


def empty_columns(element: Type) -> Columns:
    """Columns without entries for elements of a type."""
    match element:
        case Tensor(dtype, shape):
            known = tuple(size for size in shape or () if size is not None)
            return np.zeros((0, *known), dtype=object if dtype == STRING else dtype)
        case Struct(fields):
            return tuple(empty_columns(t) for _, t in fields)
        case _:
            raise AssertionError(f"{element} is in a sequence; please report")


def concatenate(columns: list[Columns]) -> Columns:
    """Joins nested columns of one type, entry after entry; there is at least one."""
    return zip_columns(_concatenated, *columns)


def _concatenated(*arrays: Array) -> Array:
    return np.concatenate(arrays)


def stack(elements: list[PlainValue]) -> PlainValue:
    """Stacks plain elements of one type along a new first dimension; there is at least one."""
    return zip_columns(_stacked, *elements)


def _stacked(*leaves: Array) -> Array:
    return np.stack([np.asarray(leaf) for leaf in leaves])


def row_counts(element: PlainValue, kinds: Columns) -> set[int]:
    """The numbers of rows that the tensors of a plain element have: one, if it is as it should be.

    Args:
        element: The element.
        kinds: The units of its type.

    Returns:
        The numbers; none where no tensor has rows.
    """
    leaves = zip(flat_columns(element), flat_columns(kinds), strict=True)
    return {len(leaf) for leaf, unit in leaves if unit is Unit.ROW}


def in_columns(
    elements: list[PlainValue], element: Type, *, what: str, path: str = ""
) -> tuple[Columns, Array | None]:
    """Puts plain elements one after another into columns.

    Args:
        elements: The elements.
        element: Their type.
        what: What they are, for the error's text.
        path: Where in it they are.

    Returns:
        The columns, and int64[elements+1], where each element's rows begin, or None where elements have no
        rows of their own.

    Raises:
        DataError: If the tensors of one element differ in their numbers of rows.
    """
    kinds = units(element)
    columns = zip_columns(_column, kinds, *elements) if elements else empty_columns(element)
    if Unit.ROW not in flat_columns(kinds):
        return columns, None
    counts = [row_counts(one, kinds) for one in elements]
    uneven = next((i for i, found in enumerate(counts) if len(found) != 1), None)
    if uneven is not None:
        raise DataError(
            f"The leaves of one batch of {what} differ in length",
            found=f"lengths {sorted(counts[uneven])}",
            at=place(f"{path}[{uneven}]"),
        )
    return columns, np.cumsum([0, *(found.pop() for found in counts)], dtype=np.int64)


def _column(unit: Unit, *leaves: Array) -> Array:
    return _concatenated(*leaves) if unit is Unit.ROW else _stacked(*leaves)
