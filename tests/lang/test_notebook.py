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


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each cell shows, run one after another in one kernel."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    sources = [DEFINE, CALL, DEFINE, CALL, CALL_IN_A_TASK, MISTAKE, LOCAL_MISTAKE, CALL]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s.strip()) for s in sources])
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def shown(outputs: list[Any]) -> str:
    (output,) = [o for o in outputs if o.output_type != "stream"]
    return output.data["text/plain"] if "data" in output else f"{output.ename}: {output.evalue}"


def test_cells_may_be_run_twice_while_an_event_loop_runs(outputs: list[Any]):
    assert [shown(outputs[i]) for i in (1, 3)] == ["np.float32(7.0)"] * 2


def test_calls_from_several_threads_at_a_time(outputs: list[Any]):
    assert shown(outputs[4]) == "[np.float32(2.0), np.float32(4.0)]"


def test_an_error_points_at_the_line_of_the_cell(outputs: list[Any]):
    assert shown(outputs[5]) == (
        "PlacementError: federated_sum needs a value at CLIENTS\n"
        "  found     float32@SERVER\n"
        "  expected  {T}@CLIENTS\n"
        "  at        the argument, line 5 of the cell: return fd.federated_sum(x)\n"
        "  hint      it is already one value at the server; use it as it is, or broadcast it first"
    )


def test_an_error_in_local_code_points_at_the_line_of_the_cell(outputs: list[Any]):
    assert shown(outputs[6]).splitlines()[-1] == '  at        line 2 of the cell: lambda x: int("three")'


def test_the_kernel_is_usable_after_errors(outputs: list[Any]):
    assert shown(outputs[7]) == "np.float32(7.0)"
