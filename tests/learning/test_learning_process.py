# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A learning process from outside: weights in and out, clients, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import optax
import pytest

import foedus as fd
from foedus import runtime
from foedus.data import cohort_of
from foedus.errors import DataError, ExecutionError, StructureError, TypeMismatchError
from foedus.learning import Batches, LearningProcess, LearningState
from foedus.learning.algorithms import fed_avg
from foedus.learning.models import ModelWeights

from . import numpy_fed_avg as independent
from .small_models import CLASSES, FEATURES, HIDDEN, clients, model_of, network


@pytest.fixture(scope="module")
def process() -> LearningProcess:
    return built()


def built(size: int = 3) -> LearningProcess:
    batches = Batches(size=size, epochs=2, shuffle=False)
    return fed_avg(model_of(coupled=False), client_optimizer=optax.sgd(0.1), batches=batches)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    """One runtime for the module, so that each program is compiled once."""
    with fd.use(runtime.local()):
        yield


def given() -> ModelWeights:
    """Weights in the model's structure that are not the model's own."""
    rng = np.random.default_rng(5)
    shapes = {"w1": (FEATURES, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, CLASSES), "b2": (CLASSES,)}
    return ModelWeights({name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}, ())


def test_the_initial_weights_come_from_the_seed(process: LearningProcess):
    one, other, odd = (process.weights(process.initialize(seed)).trainable["w1"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, odd)


def test_training_starts_from_given_weights(process: LearningProcess):
    state = process.initialize(weights=given())
    for name, leaf in given().trainable.items():
        np.testing.assert_array_equal(state.weights.trainable[name], leaf)
    data = clients(sizes={"only": 5})
    trained, _, _ = independent.train(
        given().trainable, (data["only"]["x"], data["only"]["y"]), size=3, epochs=2, rate=0.1
    )
    found = process.next(state, data).state.weights.trainable
    for name, leaf in trained.items():
        # The spec's N4 for float32: four steps, relative to weights of size one.
        np.testing.assert_allclose(found[name], leaf, rtol=0, atol=1e-5)


def test_weights_come_out_as_plain_arrays_in_the_users_structure(process: LearningProcess):
    state = process.next(process.initialize(), clients()).state
    weights = process.weights(state)
    assert isinstance(weights, ModelWeights)
    assert isinstance(state, LearningState)
    assert {name: (type(w), w.dtype, w.shape) for name, w in weights.trainable.items()} == {
        name: (np.ndarray, w.dtype, w.shape) for name, w in given().trainable.items()
    }
    assert process.model_of(state) is weights.trainable


def test_weights_can_be_exchanged(process: LearningProcess):
    state = process.next(process.initialize(3), clients()).state
    other = process.with_weights(state, given())
    assert other.round == state.round == 1
    np.testing.assert_array_equal(other.weights.trainable["w2"], given().trainable["w2"])


def test_trained_weights_predict(process: LearningProcess):
    state = process.next(process.initialize(3), clients()).state
    x = np.ones((2, FEATURES), np.float32)
    found = process.model.predict(state.weights, x)
    np.testing.assert_array_equal(found, network(process.model_of(state), x))


def test_a_leaf_of_another_shape_is_named(process: LearningProcess, refused: Any):
    weights = given()
    weights.trainable["b1"] = np.zeros(HIDDEN + 1, np.float32)
    with refused(
        TypeMismatchError,
        """
        Wrong shape in the model's weights
          found     float32[5]
          expected  float32[4]
          at        .trainable.b1 of the model's weights, HERE
        """,
    ):
        process.initialize(weights=weights)


def test_a_leaf_of_another_dtype_is_named(process: LearningProcess, refused: Any):
    weights = given()
    weights.trainable["w2"] = weights.trainable["w2"].astype(np.float64)
    with refused(
        TypeMismatchError,
        """
        Wrong dtype in the model's weights
          found     float64[4,3]
          expected  float32[4,3]
          at        .trainable.w2 of the model's weights, HERE
        """,
    ):
        process.initialize(weights=weights)


def test_a_leaf_that_is_missing_is_named(process: LearningProcess, refused: Any):
    weights = given()
    del weights.trainable["b2"]
    with refused(
        StructureError,
        """
        The field 'b2' is missing in the model's weights
          found     fields b1, w1, w2
          expected  fields b1, b2, w1, w2
          at        .trainable of the model's weights, HERE
        """,
    ):
        process.with_weights(process.initialize(), weights)


@pytest.mark.parametrize("none", [{}, [], cohort_of({}, fd.to_type([]))], ids=["dict", "list", "cohort"])
def test_a_round_needs_clients(process: LearningProcess, none: Any, refused: Any):
    state = process.initialize()
    with refused(
        ExecutionError,
        """
        There are no clients in a round of fed_avg
          found     0 clients
          expected  at least one client
          at        HERE
          hint      choose clients that have data, or leave the round out
        """,
    ):
        process.next(state, none)


def test_an_evaluation_needs_clients(process: LearningProcess, refused: Any):
    state = process.initialize()
    with refused(
        ExecutionError,
        """
        There are no clients in an evaluation
          found     0 clients
          expected  at least one client
          at        HERE
          hint      choose clients that have data, or leave the round out
        """,
    ):
        process.evaluate(state, {})


def test_a_client_with_other_features_is_named(process: LearningProcess, refused: Any):
    data = clients()
    data["d"]["x"] = data["d"]["x"].astype(np.float64)
    state = process.initialize()
    with refused(
        TypeMismatchError,
        """
        Wrong dtype in the value of client 'd'
          found     float64[7,3]
          expected  float32[?,3]
          at        .x of the value of client 'd', HERE
        """,
    ):
        process.next(state, data)


def test_a_client_without_a_field_is_named(process: LearningProcess, refused: Any):
    data = clients()
    del data["a"]["y"]
    state = process.initialize()
    with refused(
        StructureError,
        """
        The field 'y' is missing in the value of client 'a'
          found     fields x
          expected  fields x, y
          at        the value of client 'a', HERE
        """,
    ):
        process.next(state, data)


def test_a_client_whose_fields_differ_in_length_is_named(process: LearningProcess, refused: Any):
    data = clients()
    data["c"]["y"] = data["c"]["y"][:-1]
    state = process.initialize()
    with refused(
        DataError,
        """
        The columns of the value of client 'c' differ in length
          found     lengths [3, 4]
          at        HERE
        """,
    ):
        process.evaluate(state, data)


def test_a_cohort_is_as_good_as_a_mapping(process: LearningProcess):
    member = fd.sequence(process.model.element_type)
    state = process.initialize(3)
    one, other = process.next(state, clients()), process.next(state, cohort_of(clients(), member))
    np.testing.assert_array_equal(one.state.weights.trainable["w1"], other.state.weights.trainable["w1"])


def test_clients_without_examples_change_nothing(process: LearningProcess):
    state = process.initialize(3)
    output = process.next(state, clients(sizes={"a": 0, "b": 0}))
    assert output.result == {"accuracy": 0, "dropped_clients": 0, "examples": 0, "loss": 0}
    for name, leaf in state.weights.trainable.items():
        np.testing.assert_array_equal(output.state.weights.trainable[name], leaf)
    assert output.state.round == 1


def test_equal_algorithms_have_equal_fingerprints(process: LearningProcess):
    assert process.fingerprint == built().fingerprint
    assert process.fingerprint != built(size=4).fingerprint


def test_a_new_process_goes_on_where_another_stopped(process: LearningProcess):
    """As after a restart: nothing that matters is kept outside the state."""
    state = process.next(process.initialize(3), clients()).state
    whole = process.next(state, clients()).state
    with fd.use(runtime.local()):
        resumed = built().next(state, clients()).state
    for name, leaf in whole.weights.trainable.items():
        np.testing.assert_array_equal(resumed.weights.trainable[name], leaf)
