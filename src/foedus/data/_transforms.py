# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What can be declared of a sequence: transforms that run where the sequence is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from foedus.errors import ArgumentError, DataError, TypeMismatchError, place
from foedus.ir import Foreign
from foedus.types import Struct, Tensor, Type, bool_, check_assignable


@dataclass(frozen=True, slots=True)
class Map:
    """Every element through a function."""

    function: Foreign


@dataclass(frozen=True, slots=True)
class Filter:
    """The elements for which a function is true."""

    predicate: Foreign


@dataclass(frozen=True, slots=True)
class Shuffle:
    """All elements in an order drawn for each client and repetition from a seed."""

    seed: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The whole sequence several times."""

    count: int


@dataclass(frozen=True, slots=True)
class Take:
    """The first elements."""

    count: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of consecutive elements stacked along a new first dimension; the last run may be shorter."""

    size: int


Transform: TypeAlias = Map | Filter | Shuffle | Repeat | Take | Batch
"""Any transform."""


def _batched(element: Type) -> Type:
    match element:
        case Tensor(dtype, shape):
            if shape is None or None in shape:
                raise DataError(
                    "Elements of unknown shape cannot be stacked into batches", found=element, at=place()
                )
            return Tensor(dtype, (None, *shape))
        case Struct(fields, container):
            return Struct(tuple((name, _batched(t)) for name, t in fields), container)
        case _:
            raise AssertionError(f"{element} is in a sequence; please report")


def transformed(element: Type, transform: Transform) -> Type:
    """The type of a sequence's elements after a transform.

    Args:
        element: Their type before it.
        transform: The transform.

    Returns:
        Their type after it; batches have ``?`` as first dimension.

    Raises:
        TypeMismatchError: If the transform's function does not take such elements.
        ArgumentError: If a count is not positive.
    """
    match transform:
        case Map(function):
            assert function.type.parameter is not None
            check_assignable(function.type.parameter, element, "the argument of map")
            return function.type.result
        case Filter(predicate):
            assert predicate.type.parameter is not None
            check_assignable(predicate.type.parameter, element, "the argument of filter")
            if predicate.type.result == bool_:
                return element
            raise TypeMismatchError(
                "A filter needs a truth value", found=predicate.type.result, expected="bool", at=place()
            )
        case Batch(size):
            _positive(size, "The size of a batch")
            return _batched(element)
        case Repeat(count):
            _positive(count, "The number of repetitions")
            return element
        case Take(count):
            _positive(count, "The number of elements to take")
            return element
        case Shuffle():
            return element
        case _:
            assert_never(transform)


def _positive(count: int, what: str) -> None:
    if count < 1:
        raise ArgumentError(f"{what} must be positive", found=count, at=place())


def after(element: Type, transforms: tuple[Transform, ...]) -> Type:
    """The type of elements after several transforms, in order."""
    for transform in transforms:
        element = transformed(element, transform)
    return element
