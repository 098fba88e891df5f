# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Declared transforms: the types of elements after them, and what cannot be declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from foedus.data import Batch, Filter, Map, Repeat, Shuffle, Take, Transform, after, transformed
from foedus.errors import ArgumentError, DataError, FoedusError, TypeMismatchError
from foedus.foreign import kind
from foedus.ir import Foreign
from foedus.types import parse


def leaf(fn: Callable[..., Any], parameter: str) -> Foreign:
    return kind("jax").trace(fn, parse(parameter))


HALVED = leaf(lambda x: x / 2, "float32")
POSITIVE = leaf(lambda x: x > 0, "float32")


@pytest.mark.parametrize(
    ("transforms", "before", "then"),
    [
        ((), "float32", "float32"),
        ((Map(HALVED), Filter(POSITIVE), Shuffle(1), Repeat(2), Take(3)), "float32", "float32"),
        ((Map(POSITIVE),), "float32", "bool"),
        ((Batch(2),), "<x=float32[2],y=str>", "<x=float32[?,2],y=str[?]>"),
        ((Batch(2), Take(1), Repeat(2)), "int32", "int32[?]"),
        ((Map(HALVED), Batch(2), Map(leaf(lambda x: x.sum(), "float32[?]"))), "float32", "float32"),
    ],
)
def test_the_type_of_elements_after_transforms(transforms: tuple[Transform, ...], before: str, then: str):
    assert after(parse(before), transforms) == parse(then)


@pytest.mark.parametrize(
    ("transform", "element", "sort", "message"),
    [
        (
            Map(HALVED),
            "float64",
            TypeMismatchError,
            """
            Wrong dtype in the argument of map
              found     float64
              expected  float32
              at        the argument of map, HERE
            """,
        ),
        (
            Filter(POSITIVE),
            "<float32>",
            TypeMismatchError,
            """
            Wrong type in the argument of filter
              found     <float32>
              expected  float32
              at        the argument of filter, HERE
            """,
        ),
        (
            Filter(HALVED),
            "float32",
            TypeMismatchError,
            """
            A filter needs a truth value
              found     float32
              expected  bool
              at        HERE
            """,
        ),
        (
            Batch(2),
            "<x=float32[?]>",
            DataError,
            """
            Elements of unknown shape cannot be stacked into batches
              found     float32[?]
              at        HERE
            """,
        ),
        (
            Batch(0),
            "int32",
            ArgumentError,
            """
            The size of a batch must be positive
              found     0
              at        HERE
            """,
        ),
        (
            Repeat(-1),
            "int32",
            ArgumentError,
            """
            The number of repetitions must be positive
              found     -1
              at        HERE
            """,
        ),
        (
            Take(0),
            "int32",
            ArgumentError,
            """
            The number of elements to take must be positive
              found     0
              at        HERE
            """,
        ),
    ],
)
def test_what_cannot_be_declared(
    refused, transform: Transform, element: str, sort: type[FoedusError], message: str
):
    with refused(sort, message):
        transformed(parse(element), transform)
