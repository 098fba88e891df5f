# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What ``docs/speed.md`` shows is what its program prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "speed.md").read_text(encoding="utf-8")


def test_the_program_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    program, shown = re.findall(r"```(?:python)?\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "speed.md", "exec"), {})
    assert capsys.readouterr().out == shown
