# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning by TFF's names: its trees, its types, numbers that NumPy confirms, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import facts_of

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

BOUND = 1e-5
"""The spec's N4: some steps of float32 on small numbers."""
RATE = 0.1


@pytest.fixture(scope="module")
def facts(emnist_folder: Path) -> dict[str, Any]:
    return facts_of(Path(__file__).with_name("learning_program.py"), emnist_folder)


def gradients(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the mean squared error of ``[x, 1] @ weights``."""
    wide = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    return 2 * wide.T @ (wide @ weights - y) / len(x)


def rounds(data: list[Any], *, strength: float = 0.0, weighted: bool = True, steps: bool = True) -> list[Any]:
    """The weights after each of two rounds, from the definitions alone."""
    weights, found = np.array([[1.0], [1.0], [1.0], [0.0]]), []
    for _ in range(2):
        change, mass = np.zeros_like(weights), 0.0
        for x, y in data:
            x, y, own = np.reshape(x, (-1, 3)), np.reshape(y, (-1, 1)), weights
            for start in range(0, len(x) if steps else 0, 2):
                now = slice(start, start + 2)
                own = own - RATE * (gradients(own, x[now], y[now]) + strength * (own - weights))
            if not steps and len(x):
                own = weights - RATE * gradients(weights, x, y)
            count = len(x) if weighted else 1
            change, mass = change + count * (own - weights), mass + count
        weights = weights + change / mass
        found.append(weights)
    return found


CASES: dict[str, dict[str, Any]] = {
    "weighted fed avg": {},
    "unweighted fed avg": {"weighted": False},
    "fed prox": {"strength": 0.5},
    "fed sgd": {"steps": False},
}


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_numpy(name: str, facts: dict[str, Any]):
    for found, expected in zip(facts[name]["weights"], rounds(facts["data"], **CASES[name]), strict=True):
        kernel, bias = found["trainable"]
        np.testing.assert_allclose(np.append(kernel, bias), expected.ravel(), rtol=BOUND)
        assert found["non_trainable"] == []


WEIGHTS = "<trainable=<float32[3,1],float32[1]>,non_trainable=<>>"
METRICS = "<mean_absolute_error=float32,loss=float32,num_examples=int64,num_batches=int64>"
DATA = "{<float32[?,3],float32[?,1]>*}@CLIENTS"


def test_types_of_today(facts: dict[str, Any]):
    state = (
        f"<global_model_weights={WEIGHTS},distributor=<>,client_work=<learning_rate=float32>,"
        "aggregator=<value_sum_process=<>,weight_sum_process=<>>,finalizer=<learning_rate=float32>>@SERVER"
    )
    metrics = (
        f"<distributor=<>,client_work=<train={METRICS}>,aggregator=<mean_value=<>,mean_weight=<>>,"
        "finalizer=<update_non_finite=int32>>@SERVER"
    )
    found = facts["weighted fed avg"]
    assert found["initialize"] == f"( -> {state})"
    assert found["next"] == f"(<state={state},client_data={DATA}> -> <state={state},metrics={metrics}>)"
    assert found["containers"] == ["LearningAlgorithmState", "ModelWeights"]


def test_metrics_of_today(facts: dict[str, Any]):
    metrics = facts["weighted fed avg"]["metrics"]
    assert list(metrics[0]) == ["distributor", "client_work", "aggregator", "finalizer"]
    train = [m["client_work"]["train"] for m in metrics]
    assert list(train[0]) == ["mean_absolute_error", "loss", "num_examples", "num_batches"]
    assert (train[0]["num_examples"], train[0]["num_batches"]) == (7, 4)
    assert train[1]["loss"] < train[0]["loss"]
    assert metrics[0]["finalizer"] == {"update_non_finite": 0}


def test_evaluation_of_today(facts: dict[str, Any]):
    now, total = (
        [m["client_work"]["eval"][name] for m in facts["fed eval"]["metrics"]]
        for name in ("current_round_metrics", "total_rounds_metrics")
    )
    assert now[0] == now[1] == total[0]
    assert total[1] == now[0] | {"num_examples": 14, "num_batches": 8}
    data = [(np.reshape(x, (-1, 3)), np.reshape(y, (-1, 1))) for x, y in facts["data"]]
    error = np.concatenate([x.sum(axis=1, keepdims=True) - y for x, y in data])
    assert now[0]["loss"] == pytest.approx(float(np.mean(error**2)), rel=BOUND)
    assert now[0]["mean_absolute_error"] == pytest.approx(float(np.mean(abs(error))), rel=BOUND)


def test_the_trees_of_2021(facts: dict[str, Any]):
    found = facts["2021"]
    slots = "float32[3,1],float32[1]"
    state = (
        f"<model={WEIGHTS},optimizer_state=<int64,{slots},{slots}>,"
        "delta_aggregate_state=<value_sum_process=<>,weight_sum_process=<>>,model_broadcast_state=<>>@SERVER"
    )
    metrics = (
        "<broadcast=<>,aggregation=<mean_value=<>,mean_weight=<>>,"
        "train=<mean_absolute_error=float32,loss=float32>,stat=<num_examples=int64>>@SERVER"
    )
    assert found["initialize"] == f"( -> {state})"
    assert found["next"] == f"(<server_state={state},federated_dataset={DATA}> -> <{state},{metrics}>)"
    assert list(found["metrics"]) == ["broadcast", "aggregation", "train", "stat"]
    assert list(found["metrics"]["train"]) == ["mean_absolute_error", "loss"]
    assert found["metrics"]["stat"] == {"num_examples": 7}
    assert found["optimizer_state"][0] == 1
    assert found["evaluation"] == (
        f"(<server_model_weights={WEIGHTS}@SERVER,federated_dataset={DATA}> -> "
        "<eval=<mean_absolute_error=float32,loss=float32>,stat=<num_examples=int64>>@SERVER)"
    )
    assert found["evaluated"]["eval"]["loss"] == pytest.approx(found["keras loss"], rel=BOUND)


@pytest.mark.parametrize("fact", ["of a model", "set weights", "no step", "by name", "state of 2021"])
def test_weights_hyperparameters_and_names(fact: str, facts: dict[str, Any]):
    assert facts[fact] is True


def test_functional_models(facts: dict[str, Any]):
    expected = facts["weighted fed avg"]["weights"]
    for name, trained in (
        ("functional from Keras", ["mae"]),
        ("functional by hand", ["loss", "num_examples", "num_batches"]),
    ):
        for found, wanted in zip(facts[name]["weights"], expected, strict=True):
            for one, other in zip(found["trainable"], wanted["trainable"], strict=True):
                np.testing.assert_allclose(one, other, rtol=BOUND)
        metrics, other = (facts[n]["metrics"][0]["client_work"]["train"] for n in (name, "weighted fed avg"))
        assert list(metrics) == trained
        alike = {"mae": "mean_absolute_error", "loss": "loss"}[trained[0]]
        assert metrics[trained[0]] == pytest.approx(other[alike], rel=BOUND)
    assert facts["weights type"] == [WEIGHTS] * 3
    np.testing.assert_allclose(*facts["predictions"], rtol=BOUND)


def test_a_data_set_is_read_once(facts: dict[str, Any]):
    assert facts["reads"] == 4  # the batches of three clients, in three rounds


def test_an_update_that_is_not_finite_changes_nothing(facts: dict[str, Any]):
    assert facts["not finite"] == [{"update_non_finite": 1}, True]


def test_optimizers_of_keras(facts: dict[str, Any]):
    for name, (theirs, ours) in facts["optimizers"].items():
        for expected, found in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)


REFUSED = {
    "a model outside": ("ValueError", "build its Keras model anew in each call, found the same model"),
    "an optimizer": ("TypeError", "client_optimizer_fn=lambda: tf.keras.optimizers.SGD(...)"),
    "no optimizer": ("TypeError", "`client_optimizer_fn` to be a tff.learning.optimizers.Optimizer"),
    "an odd optimizer": ("NotImplementedError", "tf.keras.optimizers.ScheduleFreeAdamW: its state begins"),
    "Keras 2": ("TypeError", "found the Keras 2 model <class 'tf_keras.src.engine.sequential.Legacy'>"),
    "no model": ("TypeError", "to return a tff.learning.models.VariableModel, found <class 'int'>"),
    "an instance": ("TypeError", "`model_fn` to be a function without arguments"),
    "a spec": ("ValueError", "`input_spec` to be a pair of x and y, found float32[?,3]."),
    "a weighting": ("TypeError", "Expected a tff.learning.ClientWeighting or a function, found 3."),
    "metrics": ("TypeError", "`metrics_aggregator` to be a function of finalizers and a type, found 1."),
    "a strength": ("ValueError", "`proximal_strength` to be non-negative, found -1.0."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, facts: dict[str, Any]):
    sort, text = facts["refused"][name]
    assert (sort, REFUSED[name][1] in text) == (REFUSED[name][0], True), text


def test_refused_data_sets_are_located(facts: dict[str, Any]):
    sort, text = facts["refused"]["other elements"]
    lines = text.splitlines()
    assert (sort, lines[:3]) == (
        "TypeMismatchError",
        [
            "The data set of client 1 has elements of another type than the model's input",
            "  found     <float32[?,4],float32[?,1]>, with float32[?,4] where float32[?,3] is needed",
            "  expected  <float32[?,3],float32[?,1]>",
        ],
    )
    assert lines[3].startswith("  at        [0] of an element, learning_program.py:")
    sort, text = facts["refused"]["no end"]
    assert (sort, text.splitlines()[0]) == ("DataError", "The data set of client 0 has no end")
