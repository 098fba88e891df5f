# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Computations inside of others that use values of the one around them."""

from __future__ import annotations

import logging
import logging.handlers
import re
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff
from foedus.errors import TracingError, TypeMismatchError

FLOAT, FLOATS = tff.TensorType(np.float32), tff.SequenceType(np.float32)


@tff.jax_computation(FLOAT, FLOAT)
def product(a, b):
    return a * b


@tff.federated_computation(FLOAT, FLOATS)
def sum_of_products(factor, numbers):
    scale = tff.federated_computation(lambda x: product(factor, x), FLOAT)
    return tff.sequence_sum(tff.sequence_map(scale, numbers))


def test_a_function_for_a_sequence_uses_a_value_from_around_it():
    assert str(sum_of_products.type_signature) == "(<factor=float32,numbers=float32*> -> float32)"
    assert sum_of_products(2.0, [1.0, 2.5]) == 7


def test_so_does_a_fold():
    @tff.federated_computation(OrderedDict(a=FLOAT, b=FLOAT), FLOATS)
    def fold(factors, numbers):
        given = {1: [factors["b"], factors["a"]]}

        @tff.federated_computation(FLOAT, FLOAT)
        def step(total, x):
            return product(product(total, x), given[1][0])

        return tff.sequence_reduce(numbers, factors["a"], step)

    assert fold(OrderedDict(a=3.0, b=2.0), [5.0, 7.0]) == 3 * 5 * 2 * 7 * 2


def test_it_may_use_them_through_another_function():
    @tff.federated_computation(FLOAT, FLOATS)
    def twice(factor, numbers):
        def plain(x):
            return product(factor, x)

        inner = tff.federated_computation(lambda x: plain(x), FLOAT)
        outer = tff.federated_computation(lambda x: product(factor, inner(x)), FLOAT)
        return tff.sequence_sum(tff.sequence_map(outer, numbers))

    assert twice(3.0, [1.0, 2.0]) == 27


def test_at_the_clients():
    @tff.federated_computation(tff.type_at_server(FLOAT), tff.type_at_clients(FLOATS))
    def total(factor, numbers):
        local = tff.federated_map(sum_of_products, [tff.federated_broadcast(factor), numbers])
        return tff.federated_sum(local)

    assert total(2.0, [[1.0], [2.0, 3.0], []]) == 12


def test_one_that_uses_nothing_from_around_it_is_a_computation_of_its_own():
    found: list[Any] = []

    @tff.federated_computation(FLOATS)
    def doubled(numbers):
        found.append(tff.federated_computation(lambda x: product(x, 2.0), FLOAT))
        return tff.sequence_sum(tff.sequence_map(found[0], numbers))

    assert doubled([1.0, 2.0]) == 6
    assert str(found[0].type_signature) == "(float32 -> float32)"
    assert found[0](4.0) == 8


def test_its_arguments_have_the_types_that_it_says():
    def scaled(factor, numbers):
        wrong = tff.federated_computation(lambda x: product(factor, x), np.int32)
        return tff.sequence_sum(tff.sequence_map(wrong, numbers))

    with pytest.raises(TypeMismatchError) as refused:
        tff.federated_computation(scaled, FLOAT, FLOATS)
    assert re.sub(r"_computations\.py:\d+", "_computations.py:N", str(refused.value)) == (
        "Expected float32 to be assignable to int32.\n"
        "  found     float32\n"
        "  expected  int32\n"
        "  at        an argument of '<lambda>', test_computations.py:N: "
        "return tff.sequence_sum(tff.sequence_map(wrong, numbers))"
    )


def test_a_value_of_another_program_is_refused():
    kept: list[Any] = []

    @tff.federated_computation(FLOAT)
    def first(x):
        kept.append(x)
        return x

    stray = kept[0]
    assert first(1.0) == 1

    def second(numbers):
        scale = tff.federated_computation(lambda x: product(stray, x), FLOAT)
        return tff.sequence_map(scale, numbers)

    sentence = "The computation 'second' uses a value of the computation 'first'"
    with pytest.raises(TracingError, match=f"^{sentence}\n"):
        tff.federated_computation(second, FLOATS)


@pytest.mark.parametrize("decorate", [tff.jax_computation, tff.federated_computation])
def test_a_function_that_returns_nothing_is_refused(decorate: Any):
    def forgotten(x):
        product(x, x)

    with pytest.raises(TracingError, match=r"^The function 'forgotten' returns nothing\n"):
        decorate(forgotten, FLOAT)


@pytest.mark.tensorflow
def test_so_is_one_in_tensorflow():
    pytest.importorskip("tensorflow")
    with pytest.raises(TracingError, match=r"^The function '<lambda>' returns nothing\n"):
        tff.tf_computation(lambda: None)
    assert tff.tf_computation(lambda: ())() == ()


@pytest.mark.tensorflow
def test_autograph_leaves_the_code_of_the_package_alone():
    pytest.importorskip("tensorflow")
    handler = logging.handlers.BufferingHandler(1000)
    logger = logging.getLogger("tensorflow")
    made: Any = tff.to_type
    logger.addHandler(handler)
    try:
        fields = tff.tf_computation(lambda: len(made([np.int32, np.bool_])))  # a `match` inside
    finally:
        logger.removeHandler(handler)
    assert fields() == 2
    assert [record.getMessage() for record in handler.buffer] == []
