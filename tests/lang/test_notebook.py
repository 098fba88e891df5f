# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""In a notebook: an event loop runs, cells are run twice, and errors point at the line of the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs what `pip install foedus[dev]` brings")
nbformat = pytest.importorskip("nbformat", reason="comes with nbclient")
pytest.importorskip("ipykernel", reason="needs what `pip install foedus[dev]` brings")

DEFINE = """
import foedus as fd

@fd.computation(fd.at_clients(fd.float32))
def total(x):
    return fd.federated_sum(fd.federated_map(lambda v: 2 * v, x))
"""
CALL = """
import asyncio

assert asyncio.get_running_loop().is_running()
total([1.0, 2.5])
"""
CALL_IN_A_TASK = """
await asyncio.gather(asyncio.to_thread(total, [1.0]), asyncio.to_thread(total, [2.0]))
"""
MISTAKE = """
# A comment.

@fd.computation(fd.at_server(fd.float32))
def wrong(x):
    return fd.federated_sum(x)
"""
LOCAL_MISTAKE = """
fd.computation(fd.float32)(
    lambda x: int("three")
)
"""


def run(folder: Path, sources: list[str]) -> list[str]:
    """What each cell shows, run one after another in one kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s.strip()) for s in sources])
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    return [shown(cell.outputs) for cell in notebook.cells]


def shown(outputs: list[Any]) -> str:
    kept = [output for output in outputs if output.output_type != "stream"]
    if not kept:
        return ""
    return kept[0].data["text/plain"] if "data" in kept[0] else f"{kept[0].ename}: {kept[0].evalue}"


def test_everything_works_in_a_notebook(tmp_path: Path):
    cells = [DEFINE, CALL, DEFINE, CALL, CALL_IN_A_TASK, MISTAKE, LOCAL_MISTAKE, CALL]
    _, once, _, again, threads, mistake, local_mistake, after = run(tmp_path, cells)
    assert once == again == "np.float32(7.0)"
    assert threads == "[np.float32(2.0), np.float32(4.0)]"
    assert mistake == (
        "PlacementError: federated_sum needs a value at CLIENTS\n"
        "  found     float32@SERVER\n"
        "  expected  {T}@CLIENTS\n"
        "  at        the argument, line 5 of the cell: return fd.federated_sum(x)\n"
        "  hint      it is already one value at the server; use it as it is, or broadcast it first"
    )
    assert local_mistake.splitlines()[-1] == '  at        line 2 of the cell: lambda x: int("three")'
    assert after == "np.float32(7.0)", "the kernel is usable after errors"
