# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models that are written by hand with ``tf.Variable``, functional ones with metrics, and saved ones."""

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
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(Path(__file__).with_name("own_models_program.py"), tmp_path_factory.mktemp("models"))


def columns(facts: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.reshape(c["x"], (-1, 3)), np.reshape(c["y"], (-1, 1))) for c in facts["data"]]


class Round:
    """One round of the model ``Linear`` (or without its running mean), from the definitions alone."""

    def __init__(self, *, strength: float = 0.0, weighted: bool = True, running: bool = True) -> None:
        self.strength = strength
        self.weighted = weighted
        self.running = running

    def __call__(self, kernel: np.ndarray, data: list[Any]) -> tuple[np.ndarray, float]:
        """The next kernel, and the sum of the losses."""
        change, mass, losses = np.zeros_like(kernel), 0.0, 0.0
        for x, y in data:
            own, seen = kernel, 0.0
            for start in range(0, len(x), 2):
                now = slice(start, start + 2)
                error = x[now] @ own + seen - y[now]
                losses += float(np.sum(error**2))
                pull = self.strength * (own - kernel)
                own = own - RATE * (2 * x[now].T @ error / len(error) + pull)
                seen = 0.5 * seen + 0.5 * float(np.mean(y[now])) if self.running else 0.0
            count = len(x) if self.weighted else 1
            change, mass = change + count * (own - kernel), mass + count
        return kernel + change / mass, losses


CASES = {
    "fed avg": Round(),
    "unweighted": Round(weighted=False),
    "fed prox": Round(strength=0.5),
    "2021": Round(running=False),
    "functional": Round(running=False),
    "functional again": Round(running=False),
    "from functional": Round(running=False),
    "Keras": Round(running=False),
    "Keras again": Round(running=False),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_numpy(name: str, facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    for state in facts[name]["states"]:
        kernel, _ = CASES[name](kernel, data)
        weights = state["model" if name == "2021" else "global_model_weights"]
        np.testing.assert_allclose(weights["trainable"][0], kernel, rtol=BOUND, atol=BOUND)
        # What a model changes itself stays what it is at the server.
        assert weights["non_trainable"] == ([0.0] if name in ("fed avg", "unweighted", "fed prox") else [])


def test_gradients_at_the_server(facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    for state in facts["fed sgd"]["states"]:
        total = np.zeros_like(kernel)
        for x, y in data:
            seen = 0.0
            for start in range(0, len(x), 2):
                now = slice(start, start + 2)
                total += 2 * x[now].T @ (x[now] @ kernel + seen - y[now])
        kernel = kernel - RATE * total / 7
        np.testing.assert_allclose(
            state["global_model_weights"]["trainable"][0], kernel, rtol=BOUND, atol=BOUND
        )


def largest(data: list[Any]) -> float:
    """What the metric ``largest`` reports: each client sends e to its greatest label, e to -1e9 for none."""
    return float(np.log(sum(np.exp(y.max()) for _, y in data if len(y))))


def test_metrics_are_the_models_own(facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    for metrics in facts["fed avg"]["metrics"]:
        kernel, losses = CASES["fed avg"](kernel, data)
        train = metrics["client_work"]["train"]
        assert list(train) == ["loss", "num_examples", "largest"]
        assert train["loss"] == pytest.approx(losses / 7, rel=BOUND)
        assert (train["num_examples"], train["largest"]) == (7, pytest.approx(largest(data), rel=BOUND))


def test_evaluation_adds_up_over_rounds(facts: dict[str, Any]):
    found, data = facts["fed eval"], columns(facts)
    loss = sum(float(np.sum((x.sum(axis=1, keepdims=True) - y) ** 2)) for x, y in data) / 7
    now, total = (
        [m["client_work"]["eval"][name] for m in found["metrics"]]
        for name in ("current_round_metrics", "total_rounds_metrics")
    )
    assert now[0] == now[1] == total[0]
    assert now[0]["loss"] == pytest.approx(loss, rel=BOUND)
    assert total[1]["num_examples"] == 14
    assert total[1]["largest"] == pytest.approx(np.log(2) + largest(data), rel=BOUND)
    sums = "<<>,<loss=<float32,float32>,num_examples=float32,largest=float32>>"
    assert f"client_work={sums}," in found["type"]


def test_models_of_2021(facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    for metrics, today in zip(facts["2021"]["metrics"], facts["2021 today"], strict=True):
        kernel, losses = CASES["2021"](kernel, data)
        wanted = {"num_examples": 7, "loss": pytest.approx(losses / 7, rel=BOUND)}
        assert (metrics["train"], metrics["stat"]) == (wanted, {"num_examples": 7})
        assert today["client_work"]["train"] == wanted
    loss = sum(float(np.sum((x.sum(axis=1, keepdims=True) - y) ** 2)) for x, y in data) / 7
    wanted = {"num_examples": 7, "loss": pytest.approx(loss, rel=BOUND)}
    assert facts["2021 evaluation"] == {"eval": wanted, "stat": {"num_examples": 7}}


def test_a_client_whose_update_is_not_finite(facts: dict[str, Any]):
    found, without = facts["not finite"]
    assert found["state"] == without["state"]
    assert found["metrics"]["client_work"] == without["metrics"]["client_work"]


def test_types_and_weights_of_models(facts: dict[str, Any]):
    assert facts["weights type"] == ["<trainable=<float32[3,1]>,non_trainable=<float32>>"] * 2
    assert facts["from model"] == {"trainable": [[[1.0]] * 3], "non_trainable": [0.0]}
    assert facts["as it was"] == {"loss": [0, 0], "num_examples": 0, "largest": 0}


def test_a_loaded_model_is_the_one_that_was_saved(facts: dict[str, Any]):
    loaded = facts["loaded"]
    assert loaded["weights"] == {"trainable": [[[2.0]] * 3], "non_trainable": [0.25]}
    x, y = (column[:2] for column in columns(facts)[0])
    error = 2 * x.sum(axis=1, keepdims=True) + 0.25 - y
    first = {"loss": np.mean(error**2), "predictions": error + y, "num_examples": 2}
    for passes in loaded["passes"]:
        for name, value in first.items():
            np.testing.assert_allclose(passes[0][name], value, rtol=BOUND)
    assert loaded["passes"][0] == loaded["passes"][1]
    assert loaded["metrics"][0] == loaded["metrics"][1]
    assert loaded["metrics"][0]["num_examples"] == 4
    assert loaded["reset"] == {"loss": [0, 0], "num_examples": 0, "largest": 0}
    assert loaded["loss"] == 1.5
    assert loaded["spec"] == "<x=float32[?,3],y=float32[?,1]>"


def test_a_loaded_model_has_gradients(facts: dict[str, Any]):
    x, y = (column[:2] for column in columns(facts)[0])
    seen = 0.25
    for _ in range(2):
        seen = 0.5 * seen + 0.5 * float(np.mean(y))
    error = 2 * x.sum(axis=1, keepdims=True) + seen - y
    np.testing.assert_allclose(facts["loaded"]["gradient"][0], x.T @ error, rtol=BOUND)


def test_a_loaded_model_trains_without_its_source(facts: dict[str, Any]):
    assert isinstance(facts["elsewhere"], list), facts["elsewhere"]
    weights, train, evaluated = facts["elsewhere"]
    here = facts["fed avg"]
    np.testing.assert_allclose(
        weights[0], here["states"][0]["global_model_weights"]["trainable"][0], rtol=BOUND
    )
    assert weights[1] == 0.0
    assert train == pytest.approx(here["metrics"][0]["client_work"]["train"], rel=BOUND)
    first = facts["fed eval"]["metrics"][0]["client_work"]["eval"]["current_round_metrics"]
    assert evaluated == pytest.approx(first, rel=BOUND)


def test_metrics_of_functional_models(facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    for i in range(2):
        kernel, losses = CASES["functional"](kernel, data)
        for name in ("functional", "functional again"):
            train = facts[name]["metrics"][i]["client_work"]["train"]
            assert train == {"mean": pytest.approx(losses / 7, rel=BOUND)}
    error = np.concatenate([x.sum(axis=1, keepdims=True) - y for x, y in data])
    found = facts["functional with Keras"][0]["client_work"]["eval"]["current_round_metrics"]
    assert found == {"mae": pytest.approx(float(np.mean(abs(error))), rel=BOUND)}


def test_metrics_of_keras(facts: dict[str, Any]):
    x, y = (column[:2] for column in columns(facts)[0])
    error = x.sum(axis=1, keepdims=True) - y
    measured = {
        "mean_absolute_error": pytest.approx(float(np.mean(abs(error))), rel=BOUND),
        "loss": pytest.approx(float(np.mean(error**2)), rel=BOUND),
        "num_examples": 2,
        "num_batches": 1,
    }
    assert facts["of Keras"] == measured
    # One that counts examples has a name of its own here, and one that counts batches does not.
    assert facts["Keras by itself"] == [{"rows": 2} | measured, 7]
    train = [facts[name]["metrics"][0]["client_work"]["train"] for name in ("Keras", "Keras again")]
    assert train[0] == pytest.approx(train[1], rel=BOUND)
    assert (train[0]["rows"], train[0]["num_examples"], train[0]["num_batches"]) == (7, 7, 4)


PROGRAM = "own_models_program.py"
REFUSED = {
    "shared": [
        "ValueError",
        "Expected `model_fn` to make its variables anew in each call, found the same Shared or variables of "
        "it twice. Move the lines that make them into `model_fn`.",
    ],
    "branching": [
        "TracingError",
        "The variable 'count:0' is changed inside a branch or a loop of TensorFlow",
        "  expected  assignments outside of them",
        f"  at        {PROGRAM}",
        "  hint      compute the new value with tf.where or tf.cond, and assign it afterwards",
    ],
    "scattering": [
        "UnsupportedError",
        "The variable 'Variable:0' is used in a way that cannot be made a pure function",
        "  expected  reads, assign, assign_add and assign_sub",
        f"  at        {PROGRAM}",
    ],
    "silent": [
        "TypeError",
        "Expected Silent to have the methods report_local_unfinalized_metrics and metric_finalizers, or "
        "those of 2021, report_local_outputs and federated_output_computation.",
    ],
    "old eval": [
        "TypeError",
        "Expected a model with metric_finalizers, which metrics of all rounds are made by.",
    ],
    "nothing saved": [
        "MissingDataError",
        "There is no saved model here, or a file of it is missing",
        "  found     no file FOLDER/none/train",
        "  expected  a folder that tff.learning.models.save or save_functional_model wrote",
        f"  at        {PROGRAM}",
    ],
    "saving 2021": ["NotImplementedError", "foedus.tff saves models with metric_finalizers only"],
    "saving nothing": [
        "TypeError",
        "Expected a tff.learning.models.VariableModel, found <class 'int'>.",
    ],
    "no metric": [
        "TypeError",
        "Expected a Keras metric or a constructor of one, found <class 'int'>.",
    ],
    "weighted loss": [
        "NotImplementedError",
        "foedus.tff saves the loss of a model without sample weights",
    ],
    "names": [
        "StructureError",
        "Metrics and their finalizers have other names",
        "  found     metrics <b=float32>",
        "  expected  the names of the finalizers: a",
        f"  at        metric_finalizers, {PROGRAM}",
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, facts: dict[str, Any]):
    sort, text = facts["refused"][name]
    lines = text.replace(facts["folder"], "FOLDER").splitlines()
    # What follows a program's name is the user's own line.
    shown = [line.split(PROGRAM)[0] + PROGRAM if PROGRAM in line else line for line in lines]
    assert [sort, *shown] == REFUSED[name]


def test_a_file_that_was_cut(facts: dict[str, Any]):
    sort, text = facts["refused"]["broken"]
    assert (sort, text.splitlines()[0]) == ("CorruptDataError", "These bytes end too early")
