# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Zeroing: by which norm, and what becomes of weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.aggregators import ZeroedWeight, mean, quantile, sum, zero
from foedus.types import to_type

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
VECTOR = to_type(("float32", (2,)))
VALUES = [np.array(v, np.float32) for v in ([3, 4], [-5, 0], [1, 1])]


@each_runtime
@pytest.mark.parametrize(
    ("order", "norm", "passing"),
    [
        (1, 7, [0, 1, 2]),
        (1, 6.5, [1, 2]),
        (2, 5, [0, 1, 2]),
        (2, 4.5, [2]),
        (math.inf, 4, [0, 2]),
        (1, 0, []),
    ],
)
def test_orders(make: Any, order: float, norm: float, passing: list[int]):
    """The norms are 7, 5 and 2 of order 1; 5, 5 and the root of 2 of order 2; 4, 5 and 1 of infinity."""
    process = zero(sum(), norm=norm, order=order).create(VECTOR)
    with fd.use(make()):
        step = process.next(process.initialize(), VALUES, [()] * 3)
    np.testing.assert_array_equal(step.result, np.sum([VALUES[i] for i in passing], axis=0, initial=0))
    assert step.measurements["zeroed_count"] == 3 - len(passing)


@each_runtime
@pytest.mark.parametrize(("weight", "divisor"), [(ZeroedWeight.ZERO, 2 + 1), (ZeroedWeight.KEPT, 2 + 7 + 1)])
def test_weights(make: Any, weight: ZeroedWeight, divisor: int):
    process = zero(mean(), norm=4.0, weight=weight).create(VECTOR, fd.int32)
    with fd.use(make()):
        result = process.next(process.initialize(), VALUES, [2, 7, 1]).result
    np.testing.assert_allclose(result, (2 * VALUES[0] + VALUES[2]) / divisor, rtol=1e-6)


@each_runtime
def test_a_norm_that_is_learned(make: Any):
    """Three clients, of whom the third is wrong in the second round; the limit is twice the quantile and
    one."""
    learned = quantile(0.9, initial=1.0, learning_rate=math.log(10.0)).map(lambda c: 2 * c + 1)
    process = zero(mean(), norm=learned).create(fd.float32)
    c, state = 1.0, process.initialize()
    with fd.use(make()):
        for values in ([1.0, 2.0, 4.0], [1.0, 2.0, 4000.0], [-3.0, 2.0, math.nan]):
            norms = np.abs(values)
            passes = norms <= 2 * c + 1
            step = process.next(state, [np.float32(v) for v in values], [()] * 3)
            assert step.result == pytest.approx(np.sum(np.where(passes, values, 0)) / 3, rel=1e-6)
            assert step.measurements["norm"] == pytest.approx(2 * c + 1, rel=1e-6)
            assert step.measurements["zeroed_count"] == np.sum(~passes)
            c *= 10.0 ** (0.9 - np.mean(norms <= c))
            state = step.state
    assert state["norm"] == pytest.approx(c, rel=1e-6)
