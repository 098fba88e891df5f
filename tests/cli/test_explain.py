# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``foedus explain``: its forms, what it can be asked about, and its mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import foedus as fd
from foedus.cli._command import cli
from foedus.errors import ArgumentError, FoedusError, OutputError
from foedus.simulation import baselines

MODULE = """
import foedus as fd
from foedus.process import EstimationProcess, IterativeProcess, Output, Process

REGIONS = fd.tier("REGIONS")

@fd.computation(fd.at_clients(fd.float32))
def regional(x):
    return fd.federated_mean(fd.federated_sum(x, to=REGIONS))

@fd.computation
def nothing():
    return fd.federated_value((), fd.SERVER)

@fd.computation(fd.at_server(fd.to_type(())), fd.at_clients(fd.float32))
def step(state, x):
    return Output(state, fd.federated_sum(x), state)

@fd.computation(fd.at_server(fd.to_type(())), fd.at_clients(fd.float32))
def go_on(state, x):
    return state

@fd.computation(fd.at_server(fd.to_type(())))
def report(state):
    return state

adding = Process(nothing, step)
going_on = IterativeProcess(nothing, go_on)
estimating = EstimationProcess(nothing, go_on, report)

def make():
    return adding
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module to explain from, which is the current one."""
    (tmp_path / "explained_here.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "explained_here", raising=False)
    return tmp_path


def explained(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments])


def test_a_learning_algorithm_goes_by_its_own_name():
    done = explained("foedus.simulation.baselines.digits:training", "--clients", "100")
    assert done.exit_code == 0
    process = baselines.digits.training()
    lines = str(fd.explain(process.process.next, clients=100)).splitlines()
    assert done.output.splitlines() == ["fed_avg", *lines[1:]]
    assert "All 100 together: 5,483,200 bytes and 5,485,200 bytes." in lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("regional", "regional"),
        ("adding", "adding"),
        ("make", "make"),
        ("going_on", "going_on"),
        ("estimating", "estimating"),
    ],
)
def test_what_can_be_explained(name: str, shown: str, module: Path):
    done = explained(f"explained_here:{name}")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == shown


def test_json_goes_to_other_programs(module: Path):
    done = explained("explained_here:adding", "--format", "json", "--clients", "3")
    document = json.loads(done.output)
    assert document["name"] == "adding"
    assert document["crossings"][0]["bytes_in_all"] == 12


def test_tiers_are_counted(module: Path):
    done = explained("explained_here:regional", "--tier", "REGIONS=5", "--clients", "10", "--format", "json")
    assert [c["bytes_in_all"] for c in json.loads(done.output)["crossings"]] == [40, 20, 40]


@pytest.mark.parametrize(
    ("arguments", "name", "start"),
    [
        (["--output", "flow.html"], "flow.html", "<!DOCTYPE html>\n"),
        (["--output", "flow.json"], "flow.json", "{\n"),
        (["--output", "flow.txt"], "flow.txt", "regional\n"),
        (["--output", "flow", "--format", "html"], "flow", "<!DOCTYPE html>\n"),
        (["--output", "flow.html", "--format", "text"], "flow.html", "regional\n"),
    ],
)
def test_it_is_written_to_a_file(arguments: list[str], name: str, start: str, module: Path):
    done = explained("explained_here:regional", *arguments)
    assert done.output == f"Written to {name}.\n"
    text = (module / name).read_text(encoding="utf-8")
    assert text.startswith(start)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize(
    ("arguments", "sort", "message"),
    [
        (["--tier", "REGIONS"], ArgumentError, "This is no number of members"),
        (["--tier", "REGIONS=-1"], ArgumentError, "This is no number of members"),
        (
            ["--tier", "DISTRICTS=3"],
            ArgumentError,
            "The computation has no tier 'DISTRICTS'\n  expected  REGIONS",
        ),
        (["--output", "nowhere/flow.html"], OutputError, "The explanation cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told(arguments: list[str], sort: type[FoedusError], message: str, module: Path):
    done = explained("explained_here:regional", *arguments)
    assert type(done.exception) is sort
    assert str(done.exception).startswith(message)


def test_a_negative_number_of_clients_is_refused(module: Path):
    done = explained("explained_here:regional", "--clients", "-1")
    assert done.exit_code == 2
    assert "-1 is not in the range x>=0" in done.output
