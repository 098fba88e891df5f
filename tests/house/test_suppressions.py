# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The counter of suppressions, on small trees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COUNTER = Path(__file__).resolve().parents[2] / "tools" / "suppressions.py"
NONE = {"type: ignore": 0, "pyright: ignore": 0, "noqa": 0, "no cover": 0, "Any in signatures": 0}
SOURCE = """
from typing import Any
import typing

text = "# noqa"  # noqa: E501
x: Any = 1  # type: ignore[assignment]

def f(a: dict[str, Any], *rest: "list[Any]", **more: int) -> typing.Any:  # pragma: no cover
    return a  # pyright: ignore[reportReturnType]
"""
COUNTS = {"type: ignore": 1, "pyright: ignore": 1, "noqa": 1, "no cover": 1, "Any in signatures": 3}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in ("strict", "loose"):
        (tmp_path / "src" / package).mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.pyright]\nstrict = ["src/strict"]\n')
    (tmp_path / "src" / "strict" / "code.py").write_text(SOURCE)
    (tmp_path / "src" / "loose" / "code.py").write_text("def f(a: 'Any') -> 'Any': ...\n")
    return tmp_path


def count(tree: Path, limits: dict[str, int]) -> subprocess.CompletedProcess[str]:
    (tree / "tools" / "suppressions.json").write_text(json.dumps(limits))
    return subprocess.run([sys.executable, COUNTER, tree], capture_output=True, text=True, check=False)


def test_a_tree_at_its_limits_passes(tree: Path):
    done = count(tree, COUNTS)
    assert done.returncode == 0, done.stdout
    assert "below" not in done.stdout


def test_one_more_than_allowed_fails_and_is_shown(tree: Path):
    done = count(tree, COUNTS | {"noqa": 0})
    assert done.returncode == 1
    assert "noqa: 1 stand in the tree, 0 are allowed:\n  src/strict/code.py:5\n" in done.stdout
    assert "raise the limit in tools/suppressions.json on purpose" in done.stdout


def test_fewer_than_recorded_passes_and_asks_for_a_lower_limit(tree: Path):
    done = count(tree, COUNTS | {"no cover": 2})
    assert done.returncode == 0
    assert "Fewer than recorded: no cover." in done.stdout


def test_limits_name_every_kind(tree: Path):
    done = count(tree, {"noqa": 0})
    assert done.returncode == 1
    assert "must hold exactly these numbers" in done.stdout


def test_counts_are_exact(tree: Path):
    done = count(tree, NONE)
    counted = {line[:18].strip(): int(line[18:23]) for line in done.stdout.splitlines()[: len(NONE)]}
    assert counted == COUNTS
