# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled programs on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from foedus.runtime._disk import folder_of

PROGRAM = """
import jax, foedus as fd
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if
event.endswith("cache_hits") else None)

@fd.computation(fd.at_clients(fd.types.sequence(fd.float32)))
def mean_of_sums(x):
    return fd.federated_mean(fd.federated_map(lambda s: s.fold(lambda a, v: a + v * v, 0.0), x))

print(float(mean_of_sums([[1.0, 2.0], [3.0]])), bool(hits))
"""


def run(folder: str, *options: str, **more: str) -> list[str]:
    environment = {**os.environ, "FOEDUS_CACHE_DIR": folder, **more}
    command = [sys.executable, *options, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.split()


def test_another_process_need_not_compile_again(tmp_path: Path):
    assert run(str(tmp_path)) == ["7.0", "False"]
    assert list(tmp_path.rglob("*-cache"))
    assert run(str(tmp_path), "-W", "error") == ["7.0", "True"]


def test_an_empty_variable_keeps_nothing(tmp_path: Path):
    assert run("", XDG_CACHE_HOME=str(tmp_path)) == ["7.0", "False"]
    assert list(tmp_path.iterdir()) == []


def test_broken_files_in_the_folder_lose_nothing(tmp_path: Path):
    run(str(tmp_path))
    for file in tmp_path.rglob("*-cache"):
        file.write_bytes(b"not a program")
    assert run(str(tmp_path)) == ["7.0", "False"]


def test_the_folder_is_one_for_a_release_and_a_processor():
    assert folder_of({"FOEDUS_CACHE_DIR": ""}) is None
    chosen = folder_of({"FOEDUS_CACHE_DIR": "/somewhere"})
    usual = folder_of({"XDG_CACHE_HOME": "/cache"})
    assert chosen is not None
    assert usual is not None
    assert chosen.parent == Path("/somewhere/compiled")
    assert usual == Path("/cache/foedus/compiled") / chosen.name
    assert folder_of({}) == Path.home() / ".cache/foedus/compiled" / chosen.name
