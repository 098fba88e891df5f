# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What aggregators refuse when they are created. What they compute is a law, in ``tests/laws``."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import mean, sum
from foedus.errors import CompositionError
from foedus.types import EMPTY, to_type


def test_a_sum_has_no_weights(refused: Any):
    aggregator, value = sum(), to_type("float32")
    with refused(
        CompositionError,
        """
        A sum has no weights
          found     float32
          expected  <>
          at        HERE
        """,
    ):
        aggregator.create(value, fd.float32)


def test_a_mean_is_of_floats(refused: Any):
    aggregator, value = mean(), to_type({"a": "float32", "b": ["bool", "int32"]})
    with refused(
        CompositionError,
        """
        A mean needs floating point or complex numbers
          found     bool
          at        .b[0] of the value, HERE
        """,
    ):
        aggregator.create(value)


@pytest.mark.parametrize("spec", ["bool", ("float32", (1,)), {"w": "float32"}, "complex64", str])
def test_a_weight_is_one_number(spec: Any):
    with pytest.raises(CompositionError, match="A weight is one number"):
        mean().create(to_type("float32"), to_type(spec))


def test_text_has_no_mean():
    with pytest.raises(CompositionError, match="A mean needs floating point or complex numbers"):
        mean().create(to_type(str))


def test_halves_are_divided_by_exact_counts():
    """In bfloat16 there is no 257: counted in it, 257 clients would be 256."""
    process = mean().create(fd.bfloat16, EMPTY)
    with fd.use(runtime.local()):
        values = [ml_dtypes.bfloat16(4 if i == 0 else 0) for i in range(257)]
        result = process.next(process.initialize(), values, [()] * 257).result
    assert float(result) == float(ml_dtypes.bfloat16(4 / 257))
