# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The table of kinds: loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foedus.errors import ArgumentError
from foedus.foreign import kind


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
    assert done.stdout.splitlines()[-1] == '  hint      pip install "foedus[jax]"'
