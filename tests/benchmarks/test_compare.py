# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison with peers, on peers that only pretend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPARE = Path(__file__).resolve().parents[2] / "benchmarks" / "compare.py"
WORKS = """
import json, pathlib, sys
ran = pathlib.Path(__file__).with_suffix(".ran")
times = len(ran.read_text()) if ran.exists() else 0
ran.write_text("x" * (times + 1))
print("words before the result")
print(json.dumps({"seconds_per_round": 0.5 + times, "first_round_s": 7.25, "weights": __file__}))
"""
RAISES = """
import sys
print("a warning", file=sys.stderr)
raise OSError(f"{__file__} is broken")
"""
SAYS_NOTHING = 'print("{not JSON"); print(123); print({})'
IS_KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder with empty data, environments of peers, and their scripts; some of either are missing."""
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "peers").mkdir()
    for environment in ("tff", "pfl", "drjax", "fedjax"):
        folder = tmp_path / "home" / "envs" / environment / "bin"
        folder.mkdir(parents=True)
        (folder / "python").symlink_to(sys.executable)
    scripts = {"tff": WORKS, "flower": WORKS, "pfl_": RAISES, "drjax_": IS_KILLED, "fedjax_": SAYS_NOTHING}
    for script, text in scripts.items():
        (tmp_path / "peers" / f"{script}.py").write_text(text)
    return tmp_path


def compare(bench: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            str(COMPARE),
            "--workloads=W1",
            "--only=tff,pfl,drjax,fedjax-exact,flower,torch-loop",
            f"--output={bench / 'page.md'}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BENCH_HOME": str(bench / "home"), "BENCH_PEERS": str(bench / "peers")},
    )


def lines_of(bench: Path) -> list[str]:
    return (bench / "page.md").read_text(encoding="utf-8").splitlines()


def test_the_page_has_what_was_measured_and_names_what_failed_or_is_missing(bench: Path):
    compare(bench, "--repeats=3", "--rounds=2")
    page = lines_of(bench)
    (row,) = (line for line in page if "TFF, dataset reduce" in line)
    assert row.startswith("| TFF, dataset reduce (its default) | 1.5 | 0.5 to 2.5 | – | 7.25 |")
    assert row.endswith(" | – | 3 |")
    assert "- pfl, PyTorch failed: ended with 1: OSError: BENCH_PEERS/pfl_.py is broken" in page
    (killed,) = (line for line in page if line.startswith("- DrJAX, FedAvg by hand failed: "))
    assert killed.startswith("- DrJAX, FedAvg by hand failed: killed by SIGKILL: ")
    unclear = "- FedJAX, exact last batch failed: its result is not understood: KeyError: 'seconds_per_round'"
    assert unclear in page
    assert "- Flower, Ray back end: there is no environment flower" in page
    assert "- hand-written PyTorch loop: there is no script torch_limit.py" in page
    assert "2 rounds a run." in page


def test_nothing_of_this_machine_is_kept(bench: Path):
    compare(bench, "--repeats=1")
    kept = (bench / "page.jsonl").read_text(encoding="utf-8")
    assert all(json.loads(line) for line in kept.splitlines())
    assert str(bench) not in kept
    assert str(bench) not in (bench / "page.md").read_text(encoding="utf-8")


def test_a_comparison_goes_on_where_it_stopped(bench: Path):
    ran = bench / "peers" / "tff.ran"
    compare(bench, "--repeats=1", "--rounds=2")
    compare(bench, "--repeats=2", "--rounds=2", "--resume")
    assert ran.read_text() == "xx"
    compare(bench, "--repeats=1", "--rounds=3", "--resume")
    assert ran.read_text() == "xxx"
    compare(bench, "--repeats=1")
    assert ran.read_text() == "xxxx"


def test_a_page_is_written_anew_without_measuring(bench: Path):
    compare(bench, "--repeats=1")
    before = lines_of(bench)
    (bench / "page.md").unlink()
    compare(bench, "--from-json")
    assert lines_of(bench) == before
    assert (bench / "peers" / "tff.ran").read_text() == "x"


def test_peers_are_compared_with_ours(bench: Path):
    def run(name: str, seconds: float, **more: object) -> str:
        result = {"seconds_per_round": seconds, "first_round_s": 2, "microseconds_per_example": seconds}
        record = {"name": name, "label": name, "exact": name != "fedjax", "workload": "W1", "rounds": 5}
        return json.dumps({**record, "tree_mb": 1234, "tree_anonymous_mb": 0, "result": result, **more})

    runs = [
        run("foedus", 0.02),
        run("tff", 0.06, distance=2e-7),
        run("fedjax", 0.01, distance=0.01),
        run("foedus", 0.0225),
        run("tff", 9.0, rounds=1),
        run("tff", 0.0675, distance=3e-7),
    ]
    (bench / "page.jsonl").write_text("\n".join(runs), encoding="utf-8")
    compare(bench, "--from-json")
    page = lines_of(bench)
    rows = [
        "| fedjax | 0.01 | 0.01 to 0.01 | 0.4706 | 2 | 1,234 | – | 1.0e-02 (other work) | 1 |",
        "| foedus | 0.02125 | 0.02 to 0.0225 | 1 | 2 | 1,234 | – | 0 | 2 |",
        "| tff | 0.06375 | 0.06 to 0.0675 | 3 | 2 | 1,234 | – | 3.0e-07 | 2 |",
    ]
    start = page.index(rows[0])
    assert page[start : start + 3] == rows


def test_without_data_nothing_is_measured(bench: Path):
    (bench / "home" / "data").rmdir()
    assert "no workloads" in compare(bench).stderr
    assert not (bench / "page.md").exists()
