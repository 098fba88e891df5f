# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What ``docs/passes.md`` says: its program runs, and all passes and programs of forms have a line."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from foedus import passes
from foedus.passes import DistributeAggregateForm, MapReduceForm

PAGE = (Path(__file__).parents[2] / "docs" / "passes.md").read_text(encoding="utf-8")
ROWS = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))


def test_the_page_names_all_passes():
    assert [name for name in passes.__all__ if f"`{name}`" not in ROWS] == []


def test_the_page_names_all_programs_of_both_forms():
    names = [f.name for form in (MapReduceForm, DistributeAggregateForm) for f in fields(form)]
    assert [name for name in names if name not in ("type", "purposes") and f"`{name}`" not in ROWS] == []


def test_the_program_on_the_page_has_both_forms(capsys):
    (source,) = re.findall(r'```python title="a program"\n(.*?)```', PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "passes.md", "exec"), names)
    assert "federated_broadcast(p1.state)" in capsys.readouterr().out
    node = names["step"].node
    assert passes.to_map_reduce(node).type == node.type
    assert passes.to_distribute_aggregate(node).type == node.type
