# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is read off a data set's graph is what iterating over it gives."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.data import to_member
from foedus.frontends._tf_data_object import rows_of_object
from foedus.frontends.tf_data import elements_of
from foedus.types import Sequence, to_type

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

COLUMNS = {
    "one": np.arange(14.0, dtype=np.float32).reshape(7, 2),
    "pair": (np.arange(7, dtype=np.int64), np.arange(7) % 2 == 0),
    "named": OrderedDict(y=np.arange(7, dtype=np.float16), x=np.arange(7, dtype=np.uint8)),
    "nested": {"b": np.arange(7.0), "a": (np.arange(7) + 1j,)},
}
BATCHES = [
    lambda d: d,
    lambda d: d.batch(3),
    lambda d: d.batch(2, drop_remainder=True),
    lambda d: d.batch(3, num_parallel_calls=2),
]
STEPS = st.lists(
    st.sampled_from(
        [
            lambda d: d.repeat(2),
            lambda d: d.repeat(0),
            lambda d: d.take(2),
            lambda d: d.take(-1),
            lambda d: d.take(100),
            lambda d: d.skip(1),
            lambda d: d.skip(-1),
            lambda d: d.skip(100),
            lambda d: d.prefetch(1),
            lambda d: d.with_options(tf.data.Options()),
        ]
    ),
    max_size=3,
)


def plain(elements: Any) -> list[Any]:
    return [tf.nest.map_structure(lambda a: (a.dtype.name, a.tolist()), element) for element in elements]


def both(dataset: Any) -> tuple[list[Any] | None, list[Any]]:
    """What the graph says, and what iterating gives."""
    element = to_type(dataset.element_spec)
    read = elements_of(dataset, element, "me")
    iterated = to_member(list(dataset.as_numpy_iterator()), Sequence(element), "the data set")
    return None if read is None else plain(read), plain(iterated)


@given(st.sampled_from(sorted(COLUMNS)), STEPS, st.sampled_from(BATCHES), STEPS)
def test_equals_iterating(columns: str, first: list[Any], batched: Any, then: list[Any]):
    from foedus.frontends._tf_data_graph import rows_of

    dataset = tf.data.Dataset.from_tensor_slices(COLUMNS[columns])
    for step in [*first, batched, *then]:
        dataset = step(dataset)
    read, iterated = both(dataset)
    assert read == iterated or (read is None and not iterated)
    by_object, by_graph = rows_of_object(dataset), rows_of(dataset)
    assert by_object is not None
    assert by_graph is not None
    assert np.array_equal(by_object.order, by_graph.order)
    assert (by_object.sizes is None) == (by_graph.sizes is None)
    if by_object.sizes is not None and by_graph.sizes is not None:
        assert np.array_equal(by_object.sizes, by_graph.sizes)
    for one, other in zip(by_object.in_order(), by_graph.in_order(), strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("columns", sorted(COLUMNS))
def test_what_is_read(columns: str):
    dataset = tf.data.Dataset.from_tensor_slices(COLUMNS[columns])
    for made in (dataset, dataset.batch(3), dataset.repeat(3).batch(4).take(3), dataset.skip(2).batch(2)):
        read, iterated = both(made)
        assert read == iterated
        assert read is not None
        arrays = rows_of_object(made)
        assert arrays is not None
        assert all(not column.flags.owndata for column in arrays.columns), "a tensor's numbers were copied"
    read, iterated = both(dataset.batch(3, drop_remainder=True))
    assert read == iterated
    assert len(iterated) == 2


def test_what_has_to_be_iterated_over(tmp_path: Any):
    numbers = tf.data.Dataset.from_tensor_slices(COLUMNS["one"])
    (tmp_path / "lines").write_text("a\nb\n")
    others = [
        numbers.map(lambda x: x + 1),
        numbers.shuffle(7, seed=1),
        numbers.batch(3).batch(2),
        numbers.concatenate(numbers),
        tf.data.Dataset.from_tensor_slices(["a", "b"]),
        tf.data.Dataset.range(3),
        tf.data.Dataset.from_generator(lambda: iter([1, 2]), output_signature=tf.TensorSpec((), tf.int32)),
        tf.data.TextLineDataset(str(tmp_path / "lines")),
    ]
    for dataset in others:
        assert elements_of(dataset, to_type(tf.TensorSpec((), tf.float32)), "me") is None
    assert elements_of(numbers.repeat(), to_type(numbers.element_spec), "me") is None


PAIRS = tf.data.Dataset.from_tensor_slices(
    (np.arange(14.0, dtype=np.float32).reshape(7, 2), np.arange(7, dtype=np.int64))
)


def test_batches_of_one_length_where_the_type_leaves_the_length_of_some_tensors_open():
    element = to_type((("float32", (None, 2)), ("int64", (3,))))
    for dataset in (PAIRS.batch(3, drop_remainder=True), PAIRS.repeat(2).batch(3, drop_remainder=True)):
        read = elements_of(dataset, element, "me")
        assert read is not None
        assert plain(read) == plain(to_member(list(dataset.as_numpy_iterator()), Sequence(element), "it"))
    assert [(x.shape, y.shape) for x, y in read] == [((3, 2), (3,))] * 4
    assert elements_of(PAIRS.take(2).batch(3, drop_remainder=True), element, "me") is None


def test_rows_that_are_elements_of_a_length_that_the_type_leaves_open_are_iterated_over():
    element = to_type((("float32", (None,)), "int64"))
    assert elements_of(PAIRS, element, "me") is None
    read = to_member(PAIRS, Sequence(element), "the data set")
    assert [(x.tolist(), int(y)) for x, y in read] == [([2.0 * i, 2.0 * i + 1], i) for i in range(7)]


def test_batches_that_are_counted_are_iterated_over():
    dataset = PAIRS.batch(3).map(lambda x, y: (x, y, tf.shape(x)[0]))
    element = to_type(dataset.element_spec)
    assert str(element) == "<float32[?,2],int64[?],int32>"
    assert elements_of(dataset, element, "me") is None
    read = to_member(dataset, Sequence(element), "the data set")
    numbers = [(y.tolist(), int(n)) for _, y, n in read]
    assert numbers == [([0, 1, 2], 3), ([3, 4, 5], 3), ([6], 1)]
    assert [x[:, 0].tolist() for x, *_ in read] == [[0, 2, 4], [6, 8, 10], [12]]


def test_no_rows_are_copied_that_lie_in_order():
    dataset = tf.data.Dataset.from_tensor_slices(COLUMNS["one"]).skip(1).batch(2)
    read = elements_of(dataset, to_type(dataset.element_spec), "me")
    assert read is not None
    assert read.ragged.columns.base is not None
    assert read.ragged.rows is not None
    assert read.ragged.rows.tolist() == [0, 2, 4, 6]
