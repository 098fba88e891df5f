# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs as the tutorials of TFF's federated core have them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff
from foedus.errors import TracingError, TypeMismatchError


@tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
def average(sensor_readings):
    return tff.federated_mean(sensor_readings)


def test_hello_world():
    assert tff.federated_computation(lambda: "Hello, World!")() == b"Hello, World!"

    @tff.federated_computation
    def greet():
        return "Hello", np.int32(3), ["World"]

    assert str(greet.type_signature) == "( -> <str,int32,<str>>)"
    assert greet() == (b"Hello", 3, [b"World"])


def test_average():
    assert str(average.type_signature) == "({float32}@CLIENTS -> float32@SERVER)"
    assert average([68.5, 70.3, 69.8]) == np.float32(69.53333)
    assert repr(average) == "<tff.Computation average of type ({float32}@CLIENTS -> float32@SERVER)>"
    assert isinstance(average, tff.Computation)
    assert isinstance(average.type_signature.parameter, tff.FederatedType)


@pytest.mark.parametrize("specs", [[np.int32, np.bool_], [(np.int32, np.bool_)], [[np.int32, np.bool_]]])
def test_types_of_several_arguments(specs: list[Any]):
    @tff.federated_computation(*specs)
    def swap(a, b):
        return b, a

    assert str(swap.type_signature) == "(<a=int32,b=bool> -> <bool,int32>)"
    assert swap(3, True) == swap(b=True, a=3) == swap((3, True)) == (True, 3)
    assert swap(tff.structure.Struct.unnamed(3, True)) == swap(tff.structure.Struct.named(b=True, a=3))


def test_types_after_the_function():
    assert str(tff.federated_computation(lambda x: x, np.int32).type_signature) == "(int32 -> int32)"
    assert str(tff.federated_computation(lambda: 1.5, None).type_signature) == "( -> float32)"


def test_any_type():
    both = tff.federated_computation(lambda x, y: [x, y])
    assert both(1, 2.5) == [1, 2.5]
    assert both("a", True) == [b"a", True]
    found = tff.federated_computation(lambda x: [x, x]).fn_for_argument_type(np.int32)
    assert str(found.type_signature) == "(int32 -> <int32,int32>)"


def test_composition_of_computations():
    @tff.federated_computation(tff.type_at_clients(np.float32), tff.type_at_server(np.float32))
    def centred(readings, shift):
        mean = average(readings)
        sent = tff.federated_broadcast((mean, shift))
        assert str(sent.type_signature) == "<float32,float32>@CLIENTS"
        moved = tff.federated_map(lambda r, s: r - s[0] + s[1], (readings, sent))
        return tff.federated_zip(OrderedDict(total=tff.federated_sum(moved), mean=mean)), moved

    assert str(centred.type_signature) == (
        "(<readings={float32}@CLIENTS,shift=float32@SERVER> -> "
        "<<total=float32,mean=float32>@SERVER,{float32}@CLIENTS>)"
    )
    found, moved = centred([1.0, 3.0], 0.5)
    assert found == OrderedDict(total=1.0, mean=2.0)
    assert moved == [-0.5, 1.5]


def test_operators_of_2021():
    @tff.federated_computation(tff.type_at_clients(np.int32))
    def sums(values):
        return (
            tff.federated_secure_sum(values, bitwidth=8),
            tff.federated_secure_sum(values, 100),
            tff.federated_secure_sum_bitwidth(values, 8),
            tff.federated_reduce(values, 0, tff.jax_computation(lambda a, b: a + b)),
            tff.federated_apply(tff.jax_computation(lambda x: x + 1), tff.federated_sum(values)),
            tff.federated_value(3, tff.SERVER),
            tff.federated_eval(tff.jax_computation(lambda: 4), tff.SERVER),
            tff.federated_max(values),
            tff.federated_min(values),
        )

    assert sums([5, 7]) == (12, 12, 12, 12, 13, 3, 4, 7, 5)
    with pytest.raises(TypeError, match="one of `max_input` and `bitwidth`"):
        tff.federated_computation(lambda v: tff.federated_secure_sum(v), tff.type_at_clients(np.int32))


def test_sequences():
    @tff.federated_computation(tff.SequenceType(np.int32))
    def reduced(values):
        add = tff.jax_computation(lambda a, b: a + b)
        doubled = tff.sequence_map(tff.jax_computation(lambda x: 2 * x), values)
        return tff.sequence_sum(values), tff.sequence_reduce(doubled, 0, add)

    assert reduced([1, 2, 3]) == (6, 12)


def test_jax():
    @tff.jax.computation(np.float32, (np.float32, [2]))
    def scale(x, y):
        return x * y

    assert str(scale.type_signature) == "(<x=float32,y=float32[2]> -> float32[2])"
    np.testing.assert_array_equal(scale(2.0, np.array([1, 3], np.float32)), [2, 6])
    assert tff.jax_computation(lambda x: x + 1)(np.float32(1)) == 2


def test_errors_are_type_errors():
    with pytest.raises(TypeMismatchError):
        average(["a"])
    with pytest.raises(TypeError):
        tff.federated_computation(lambda x: tff.federated_mean(x), tff.type_at_clients(np.int32))
    with pytest.raises(TracingError, match="returns nothing"):
        tff.federated_computation(lambda: None)
    assert issubclass(TypeMismatchError, TypeError)


class TestTensorflow:
    @pytest.fixture(autouse=True)
    def tf(self) -> Any:
        return pytest.importorskip("tensorflow")

    def test_local_code(self, tf: Any):
        @tff.tf_computation(tf.float32)
        def add_half(x):
            return tf.add(x, 0.5)

        @tff.federated_computation(tff.FederatedType(tf.float32, tff.CLIENTS))
        def add_half_on_clients(x):
            return tff.federated_map(add_half, x)

        assert str(add_half.type_signature) == "(float32 -> float32)"
        assert str(add_half_on_clients.type_signature) == "({float32}@CLIENTS -> {float32}@CLIENTS)"
        assert add_half(1.0) == 1.5
        assert type(add_half(1.0)) is np.float32
        assert add_half_on_clients([1.0, 3.0, 2.0]) == [1.5, 3.5, 2.5]

    def test_one_in_another(self, tf: Any):
        half = tff.tensorflow.computation(lambda x: x / 2.0, np.float32)
        any_type = tff.tf_computation(lambda x: x + x)

        @tff.tf_computation(tf.float32)
        def back(x):
            return any_type(half(x))

        assert back(3.0) == 3.0
        assert any_type(np.int32(2)) == 4
        assert any_type("a") == b"aa"

    def test_data_sets(self, tf: Any):
        @tff.tf_computation(tff.SequenceType(OrderedDict([("A", tf.int32), ("B", tf.int32)])))
        def foo(ds):
            return ds.reduce(np.int32(0), lambda total, x: total + x["A"] * x["B"])

        assert str(foo.type_signature) == "(<A=int32,B=int32>* -> int32)"
        assert foo([{"A": 2, "B": 3}, {"A": 4, "B": 5}]) == 26
        assert foo(tf.data.Dataset.from_tensor_slices({"A": [2], "B": [3]})) == 6

    def test_averages_of_averages(self, tf: Any):
        @tff.tf_computation(tff.SequenceType(tf.float32))
        def local_average(temperatures):
            total, count = temperatures.reduce((0.0, 0), lambda x, y: (x[0] + y, x[1] + 1))
            return total / tf.cast(count, tf.float32)

        @tff.federated_computation(tff.FederatedType(tff.SequenceType(tf.float32), tff.CLIENTS))
        def global_average(readings):
            return tff.federated_mean(tff.federated_map(local_average, readings))

        assert str(global_average.type_signature) == "({float32*}@CLIENTS -> float32@SERVER)"
        assert global_average([[68.0, 70.0], [71.0], [68.0, 72.0, 70.0]]) == np.float32(70)

    def test_training_by_hand(self, tf: Any):
        """As in part 2 of the custom algorithms, with a learning rate that is a constant: batches of any size
        beside a number are no elements of one sequence in Foedus."""
        spec = OrderedDict(x=tf.TensorSpec([None, 2], tf.float32), y=tf.TensorSpec([None], tf.float32))
        batch_type, model_type = tff.to_type(spec), tff.to_type(OrderedDict(w=(tf.float32, [2])))

        @tff.tf_computation(model_type, batch_type)
        def train_batch(model, batch):
            weights = tf.Variable(model["w"])
            with tf.GradientTape() as tape:
                error = tf.linalg.matvec(batch["x"], weights) - batch["y"]
                loss = tf.reduce_mean(error * error)
            weights.assign_sub(0.5 * tape.gradient(loss, weights))
            return OrderedDict(w=weights.read_value())

        @tff.federated_computation(model_type, tff.SequenceType(batch_type))
        def local_train(initial_model, all_batches):
            @tff.federated_computation(model_type, all_batches.type_signature.element)
            def step(model, batch):
                return train_batch(model, batch)

            return tff.sequence_reduce(all_batches, initial_model, step)

        assert str(local_train.type_signature) == (
            "(<initial_model=<w=float32[2]>,all_batches=<x=float32[?,2],y=float32[?]>*> -> <w=float32[2]>)"
        )
        batch = OrderedDict(x=np.array([[1, 0], [0, 1]], np.float32), y=np.array([1, 2], np.float32))
        found = local_train(OrderedDict(w=np.array([0, 0], np.float32)), [batch, batch])
        np.testing.assert_allclose(found["w"], [0.75, 1.5])
