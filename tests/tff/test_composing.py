# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning processes that are composed of their parts, some of them written by users."""

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
RATE, CLIP, MOMENTUM, SHORTEST = 0.1, 0.5, 0.5, 0.08


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(Path(__file__).with_name("composing_program.py"), tmp_path_factory.mktemp("parts"))


def columns(facts: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.reshape(x, (-1, 3)), np.reshape(y, (-1, 1))) for x, y in facts["data"]]


def mean_update(
    kernel: np.ndarray, data: list[Any], *, clip: float = np.inf, weighted: bool = True
) -> np.ndarray:
    """The mean over clients of the kernel that they got less the one that they trained."""
    total, mass = np.zeros_like(kernel), 0.0
    for x, y in data:
        own = kernel
        for start in range(0, len(x), 2):
            now = slice(start, start + 2)
            gradient = 2 * x[now].T @ (x[now] @ own - y[now]) / len(x[now])
            own = own - RATE * gradient * min(1.0, clip / float(np.linalg.norm(gradient)))
        count = len(x) if weighted else 1
        total, mass = total + count * (kernel - own), mass + count
    return total / mass


def kernels(facts: dict[str, Any], name: str) -> list[Any]:
    return [state["global_model_weights"]["trainable"][0] for state in facts[name]["states"]]


def test_a_model_that_is_first_used_in_a_loop(facts: dict[str, Any]):
    x, y = columns(facts)[0]
    total, count = facts["in a loop"]["loss"]
    assert total == pytest.approx(float(np.sum((x.sum(1, keepdims=True) - y) ** 2)), rel=BOUND)
    assert count == len(x)
    assert facts["in a loop"]["num_batches"] == [3]


@pytest.mark.parametrize("part", ["type", "states", "metrics", "hparams"])
def test_composed_by_hand_is_what_the_builder_composes(part: str, facts: dict[str, Any]):
    assert facts["composed"][part] == facts["built"][part]


@pytest.mark.parametrize("name", ["composed", "functional"])
def test_weights_are_those_of_numpy(name: str, facts: dict[str, Any]):
    kernel, kept, data = np.ones((3, 1)), np.zeros((3, 1)), columns(facts)
    for found in kernels(facts, name):
        kept = MOMENTUM * kept + mean_update(kernel, data)
        kernel = kernel - kept
        np.testing.assert_allclose(found, kernel, rtol=BOUND, atol=BOUND)


def test_hyperparameters_of_both_sides(facts: dict[str, Any]):
    rate = float(np.float32(RATE))
    assert facts["composed"]["hparams"] == {
        "client_work": {"learning_rate": rate},
        "finalizer": {"learning_rate": 1.0, "momentum": 0.5},
    }
    assert facts["no client step"] is True
    assert facts["moved"] == {"trainable": [[[2.0]] * 3], "non_trainable": []}


def test_a_client_work_and_a_finalizer_of_ones_own(facts: dict[str, Any]):
    kernel, data = np.ones((3, 1)), columns(facts)
    gradient = 2 * data[0][0][:2].T @ (data[0][0][:2] @ kernel - data[0][1][:2]) / 2
    assert np.linalg.norm(gradient) > CLIP  # or else there is nothing to see
    for i, found in enumerate(kernels(facts, "clipped, halfway")):
        kernel = kernel - 0.5 * mean_update(kernel, data, clip=CLIP)
        np.testing.assert_allclose(found, kernel, rtol=BOUND, atol=BOUND)
        metrics = facts["clipped, halfway"]["metrics"][i]
        assert metrics == {
            "distributor": [],
            "client_work": [],
            "aggregator": {"mean_value": [], "mean_weight": []},
            "finalizer": i + 1,
        }
    assert facts["clipped, halfway"]["hparams"] == {"client_work": {}, "finalizer": {"rounds": 3}}


def test_updates_that_a_user_rejects(facts: dict[str, Any]):
    kernel, kept, data = np.ones((3, 1)), np.zeros((3, 1)), columns(facts)
    rejected = []
    for found, metrics in zip(kernels(facts, "rejecting"), facts["rejecting"]["metrics"], strict=True):
        update = mean_update(kernel, data, weighted=False)
        rejected.append(bool(np.linalg.norm(update) < SHORTEST))
        if not rejected[-1]:
            kept = MOMENTUM * kept + update
            kernel = kernel - kept
        np.testing.assert_allclose(found, kernel, rtol=BOUND, atol=BOUND)
        assert metrics["finalizer"] == {"norm": pytest.approx(float(np.linalg.norm(update)), rel=BOUND)}
    assert sorted(set(rejected)) == [False, True]  # or else there is nothing to see


PROGRAM = "composing_program.py"
WEIGHTS = "<trainable=<float32[3,1]>,non_trainable=<>>"
WIDE = "<trainable=<float32[4]>,non_trainable=<>>"


def misfit(part: str, what: str, found: str, expected: str) -> list[str]:
    return [
        "CompositionError",
        f"`{part}` does not take {what}",
        f"  found     {found}",
        f"  expected  {expected}",
        f"  at        {part}, {PROGRAM}",
    ]


def misbuilt(headline: str, found: str, expected: str) -> list[str]:
    return [
        "CompositionError",
        headline,
        f"  found     {found}",
        f"  expected  {expected}",
        f"  at        next_fn, {PROGRAM}",
    ]


REFUSED = {
    "aggregator": misfit(
        "model_update_aggregator",
        "the update that the client work gives",
        "<float32[3,1]>",
        "<float32[4]>",
    ),
    "finalizer": misfit("model_finalizer", "the model's weights", f"{WEIGHTS}@SERVER", f"{WIDE}@SERVER"),
    "distributor": misfit(
        "model_weights_distributor", "the model's weights", f"{WEIGHTS}@SERVER", f"{WIDE}@SERVER"
    ),
    "initial": [
        "CompositionError",
        "`initial_model_weights_fn` is not what it should be",
        "  found     function",
        "  expected  tff.Computation",
        f"  at        initial_model_weights_fn, {PROGRAM}",
        "  hint      @tff.tensorflow.computation on a function that returns "
        "ModelWeights.from_model(model_fn())",
    ],
    "placed": [
        "CompositionError",
        "`initial_model_weights_fn` makes the first weights of nothing, and does not place them",
        "  found     ( -> <>@SERVER)",
        "  expected  ( -> <trainable=...,non_trainable=...>)",
        f"  at        initial_model_weights_fn, {PROGRAM}",
    ],
    "no part": [
        "CompositionError",
        "`client_work` is not what it should be",
        "  found     DistributionProcess",
        "  expected  ClientWorkProcess",
        f"  at        client_work, {PROGRAM}",
    ],
    "at the server": misbuilt(
        "The result of a DistributionProcess is not at CLIENTS", "int32@SERVER", "{T}@CLIENTS"
    ),
    "too few": misbuilt(
        "The `next_fn` of a ClientWorkProcess takes another number of arguments",
        "(<state=<>@SERVER,value={int32}@CLIENTS> -> "
        "<state=<>@SERVER,result={int32}@CLIENTS,measurements=<>@SERVER>)",
        "3 arguments: state, weights, data",
    ),
    "no data": misbuilt(
        "The data of a ClientWorkProcess are no data sets",
        "{int32}@CLIENTS",
        "{T*}@CLIENTS, or a struct of such",
    ),
    "no result": misbuilt(
        "The result of a ClientWorkProcess is no ClientResult", "int32", "<update=U,update_weight=W>"
    ),
    "other weights": misbuilt(
        "The result of a FinalizerProcess is not the weights that it takes", "float32@SERVER", "int32@SERVER"
    ),
    "no output": misbuilt(
        "The `next_fn` of a LearningProcess returns no LearningProcessOutput",
        "<<>@SERVER,<>@SERVER>",
        "<state=S@SERVER,metrics=M@SERVER>",
    ),
    "no weights": [
        "TypeError",
        "Expected `model_weights_type` to be of the form <trainable=...,non_trainable=...>, found float32.",
    ],
    "no functional": [
        "TypeError",
        "Expected a tff.learning.models.FunctionalModel, found <class 'function'>.",
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_parts_that_do_not_fit(name: str, facts: dict[str, Any]):
    sort, text = facts["refused"][name]
    # What follows a program's name is the user's own line.
    shown = [line.split(PROGRAM)[0] + PROGRAM if PROGRAM in line else line for line in text.splitlines()]
    assert [sort, *shown] == REFUSED[name]
