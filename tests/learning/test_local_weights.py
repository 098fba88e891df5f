# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that clients keep for themselves: a model of a running mean of its features, beside NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import foedus as fd
from foedus import learning, program, runtime
from foedus.data import cohort_of
from foedus.errors import ArgumentError
from foedus.learning import models
from foedus.learning.algorithms import fed_avg
from foedus.types import to_type, type_of

LOCAL, SERVERS = models.NonTrainable.KEEP_LOCAL, models.NonTrainable.KEEP_SERVERS
RUNTIMES = pytest.mark.parametrize("make", [runtime.local, runtime.reference])
NOTHING = np.zeros(0, np.float32)
START = 2.0


def running_mean(non_trainable: models.NonTrainable) -> models.Model:
    """Predicts ``slope * (x - mean)``, where ``mean`` is a running mean of what it trained on."""

    def initialize(key: Any) -> models.ModelWeights:
        return models.ModelWeights(
            {"slope": jnp.float32(0.5)}, {"mean": jnp.float32(START), "seen": jnp.int32(0)}
        )

    def predict(weights: models.ModelWeights, x: Any) -> Any:
        return weights.trainable["slope"] * (x - weights.non_trainable["mean"])

    def forward(weights: models.ModelWeights, batch: Any, key: Any, mode: models.Mode) -> models.Forward:
        x, y = batch["x"], batch["y"]
        own = weights.non_trainable
        after = own
        if mode is models.Mode.TRAIN:
            after = {"mean": 0.75 * own["mean"] + 0.25 * jnp.mean(x), "seen": own["seen"] + x.shape[0]}
        found = predict(weights, x)
        return models.Forward((found - y) ** 2, found, y, after, jnp.float32(0))

    return models.Model(
        element_type=to_type({"x": "float32", "y": "float32"}),
        weights_type=type_of(jax.tree.map(np.asarray, initialize(None))),
        initialize=initialize,
        forward=forward,
        predict=predict,
        metrics=(),
        coupled=True,
        to_user=lambda weights: weights,
        non_trainable=non_trainable,
    )


def algorithm(non_trainable: models.NonTrainable = LOCAL) -> learning.LearningProcess:
    batches = learning.Batches(size=2, shuffle=False)
    return fed_avg(running_mean(non_trainable), client_optimizer=optax.sgd(0.0625), batches=batches)


def examples(*x: float) -> dict[str, Any]:
    return {"x": np.array(x, np.float32), "y": np.array(x, np.float32) / 2}


CLIENTS: dict[str, Any] = {"a": examples(1, 2, 3), "b": examples(5, 7), "c": examples(), "d": examples(4)}
ROUNDS = ("ab", "bd", "cab")


class Client:
    """One client of the algorithm, by NumPy."""

    def __init__(self) -> None:
        self.mean, self.seen = START, 0

    def train(self, slope: float, data: Mapping[str, Any]) -> float:
        for begin in range(0, len(data["x"]), 2):
            x, y = (data[name][begin : begin + 2].astype(np.float64) for name in "xy")
            centred = x - self.mean
            slope -= 0.0625 * np.mean(2 * (slope * centred - y) * centred)
            self.mean = 0.75 * self.mean + 0.25 * x.mean()
            self.seen += len(x)
        return slope


def trained(process: learning.LearningProcess, rounds: Any = ROUNDS) -> Any:
    state = process.initialize()
    for clients in rounds:
        state = process.next(state, {client: CLIENTS[client] for client in clients}).state
    return state


@RUNTIMES
def test_each_client_goes_on_with_its_own(make: Any):
    process = algorithm()
    with fd.use(make()):
        state = trained(process)
        measured = process.evaluate(state, {client: CLIENTS[client] for client in "dab"})
    clients, slope = {client: Client() for client in CLIENTS}, 0.5
    for chosen in ROUNDS:
        slopes = [clients[c].train(slope, CLIENTS[c]) for c in chosen]
        slope = np.average(slopes, weights=[len(CLIENTS[c]["x"]) for c in chosen])
    np.testing.assert_allclose(state.weights.trainable["slope"], slope, rtol=1e-5)
    for name, client in clients.items():
        found = process.weights(state, client=name)
        assert found.trainable == state.weights.trainable
        np.testing.assert_allclose(found.non_trainable["mean"], client.mean, rtol=1e-5)
        assert found.non_trainable["seen"] == client.seen
    losses = [(slope * (CLIENTS[c]["x"] - clients[c].mean) - CLIENTS[c]["y"]) ** 2 for c in ("d", "a", "b")]
    np.testing.assert_allclose(measured["loss"], np.concatenate(losses).mean(), rtol=1e-5)


def test_the_server_learns_nothing_of_them():
    state = trained(algorithm())
    assert state.weights.non_trainable == {"mean": np.float32(START), "seen": 0}


def test_a_new_client_begins_with_the_servers():
    process = algorithm()
    alone = algorithm(SERVERS)
    found = process.evaluate(trained(process, ["a"]), {"b": CLIENTS["b"]})
    expected = alone.evaluate(trained(alone, ["a"]), {"b": CLIENTS["b"]})
    assert found == expected


def test_ids_are_told_apart():
    process = algorithm()
    state = process.next(process.initialize(), {1: CLIENTS["a"]}).state
    state = process.next(state, {"1": CLIENTS["b"]}).state
    means = [process.weights(state, client=client).non_trainable["seen"] for client in (1, "1")]
    assert means == [3, 2]


@RUNTIMES
def test_a_client_whose_update_is_dropped_keeps_what_it_had(make: Any):
    process = algorithm()
    with fd.use(make()):
        state = process.next(process.initialize(), {"a": CLIENTS["a"]}).state
        step = process.next(state, {"a": examples(np.nan), "b": CLIENTS["b"]})
    assert step.result["dropped_clients"] == 1
    before, after = (process.weights(s, client="a").non_trainable for s in (state, step.state))
    assert before == after


def test_it_does_not_matter_where_a_run_was_stopped(tmp_path: Path):
    class Source:
        ids = tuple(CLIENTS)

        def cohort(self, ids: Any) -> Any:
            return cohort_of({i: CLIENTS[i] for i in ids}, fd.sequence({"x": "float32", "y": "float32"}))

    def run(rounds: int, folder: str) -> Any:
        return program.train(
            algorithm(), Source(), rounds=rounds, clients_per_round=2, into=tmp_path / folder
        ).state

    whole = run(6, "whole")
    run(3, "halves")
    halves = run(6, "halves")
    assert list(halves.client_work.clients) == list(whole.client_work.clients)
    for found, expected in zip(jax.tree.leaves(halves[:3]), jax.tree.leaves(whole[:3]), strict=True):
        np.testing.assert_array_equal(found, expected)
    for name, kept in whole.client_work.weights.items():
        np.testing.assert_array_equal(halves.client_work.weights[name], kept)


def test_what_clients_keep_is_at_clients_in_the_type_of_a_round():
    shown = str(algorithm().process.next.type)
    assert "{<data=<x=float32,y=float32>*,weights=<mean=float32,seen=int32>>}@CLIENTS" in shown
    assert "local={<mean=float32,seen=int32>}@CLIENTS" in shown


def test_nothing_of_them_crosses():
    up = [fd.explain(algorithm(choice).process.next, clients=10).bytes_up() for choice in (LOCAL, SERVERS)]
    assert up[0] == up[1]
    assert up[0]


def test_a_client_that_never_took_part_has_none(refused: Any):
    process = algorithm()
    state = trained(process, ["ab"])
    with refused(
        ArgumentError,
        """
        Client 'd' has no weights of its own
          found     those of 2 clients that took part in a round
          at        client, HERE
          hint      without a client, these are the server's weights, which clients begin with
        """,
    ):
        process.model_of(state, client="d")


def test_clients_of_other_models_have_none(refused: Any):
    process = algorithm(SERVERS)
    state = process.initialize()
    with refused(
        ArgumentError,
        """
        Clients keep no weights of this model for themselves
          found     client='a'
          expected  no client: the server's weights are everyone's
          at        client, HERE
          hint      NonTrainable.KEEP_LOCAL lets clients keep those that the model itself changes
        """,
    ):
        process.weights(state, client="a")
