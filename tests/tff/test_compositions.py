# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets that are made from clients' ids inside of a computation."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff
from foedus.errors import ClientError

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

simulation = tff.simulation
SLICES = {
    "b": OrderedDict(x=np.array([[1, 2], [3, 4]], np.float32), y=np.array([0, 1], np.int32)),
    "a": OrderedDict(x=np.array([[5, 6]], np.float32), y=np.array([1], np.int32)),
}
ELEMENT = "<x=float32[2],y=int32>"
SUMS = {"b": 10.0, "a": 11.0}


@pytest.fixture(scope="module")
def clients() -> Any:
    return simulation.datasets.TestClientData(SLICES)


@pytest.fixture(scope="module")
def body(clients: Any) -> Any:
    data = tff.SequenceType(tff.to_type(clients.element_type_structure))

    @tff.tf_computation(data)
    def total(dataset: Any) -> Any:
        return dataset.reduce(0.0, lambda s, e: s + tf.reduce_sum(e["x"]))

    @tff.federated_computation(tff.type_at_server(np.float32), tff.type_at_clients(data))
    def scaled(scale: Any, examples: Any) -> Any:
        return tff.federated_sum(tff.federated_map(total, examples)), scale

    return scaled


def test_a_computation_from_an_id_to_a_data_set(clients: Any):
    made = clients.dataset_computation
    assert str(made.type_signature) == f"(str -> {ELEMENT}*)"
    found = [{name: np.asarray(v).tolist() for name, v in element.items()} for element in made("b")]
    assert found == [{"x": [1.0, 2.0], "y": 0}, {"x": [3.0, 4.0], "y": 1}]


def test_in_front_of_a_computation(clients: Any, body: Any):
    composed = simulation.compose_dataset_computation_with_computation(clients.dataset_computation, body)
    assert str(composed.type_signature) == (
        "(<scale=float32@SERVER,examples={str}@CLIENTS> -> <float32@SERVER,float32@SERVER>)"
    )
    # A client that is asked for twice is there twice.
    assert tuple(composed(2.0, ["a", "b", "a"])) == (2 * SUMS["a"] + SUMS["b"], 2.0)
    assert tuple(composed(2.0, [])) == (0.0, 2.0)
    with pytest.raises(ClientError, match=r"ID \[c\] is not a client in this ClientData"):
        composed(2.0, ["a", "c"])


def test_in_front_of_a_computation_of_data_alone(clients: Any):
    @tff.federated_computation(tff.type_at_clients(tff.SequenceType(np.int32)))
    def added(numbers: Any) -> Any:
        return tff.federated_sum(tff.federated_map(lambda n: tff.sequence_sum(n), numbers))

    @tff.tf_computation(str)
    def lengths(client_id: Any) -> Any:
        return tf.data.Dataset.from_tensors(tf.strings.length(client_id)).repeat(2)

    composed = simulation.compose_dataset_computation_with_computation(lengths, added)
    assert composed(["one", "three"]) == 2 * 3 + 2 * 5


def test_files_of_clients(clients: Any, tmp_path: Path):
    path = str(tmp_path / "data.sqlite")
    simulation.datasets.save_to_sql_client_data(
        clients.client_ids, clients.create_tf_dataset_for_client, path
    )
    stored = simulation.datasets.SqlClientData(path)
    assert str(stored.dataset_computation.type_signature) == "(str -> str*)"

    @tff.tf_computation(tff.SequenceType(str))
    def count(dataset: Any) -> Any:
        return dataset.reduce(0, lambda n, _: n + 1)

    @tff.federated_computation(tff.type_at_clients(tff.SequenceType(str)))
    def counted(messages: Any) -> Any:
        return tff.federated_sum(tff.federated_map(count, messages))

    composed = simulation.compose_dataset_computation_with_computation(stored.dataset_computation, counted)
    assert composed(["a", "b"]) == 3


def test_in_front_of_an_iterative_process(clients: Any, body: Any):
    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_value(0.0, tff.SERVER)

    @tff.federated_computation(initialize.type_signature.result, body.type_signature.parameter[1])
    def next_(state: Any, examples: Any) -> Any:
        return tff.federated_map(lambda s, n: s + n, (state, body(state, examples)[0]))

    process = tff.templates.IterativeProcess(initialize, next_)
    composed = simulation.compose_dataset_computation_with_iterative_process(
        clients.dataset_computation, process
    )
    state = composed.initialize()
    for ids in (["a"], ["a", "b"]):
        state = composed.next(state, ids)
    assert state == 2 * SUMS["a"] + SUMS["b"]


@pytest.mark.keras
def test_in_front_of_a_learning_process(clients: Any):
    def pair(element: Any) -> Any:
        return element["x"], tf.cast(element["y"], tf.float32)[:, tf.newaxis]

    batched = clients.preprocess(lambda dataset: dataset.batch(2).map(pair))
    model = tff.learning.models.FunctionalModel(
        initial_weights=([np.ones((2, 1), np.float32)], []),
        predict_on_batch_fn=lambda weights, x, training: tf.matmul(x, weights[0][0]),
        loss_fn=lambda output, label, sample_weight=None: tf.reduce_mean(tf.square(output - label)),
        input_spec=batched.element_type_structure,
    )
    process = tff.learning.algorithms.build_weighted_fed_avg(model, tff.learning.optimizers.build_sgdm(0.01))
    composed = simulation.compose_dataset_computation_with_learning_process(
        batched.dataset_computation, process
    )
    assert str(composed.next.type_signature.parameter[1]) == "{str}@CLIENTS"
    assert isinstance(composed, tff.learning.templates.LearningProcess)
    state = composed.initialize()
    direct = process.next(state, [batched.create_tf_dataset_for_client(i) for i in ("a", "b")])
    found = composed.next(state, ["a", "b"])
    weights = [composed.get_model_weights(output.state).trainable[0] for output in (found, direct)]
    # The spec's N4: another schedule rounds otherwise.
    np.testing.assert_allclose(*weights, rtol=1e-5)
    train, other = (output.metrics["client_work"]["train"] for output in (found, direct))
    assert train == pytest.approx(other, rel=1e-5)
    assert train["num_examples"] == 3
    assert composed.get_hparams(state) == process.get_hparams(state)


def test_refusals(clients: Any, body: Any):
    compose = simulation.compose_dataset_computation_with_computation
    made = clients.dataset_computation

    @tff.federated_computation(tff.type_at_clients(np.int32))
    def without(numbers: Any) -> Any:
        return tff.federated_sum(numbers)

    data = tff.type_at_clients(tff.SequenceType(np.int32))

    @tff.federated_computation(data, data)
    def twice(one: Any, other: Any) -> Any:
        return one

    @tff.federated_computation(data)
    def others(numbers: Any) -> Any:
        return numbers

    with pytest.raises(simulation.SequenceTypeNotFoundError) as caught:
        compose(made, without)
    assert str(caught.value) == (
        "Expected one argument of type {T*}@CLIENTS, found none in ({int32}@CLIENTS -> int32@SERVER)."
    )
    with pytest.raises(simulation.SequenceTypeNotFoundError) as caught:
        compose(made, twice)
    assert str(caught.value) == (
        "Expected one argument of type {T*}@CLIENTS, found 2 in "
        "(<one={int32*}@CLIENTS,other={int32*}@CLIENTS> -> {int32*}@CLIENTS)."
    )
    with pytest.raises(simulation.SequenceTypeNotAssignableError) as caught:
        compose(made, others)
    assert str(caught.value) == (
        "Expected `dataset_computation` to make data sets of type int32*, which the computation takes, found "
        f"{ELEMENT}*."
    )
    with pytest.raises(TypeError) as caught_type:
        compose(without, body)
    assert str(caught_type.value) == (
        "Expected `dataset_computation` to be from a client's id to a data set, found "
        "({int32}@CLIENTS -> int32@SERVER)."
    )
