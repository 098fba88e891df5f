# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The floor under branch coverage, on reports made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTER = ROOT / "tools" / "branches.py"


def counted(**branches: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    """The answer for a report of the packages of the tree, with some numbers of branches, else ten of ten."""
    packages = [path.parent.name for path in (ROOT / "src" / "foedus").glob("*/__init__.py")]
    files = {
        f"src/foedus/{package}/_code.py": {"summary": {"covered_branches": taken, "num_branches": known}}
        for package, (taken, known) in {**dict.fromkeys(packages, (10, 10)), **branches}.items()
    }
    files["src/foedus/__main__.py"] = {"summary": {"covered_branches": 0, "num_branches": 2}}
    return answer(files)


def answer(files: object) -> subprocess.CompletedProcess[str]:
    report = json.dumps({"files": files})
    return subprocess.run([sys.executable, COUNTER], input=report, capture_output=True, text=True)


def test_packages_up_to_the_language_take_nearly_all_their_branches():
    found = counted(ir=(97, 100), lang=(0, 0), runtime=(1, 2))
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert {
        "foedus           0 of     2 branches    0.00 %",
        "ir              97 of   100 branches   97.00 %",
        "lang             0 of     0 branches  100.00 %",
        "runtime          1 of     2 branches   50.00 %",
        "types           10 of    10 branches  100.00 %",
    } <= set(lines)


def test_those_that_take_too_few_are_named():
    found = counted(ir=(96, 100), types=(9, 10), wire=(100, 100))
    assert (found.returncode, found.stderr) == (1, "Less than 97.0 % of the branches: ir, types\n")


def test_those_that_were_not_measured_are_named():
    assert answer({}).stderr.endswith(": errors, types, intrinsics, ir, foreign, data, passes, wire, lang\n")
