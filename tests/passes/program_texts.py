# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing programs by their text."""

from __future__ import annotations

import re
import textwrap

from foedus.ir import Node, check, show_program_lines


def is_text(node: Node, text: str) -> None:
    """Which numbers the names have is no part of what a pass promises, only which are the same."""
    check(node)
    assert numbered(show_program_lines(node)) == numbered(textwrap.dedent(text).strip())


def numbered(text: str) -> str:
    """The text with its names numbered in the order in which they come."""
    names: dict[str, str] = {}
    return re.sub(r"\b[pv]\d+\b", lambda name: names.setdefault(name.group(), f"n{len(names)}"), text)
