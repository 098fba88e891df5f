# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: whose it is, and who may write there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from foedus import types
from foedus.errors import ArgumentError, CorruptDataError, OutputError
from foedus.program import no_progress, train


def run(process: Any, clients: Any, into: Path | str, **changed: Any) -> Any:
    options: dict[str, Any] = {"rounds": 2, "clients_per_round": 3, "seed": 1, "progress": no_progress()}
    return train(process, clients, into=into, **(options | changed))


def text(error: BaseException) -> str:
    return "\n".join(line for line in str(error).splitlines() if not line.startswith("  at "))


def test_what_a_run_leaves(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path / "deep" / "run")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [
        "deep/run/checkpoints/round_000002.foedus",
        "deep/run/lock",
        "deep/run/metrics.csv",
        "deep/run/run.json",
    ]
    recorded = json.loads((tmp_path / "deep/run/run.json").read_text())
    assert list(recorded) == ["seed", "clients_per_round", "state_type", "process", "clients"]
    assert recorded["state_type"] == "<w=float32[3],key=uint32[2],round=int32>"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"seed": 2},
            "{into} holds a run with another seed\n  found     2 now\n  expected  1, as when the run began\n",
        ),
        (
            {"clients_per_round": 4},
            "{into} holds a run with another number of clients in a round\n"
            "  found     4 now\n  expected  3, as when the run began\n",
        ),
    ],
)
def test_another_run_in_the_folder(
    process: Any, clients: Any, tmp_path: Path, changed: dict[str, Any], message: str
):
    run(process, clients, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ArgumentError) as caught:
        run(process, clients, tmp_path, **changed)
    hint = "  hint      go on with what the run began with, or give this one a folder of its own"
    assert text(caught.value) == message.format(into=tmp_path) + hint
    assert caught.value.at is not None
    assert caught.value.at.startswith("test_folder.py:")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_another_state_in_the_folder(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    process.state_type = types.struct(w=types.tensor("float32", (4,)), key=types.KEY, round=types.int32)
    with pytest.raises(ArgumentError) as caught:
        run(process, clients, tmp_path)
    assert text(caught.value).splitlines()[:3] == [
        f"{tmp_path} holds a run with another type of the state",
        "  found     float32[4] now",
        "  expected  float32[3], as when the run began",
    ]
    assert caught.value.at is not None
    assert caught.value.at.startswith(".w of the state, test_folder.py:")


def test_a_state_that_the_recorded_one_can_be_used_as(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    process.state_type = types.struct(w=types.tensor("float32", (None,)), key=types.KEY, round=types.int32)
    assert run(process, clients, tmp_path, rounds=3).rounds == 3
    assert len(process.seen) == 3


def test_a_recorded_state_that_is_no_type(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace("w=float32[3]", "w=float31[3]"))
    with pytest.raises(ArgumentError, match="holds a run with another type of the state"):
        run(process, clients, tmp_path)


def test_another_process_in_the_folder(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    process.fingerprint = "sgd(0.1)"
    with pytest.raises(ArgumentError, match=r"holds a run with another process\n  found     sgd\(0.1\) now"):
        run(process, clients, tmp_path)


def test_other_clients_in_the_folder(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    clients.values["one more"] = clients.values["client 0"]
    with pytest.raises(
        ArgumentError, match="holds a run with another set of clients\n  found     9 clients, "
    ):
        run(process, clients, tmp_path)


@pytest.mark.parametrize("recorded", ["", "[]", '{"seed": 1}', "\x80"])
def test_a_folder_that_does_not_say_what_it_holds(process: Any, clients: Any, tmp_path: Path, recorded: str):
    (tmp_path / "run.json").write_bytes(recorded.encode("latin-1"))
    with pytest.raises(CorruptDataError) as caught:
        run(process, clients, tmp_path)
    assert caught.value.headline == f"{tmp_path / 'run.json'} does not say which run this is"


def test_checkpoints_of_nobody(process: Any, clients: Any, tmp_path: Path):
    run(process, clients, tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(CorruptDataError, match="no such file, but checkpoints beside it"):
        run(process, clients, tmp_path)


# ------------------------------------------------------------------ where nothing can be written


def refuse(process: Any, clients: Any, into: Path | str) -> OutputError:
    with pytest.raises(OutputError) as caught:
        run(process, clients, into)
    assert process.seen == []
    return caught.value


def test_a_file_in_the_way(process: Any, clients: Any, tmp_path: Path):
    (tmp_path / "run").write_text("mine")
    error = refuse(process, clients, tmp_path / "run")
    assert text(error) == (
        f"{tmp_path / 'run'} cannot be written\n"
        "  found     File exists\n"
        "  hint      choose another folder, or move away the file that is in its way"
    )
    assert (tmp_path / "run").read_text() == "mine"
    assert "Not a directory" in text(refuse(process, clients, tmp_path / "run" / "deeper"))


@pytest.mark.parametrize("name", ["checkpoints", "run.json", "metrics.csv", "lock"])
def test_something_in_the_way_inside(process: Any, clients: Any, tmp_path: Path, name: str):
    (tmp_path / name).write_text("") if name == "checkpoints" else (tmp_path / name).mkdir()
    assert f"{tmp_path / name} cannot be written" in text(refuse(process, clients, tmp_path))


def test_where_the_system_allows_nothing(process: Any, clients: Any):
    error = refuse(process, clients, "/proc/foedus/run")
    assert error.headline == "/proc/foedus/run cannot be written"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere"
)
def test_a_folder_of_somebody_else(process: Any, clients: Any, tmp_path: Path):
    tmp_path.chmod(0o500)
    assert "choose a folder that you may write to" in text(refuse(process, clients, tmp_path))


def test_two_runs_at_once(walk: Any, clients: Any, tmp_path: Path):
    caught: list[str] = []

    def meddle(number: int) -> None:
        with pytest.raises(OutputError) as error:
            run(walk(), clients, tmp_path)
        caught.append(text(error.value))

    run(walk(before=meddle), clients, tmp_path, rounds=1)
    assert caught == [
        f"Another run is writing into {tmp_path}\n"
        f"  found     process {os.getpid()} holds its lock\n"
        "  hint      wait for it, stop it, or choose another folder"
    ]
    run(walk(), clients, tmp_path)
