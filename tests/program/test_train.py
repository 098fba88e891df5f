# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Training: rounds, evaluation, and going on after whatever happened."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foedus import types, wire
from foedus.errors import ArgumentError, OutputError, TypeMismatchError
from foedus.program import (
    Record,
    in_memory,
    no_progress,
    progress_lines,
    read_checkpoint,
    sample_uniform,
    train,
)

ROUNDS = 12


def run(process: Any, clients: Any, **changed: Any) -> Any:
    options: dict[str, Any] = {
        "rounds": ROUNDS,
        "clients_per_round": 3,
        "evaluate": clients,
        "evaluate_every": 5,
        "seed": 4,
        "checkpoint_every": 3,
        "progress": no_progress(),
    }
    return train(process, clients, **(options | changed))


def bits(process: Any, state: Any) -> bytes:
    return wire.encode_value(state, process.state_type)


def timeless(history: list[Record]) -> list[Record]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def rounds_in(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [row["round"] for row in csv.DictReader(file)]


@pytest.fixture
def straight(walk: Any, clients: Any) -> Any:
    """The run that nothing disturbed."""
    return run(walk(), clients)


def same(process: Any, one: Any, two: Any) -> bool:
    return bits(process, one.state) == bits(process, two.state) and timeless(one.history) == timeless(
        two.history
    )


# ------------------------------------------------------------------ rounds


def test_every_round_has_its_sample(process: Any, clients: Any):
    run(process, clients)
    assert process.seen == [sample_uniform(clients.ids, 3, seed=4, round=n) for n in range(1, ROUNDS + 1)]


def test_the_history(process: Any, clients: Any):
    history = run(process, clients).history
    assert [record["round"] for record in history] == list(range(1, ROUNDS + 1))
    names = list(history[0])
    assert (names[0], names[-1]) == ("round", "seconds")
    assert set(names[1:-1]) == {"train/loss", "train/accuracy", "measurements/clients/count"}
    evaluated = [record["round"] for record in history if "evaluation/loss" in record]
    assert evaluated == [5, 10, 12]
    assert all(type(value) in (int, float) for record in history for value in record.values())


def test_seeds_matter(process: Any, clients: Any, straight: Any):
    assert not same(process, run(process, clients, seed=5), straight)


def test_evaluation_on_some_clients_is_on_the_same_ones(process: Any, clients: Any):
    seen = []
    evaluate = process.evaluate
    process.evaluate = lambda state, cohort: seen.append(cohort.ids) or evaluate(state, cohort)
    run(process, clients, evaluation_clients=2)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert len(seen[0]) == 2
    run(process, clients)
    assert seen[-1] == clients.ids


def test_without_evaluation(process: Any, clients: Any):
    history = run(process, clients, evaluate=None).history
    assert not any(name.startswith("evaluation") for record in history for name in record)


def test_releases_get_every_record(process: Any, clients: Any):
    memory = in_memory()
    assert run(process, clients, releases=[memory]).history == memory.records


def test_a_loss_that_is_not_finite_is_said(process: Any, clients: Any, capsys: pytest.CaptureFixture[str]):
    clients.values = dict.fromkeys(clients.values, np.full(3, np.nan, np.float32))
    run(process, clients, rounds=3, evaluate=None, progress=progress_lines())
    assert capsys.readouterr().err == "round 3/3: loss nan, accuracy nan, not finite since round 1\n"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"clients_per_round": 0},
            "There would be zero clients in a round\n  found     0\n  expected  1 to 8",
        ),
        ({"clients_per_round": 9}, "There cannot be more clients in a round than there are in all\n"),
        ({"evaluation_clients": 0}, "There would be zero clients in a round"),
        ({"rounds": 0}, "rounds must be positive\n  found     0\n  expected  1 or more"),
        ({"evaluate_every": 0}, "evaluate_every must be positive"),
        ({"checkpoint_every": -1}, "checkpoint_every must be positive"),
        ({"keep": 0}, "keep must be positive"),
        ({"seed": 0.5}, "seed must be a whole number\n  found     0.5"),
        ({"rounds": "3"}, "rounds must be a whole number\n  found     '3'"),
    ],
)
def test_bad_arguments(process: Any, clients: Any, tmp_path: Path, changed: dict[str, Any], message: str):
    with pytest.raises(ArgumentError) as caught:
        run(process, clients, into=tmp_path / "run", **changed)
    assert str(caught.value).startswith(message)
    assert "test_train.py:" in str(caught.value.at)
    assert not (tmp_path / "run").exists()


def test_no_clients(process: Any, clients: Any):
    clients.values = {}
    with pytest.raises(ArgumentError, match="There are no clients to draw from"):
        run(process, clients)


def test_a_state_of_another_type_is_found_before_the_first_round(process: Any, clients: Any, tmp_path: Path):
    process.state_type = types.struct(w=types.tensor("float32", (4,)), key=types.KEY, round=types.int32)
    with pytest.raises(TypeMismatchError, match=r"Wrong shape in the value to write"):
        run(process, clients, into=tmp_path)
    assert process.seen == []


# ------------------------------------------------------------------ going on


def test_a_folder_changes_nothing(process: Any, clients: Any, straight: Any, tmp_path: Path):
    assert same(process, run(process, clients, into=tmp_path), straight)


@pytest.mark.parametrize("stop", [1, 2, 3, 7, 11])
def test_fewer_rounds_first(walk: Any, clients: Any, straight: Any, tmp_path: Path, stop: int):
    first = run(walk(), clients, into=tmp_path, rounds=stop, evaluate=None)
    assert first.rounds == stop
    process = walk()
    second = run(process, clients, into=tmp_path)
    assert len(process.seen) == ROUNDS - stop
    assert bits(process, second.state) == bits(process, straight.state)
    assert second.history[:stop] == first.history
    assert timeless(second.history[stop:]) == timeless(straight.history[stop:])
    assert rounds_in(tmp_path / "metrics.csv") == [str(n) for n in range(1, ROUNDS + 1)]


def test_a_finished_run_comes_back_as_it_was(walk: Any, clients: Any, tmp_path: Path):
    first = run(walk(), clients, into=tmp_path)
    table = (tmp_path / "metrics.csv").read_bytes()
    process = walk()
    second = run(process, clients, into=tmp_path)
    assert process.seen == []
    assert second.history == first.history
    assert bits(process, second.state) == bits(process, first.state)
    assert (tmp_path / "metrics.csv").read_bytes() == table


def test_fewer_rounds_than_there_are(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, into=tmp_path)
    with pytest.raises(ArgumentError) as caught:
        run(process, clients, into=tmp_path, rounds=11)
    lines = [line for line in str(caught.value).splitlines() if not line.startswith("  at ")]
    assert lines == [
        "The run in this folder has more rounds already",
        "  found     rounds=11",
        "  expected  12 or more",
        "  hint      ask for more rounds, or give this run a folder of its own",
    ]


CHILD = """
import runpy, sys
from foedus.program import no_progress, train
names = runpy.run_path(sys.argv[1])
clients = names["some_clients"]()
process = names["RandomWalk"](before=names["kill_before"](int(sys.argv[3])))
train(process, clients, rounds=12, clients_per_round=3, evaluate=clients, evaluate_every=5, seed=4,
      checkpoint_every=3, into=sys.argv[2], progress=no_progress())
"""


@pytest.mark.parametrize(("killed", "kept"), [(2, 0), (9, 6)])
def test_a_killed_run(walk: Any, clients: Any, straight: Any, tmp_path: Path, killed: int, kept: int):
    conftest = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", CHILD, str(conftest), str(tmp_path), str(killed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert rounds_in(tmp_path / "metrics.csv") == [str(n) for n in range(1, killed)]
    process = walk()
    assert same(process, run(process, clients, into=tmp_path), straight)
    assert len(process.seen) == ROUNDS - kept
    assert rounds_in(tmp_path / "metrics.csv") == [str(n) for n in range(1, ROUNDS + 1)]


def test_an_interrupt_keeps_the_last_finished_round(walk: Any, clients: Any, straight: Any, tmp_path: Path):
    def interrupt(number: int) -> None:
        if number == 9:
            raise KeyboardInterrupt

    closed: list[str] = []
    release = in_memory()
    release.close = lambda: closed.append("closed")
    with pytest.raises(KeyboardInterrupt):
        run(walk(before=interrupt), clients, into=tmp_path, releases=[release])
    assert closed == ["closed"]
    assert read_checkpoint(tmp_path, walk.state_type).round == 8
    process = walk()
    assert same(process, run(process, clients, into=tmp_path), straight)
    assert len(process.seen) == 4


def test_an_interrupt_while_a_record_is_released(walk: Any, clients: Any, straight: Any, tmp_path: Path):
    release = in_memory()
    take = release.release

    def interrupt(record: Record) -> None:
        take(record)
        if record["round"] == 7:
            raise KeyboardInterrupt

    release.release = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(walk(), clients, into=tmp_path, releases=[release])
    assert read_checkpoint(tmp_path, walk.state_type).round == 7
    process = walk()
    assert same(process, run(process, clients, into=tmp_path), straight)


def test_an_interrupt_in_the_first_round(walk: Any, clients: Any, tmp_path: Path):
    def interrupt(number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(walk(before=interrupt), clients, into=tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_an_error_in_a_round_keeps_the_last_finished_round(walk: Any, clients: Any, tmp_path: Path):
    def fail(number: int) -> None:
        if number == 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(walk(before=fail), clients, into=tmp_path)
    assert read_checkpoint(tmp_path, walk.state_type).round == 5


def test_broken_checkpoints_are_passed_over(
    walk: Any, clients: Any, straight: Any, tmp_path: Path, capsys: Any
):
    run(walk(), clients, into=tmp_path)
    newest = tmp_path / "checkpoints" / "round_000012.foedus"
    newest.write_bytes(newest.read_bytes()[:-5])
    process = walk()
    again = run(process, clients, into=tmp_path, progress=progress_lines())
    assert len(process.seen) == 3
    assert same(process, again, straight)
    assert capsys.readouterr().err.splitlines()[0] == "going on after round 9, the newest good checkpoint"
    assert (tmp_path / "checkpoints" / "round_000012.foedus.broken").exists()


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_good_one(
    walk: Any, clients: Any, straight: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    in_the_way = tmp_path / "checkpoints" / "round_000006.foedus.tmp"

    def obstruct(number: int) -> None:
        if number == 5:
            in_the_way.mkdir()

    with pytest.raises(OutputError, match=r"round_000006\.foedus cannot be written"):
        run(walk(before=obstruct), clients, into=tmp_path)
    assert caplog.messages[0].startswith("The state after round 6 could not be stored: ")
    assert read_checkpoint(tmp_path, walk.state_type).round == 3
    in_the_way.rmdir()
    process = walk()
    assert same(process, run(process, clients, into=tmp_path), straight)


def test_old_checkpoints_go(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, into=tmp_path, keep=2)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["round_000009.foedus", "round_000012.foedus"]
