# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``foedus demo``."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from foedus import program
from foedus.learning import LearningProcess
from foedus.simulation import Splits, baselines, datasets


@dataclass(frozen=True)
class _Demo:
    """What is trained on a data set.

    Args:
        rounds: Rounds, unless said otherwise.
        clients: Clients a round, unless said otherwise.
        evaluate_every: Rounds between evaluations.
        into: The folder, unless said otherwise.
        unseen: What the evaluation is on.
    """

    rounds: int
    clients: int
    evaluate_every: int
    into: str
    unseen: str


_DEMOS = {
    "digits": _Demo(60, 6, 5, "runs/demo", "two writing forms that were never trained on"),
    "emnist": _Demo(100, 30, 10, "runs/demo-emnist", "unseen digits of the writers"),
}


def _load(data: str) -> tuple[Splits, LearningProcess]:
    if data == "digits":
        return datasets.digits.load(), baselines.digits.training()
    splits = datasets.emnist.load()
    return Splits(splits.train.in_memory(), splits.test.in_memory()), baselines.emnist.training()


def run_demo(data: str, *, rounds: int | None, clients: int | None, seed: int, into: str | None) -> None:
    """Trains, and says what came of it.

    Args:
        data: A key of the demos.
        rounds: Rounds of training, None for the usual number.
        clients: Clients a round, None for the usual number.
        seed: What all randomness is derived from.
        into: The folder for what is left, None for the usual one.
    """
    started = time.perf_counter()
    demo = _DEMOS[data]
    splits, process = _load(data)
    click.echo(f"Federated averaging on {data}: {len(splits.train.ids)} clients.")
    run = program.train(
        process,
        splits.train,
        rounds=rounds or demo.rounds,
        clients_per_round=clients or min(demo.clients, len(splits.train.ids)),
        evaluate=splits.test,
        evaluate_every=demo.evaluate_every,
        seed=seed,
        into=into or demo.into,
    )
    accuracy = run.column("evaluation/accuracy")[-1]
    assert run.into is not None
    curves = run.plot(run.into / "curves.png")
    click.echo(f"Accuracy on {demo.unseen}: {accuracy:.3f} after {run.rounds} rounds.")
    click.echo(f"In {run.into}: checkpoints/, metrics.csv, {curves.name}.")
    click.echo(f"{time.perf_counter() - started:.1f} seconds.")
