# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The programs in the README run, and do what it says."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(source):
        path = tmp_path / "program.py"
        path.write_text(source, encoding="utf-8")
        names = {"__name__": "program"}
        exec(compile(source, str(path), "exec"), names)
        return names

    return run


def test_the_language_in_ten_lines(run, capsys):
    program = PROGRAMS[0]
    assert len(program.strip().splitlines()) <= 10
    run(program)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "0.6666667"
    assert printed[1] == "(<readings={float32}@CLIENTS,threshold=float32@SERVER> -> float32@SERVER)"
    crossings = [line.split() for line in printed if line.strip().startswith(("SERVER", "CLIENTS"))]
    assert [(line[0], line[1], line[4]) for line in crossings] == [
        ("SERVER", "CLIENTS", "float32"),
        ("CLIENTS", "SERVER", "float32"),
        ("CLIENTS", "SERVER", "int64"),
    ]


def test_learning_in_twenty(run, tmp_path):
    program = PROGRAMS[1]
    assert len([line for line in program.splitlines() if line.strip()]) <= 21
    names = run(program)
    assert names["run"].column("evaluation/accuracy")[-1] > 0.8
    assert {name: array.shape for name, array in names["weights"].trainable.items()} == {
        "bias": (64,),
        "hidden": (64, 64),
        "output": (64, 10),
    }
    assert (tmp_path / "runs/digits/curves.png").stat().st_size > 10_000


def test_who_sees_what(run, tmp_path, capsys):
    names = run(PROGRAMS[2])
    assert capsys.readouterr().out.splitlines() == ["12", "plain sum 400"]
    assert (names["count"]["type"], names["count"]["bytes_in_all"]) == ("int64", 800)
    page = (tmp_path / "flow.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<script" not in page


def test_a_state_from_step_to_step(run, capsys):
    names = run(PROGRAMS[3])
    assert capsys.readouterr().out.splitlines() == ["1.0", "6.0", "4.0"]
    assert str(names["both"].state_type) == "<halves=<scale=float32,average=float32>,plain=float32>"


def test_every_command_of_the_readme_exists():
    from click.testing import CliRunner

    from foedus.cli._command import cli

    commands = re.findall(r"^    foedus ([a-z ]+)", README, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        words = [word for word in command.split() if word not in ("digits",)]
        assert CliRunner().invoke(cli, [*words, "--help"]).exit_code == 0, command
