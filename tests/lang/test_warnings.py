# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is slow or large by mistake gives a warning, and captured arrays are those of the time of tracing."""

import numpy as np
import pytest

import foedus as fd
from foedus.errors import LargeConstantWarning, RetracingWarning
from foedus.lang import _computation


def test_a_computation_made_again_and_again_gives_a_warning():
    def again():
        @fd.computation(fd.at_clients(fd.float32))
        def total(values):
            return fd.federated_sum(values)

        return total

    def many():
        for _ in range(50):
            again()

    with pytest.warns(
        RetracingWarning, match=r"'total' \(test_warnings.py:\d+.*\) has been made a computation 50"
    ):
        many()


def test_a_polymorphic_computation_is_traced_once_a_type():
    traced = []

    @fd.computation
    def doubled(x):
        traced.append(x)
        return x + x

    for _ in range(3):
        assert doubled(np.float32(2)) == 4
    once = len(traced)
    doubled(np.float32(3))
    assert len(traced) == once


def test_a_large_captured_array_gives_a_warning():
    large = np.zeros(2**23 + 1, np.float32)
    with pytest.warns(LargeConstantWarning, match=r"'<lambda>' has captured arrays of 32 MiB"):

        @fd.computation(fd.at_clients(fd.float32))
        def first(values):
            return fd.federated_map(
                lambda x: x + large[0] + large.sum() + x * 0 * large[-1] + (x + large)[0], values
            )


def test_captured_arrays_are_frozen():
    factor = np.ones(2, np.float32)

    @fd.computation(fd.at_clients(fd.float32))
    def scaled(values):
        return fd.federated_sum(fd.federated_map(lambda x: x * factor, values))

    factor[:] = 5
    np.testing.assert_array_equal(scaled([1.0, 2.0]), [3, 3])


def test_not_every_function_that_was_ever_traced_is_counted(monkeypatch):
    monkeypatch.setattr(_computation, "_times_traced", {})
    monkeypatch.setattr(_computation, "_MOST_COUNTED", 3)
    for size in range(6):
        fd.computation(fd.at_clients(fd.types.tensor(float, (size,))))(lambda values: values)
    assert [str(types[0]) for _, types in _computation._times_traced] == [
        f"{{float32[{size}]}}@CLIENTS" for size in (3, 4, 5)
    ]
