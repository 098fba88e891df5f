# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clients' data sets whose elements have rows in some tensors and none in others, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus as fd
import foedus.tff as tff

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

SIZES = (9, 0, 3, 4)
"""Numbers of examples, by client; batches have four."""


def examples(count: int) -> tuple[Any, Any]:
    return np.arange(3 * count, dtype=np.int32).reshape(count, 3), np.arange(count, dtype=np.int64)


def data_set(count: int) -> Any:
    return tf.data.Dataset.from_tensor_slices(examples(count))


def counted(count: int) -> Any:
    """Batches, each with the number of its rows, as programs weigh them."""
    return data_set(count).batch(4).map(lambda x, y: (x, y, tf.shape(x)[0]))


def expected(batches: list[Any]) -> int:
    noted = 1
    for x, y, n in batches:
        noted = noted * 3 + int((x * y[:, None]).sum()) * n
    return noted


def by_hand(count: int) -> list[Any]:
    x, y = examples(count)
    return [(x[i : i + 4], y[i : i + 4], len(x[i : i + 4])) for i in range(0, count, 4)]


@pytest.fixture(params=[fd.runtime.reference, fd.runtime.local])
def runtime(request: pytest.FixtureRequest) -> Any:
    with fd.use(request.param()):
        yield


ELEMENT = tff.to_type(counted(1).element_spec)


def test_tensorflow_code_over_data_sets(runtime: Any):
    assert str(ELEMENT) == "<int32[?,3],int64[?],int32>"

    @tff.tensorflow.computation(tff.SequenceType(ELEMENT))
    def noted(data):
        total = tf.constant(1, tf.int64)
        for x, y, n in data:
            weighed = tf.reduce_sum(tf.cast(x, tf.int64) * y[:, None])
            total = total * 3 + weighed * tf.cast(n, tf.int64)
        return total

    @tff.federated_computation(tff.FederatedType(tff.SequenceType(ELEMENT), tff.CLIENTS))
    def program(data):
        return tff.federated_map(noted, data)

    for _ in range(2):
        assert program([counted(n) for n in SIZES]) == [expected(by_hand(n)) for n in SIZES]


def test_reductions_of_sequences(runtime: Any):
    @tff.tensorflow.computation(np.int64, ELEMENT)
    def note(total, element):
        weighed = tf.reduce_sum(tf.cast(element[0], tf.int64) * element[1][:, None])
        return total * 3 + weighed * tf.cast(element[2], tf.int64)

    @tff.federated_computation(tff.FederatedType(tff.SequenceType(ELEMENT), tff.CLIENTS))
    def program(data):
        at_one = tff.federated_value(np.int64(1), tff.CLIENTS)
        return tff.federated_map(
            tff.federated_computation(lambda given: tff.sequence_reduce(given[0], given[1], note)),
            (data, at_one),
        )

    data = [counted(n) for n in SIZES]
    assert program(data) == [expected(by_hand(n)) for n in SIZES]


def test_batches_of_one_length_where_the_type_leaves_one_open(runtime: Any):
    """These are read off their graphs; the last two rows of ten, and a lonely one, are left out."""
    element = tff.types.StructType(
        [tff.types.TensorType(np.int32, [None, 3]), tff.types.TensorType(np.int64, [4])]
    )

    @tff.tensorflow.computation(tff.SequenceType(element))
    def total(data):
        return data.reduce(np.int64(0), lambda t, e: t + tf.reduce_sum(e[1]) * tf.size(e[0], tf.int64))

    @tff.federated_computation(tff.FederatedType(tff.SequenceType(element), tff.CLIENTS))
    def program(data):
        return tff.federated_map(total, data)

    data = [data_set(n).batch(4, drop_remainder=True) for n in (10, 0, 1)]
    assert program(data) == [12 * sum(range(8)), 0, 0]
