# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The table of kinds: loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from foedus.errors import ArgumentError
from foedus.foreign import Nature, _table, kind


def test_a_kind_is_made_once():
    assert kind("jax") is kind("jax")


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        ArgumentError, match=r"^There is no such kind of local code\n  found     torch7\n  expected  jax"
    ):
        kind("torch7")


def test_a_framework_is_imported_with_its_kind_and_not_before():
    program = (
        "import sys, foedus, foedus.foreign;"
        "before = 'jax' in sys.modules; foedus.foreign.kind('jax');"
        "print(before, 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_missing_framework_is_named_with_what_brings_it():
    program = (
        "import sys; sys.modules['jax'] = None\n"
        "import foedus.foreign, foedus.errors\n"
        "try:\n    foedus.foreign.kind('jax')\n"
        "except foedus.errors.MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == (
        "Local code of the kind 'jax' needs a package that is not installed"
    )
    assert done.stdout.splitlines()[-1] == '  hint      pip install "foedus"'


def test_what_is_to_be_installed_exists():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    offered = {project["name"]} | {
        f"{project['name']}[{extra}]" for extra in project["optional-dependencies"]
    }
    assert {requirement for _, requirement in _table._MODULES.values()} <= offered


@pytest.mark.parametrize(
    ("name", "nature"), [("jax", Nature.TRACED), ("numpy", Nature.HOST), ("stablehlo", Nature.LOADED)]
)
def test_a_kind_says_what_its_code_is(name: str, nature: Nature):
    assert kind(name).nature is nature
