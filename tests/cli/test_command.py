# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: what it prints, what it leaves, and its exit codes."""

import csv
import os
import subprocess
import sys

import pytest

import foedus as fd
from foedus.simulation import baselines, datasets


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "foedus", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    "verb", [[], ["demo"], ["data"], ["data", "list"], ["data", "info"], ["explain"]], ids=" ".join
)
def test_help_says_what_a_verb_does(verb, tmp_path):
    done = command(*verb, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


def test_demo_leaves_checkpoints_a_table_and_a_drawing(tmp_path):
    done = command("demo", "--rounds", "2", "--clients", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Accuracy on two writing forms that were never trained on: 0." in done.stdout
    assert "round 2/2: loss" in done.stderr
    run = tmp_path / "runs" / "demo"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["round_000002.foedus"]
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["1", "2"]
    assert float(rows[1]["evaluation/accuracy"]) > 0
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    again = command("demo", "--rounds", "3", "--clients", "3", cwd=tmp_path)
    assert "going on after round 2" in again.stderr


def test_data_list_and_info(tmp_path):
    listed = command("data", "list", cwd=tmp_path)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["digits", "emnist"]
    told = command("data", "info", "digits", cwd=tmp_path)
    assert "12 clients, 1,545 examples" in told.stdout
    assert "<label=int32,pixels=float32[8,8]>" in told.stdout


def test_explain_prints_the_demos_computation_as_the_reference_logs_it(tmp_path):
    """The type, and the table of crossings with bytes a client, equal to what crosses in a run."""
    done = command("explain", "foedus.simulation.baselines.digits:training", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    process = baselines.digits.training().process
    explanation = fd.explain(process.next)
    assert done.stdout.splitlines() == ["fed_avg", *str(explanation).splitlines()[1:]]
    assert str(process.next.type) in done.stdout
    state = process.state_type
    assert isinstance(state, fd.types.Struct)
    weights = state.fields[0][1]
    expected = 4 * 13_706
    assert fd.explain(process.next).crossings[0].type == weights
    assert fd.explain(process.next).crossings[0].bytes_per_client == expected
    data = datasets.digits.load().train.take(3)
    reference = fd.runtime.reference()
    with fd.use(reference):
        process.next(baselines.digits.training().initialize(0), data.cohort(data.ids[:2]))
    assert reference.crossings == explanation.crossings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "info", "digit"], "did you mean 'digits'?"),
        (["explain", "nowhere:nothing"], "There is no module 'nowhere'"),
        (["explain", "foedus"], "expected  MODULE:NAME"),
        (["explain", "foedus.types:float32"], "This is no computation"),
        (["explain", "foedus.types:float33"], "has no 'float33'"),
        (["demo", "--clients", "13"], "13"),
        (["demo", "--data", "letters"], "'letters' is not one of 'digits', 'emnist'"),
        (["demo", "--into", "/dev/null/here"], "/dev/null"),
        (["train"], "No such command 'train'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_mistake_ends_with_2_and_a_message(arguments, message, tmp_path):
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_ends_with_1(tmp_path):
    (tmp_path / "emnist_all.sqlite").write_bytes(b"no database")
    done = subprocess.run(
        [sys.executable, "-m", "foedus", "data", "info", "emnist"],
        cwd=tmp_path,
        env=os.environ | {"FOEDUS_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "emnist_all.sqlite" in done.stderr
