# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Contexts are runtimes of Foedus; computations go to bytes and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import foedus
import foedus.tff as tff


@tff.federated_computation
def ones():
    return tff.federated_sum(tff.federated_value(np.int32(1), tff.CLIENTS))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    foedus.set_default_runtime(foedus.runtime.local())


@pytest.mark.parametrize(
    "choose",
    [
        tff.backends.native.set_sync_local_cpp_execution_context,
        tff.backends.native.set_local_execution_context,
        tff.backends.native.set_local_python_execution_context,
        tff.backends.test.set_sync_test_cpp_execution_context,
    ],
)
def test_contexts_by_name(choose):
    choose(3)
    assert ones() == 3


def test_contexts_as_values():
    context = tff.backends.native.create_sync_local_cpp_execution_context(default_num_clients=4)
    with tff.framework.get_context_stack().install(context):
        assert tff.framework.get_context_stack().current is context
        assert ones() == 4
    tff.framework.set_default_context(foedus.runtime.reference(clients=2))
    assert ones() == 2


def test_secure_sums_run_everywhere():
    @tff.federated_computation(tff.type_at_clients(np.int32))
    def total(values):
        return tff.backends.mapreduce.federated_secure_modular_sum(values, np.int32(8))

    assert total([5, 6]) == 3


def test_computations_as_bytes():
    data = tff.framework.serialize_computation(ones)
    again = tff.framework.deserialize_computation(data)
    assert again.type_signature == ones.type_signature
    assert again == ones
