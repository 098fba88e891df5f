# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs for TFF in processes of their own: Keras is on TensorFlow there, and on JAX here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foedus.simulation import save_sql
from foedus.simulation.datasets import emnist

Run = Callable[..., list[str]]


@pytest.fixture(scope="session")
def emnist_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a drawn ``emnist_all.sqlite``."""
    folder = tmp_path_factory.mktemp("emnist")
    drawn = emnist.synthetic()
    save_sql(folder / "emnist_all.sqlite", {"digits_only_train": drawn.train, "digits_only_test": drawn.test})
    return folder


def run_program(path: Path, data: Path, *arguments: str) -> list[str]:
    """The lines that a program prints, given a folder with data and perhaps arguments."""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"FOEDUS_DATA_DIR": str(data), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(path), *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


def facts_of(path: Path, data: Path, *arguments: str) -> dict[str, Any]:
    """What a program prints on its last line, as JSON."""
    return json.loads(run_program(path, data, *arguments)[-1])
