# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs as data: nodes, their text, traversal, and the type checker."""

from foedus.ir._check import check
from foedus.ir._literal import constant, literal, value_of
from foedus.ir._nodes import (
    Block,
    Call,
    Foreign,
    Intrinsic,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
)
from foedus.ir._parse import parse_program
from foedus.ir._text import show_program, show_program_lines
from foedus.ir._walk import children, free_names, leaves_of, rebuild, transform, walk, walk_in_scope

__all__ = [
    "Block",
    "Call",
    "Foreign",
    "Intrinsic",
    "Lambda",
    "Literal",
    "Node",
    "Record",
    "Reference",
    "Selection",
    "check",
    "children",
    "constant",
    "free_names",
    "leaves_of",
    "literal",
    "parse_program",
    "rebuild",
    "show_program",
    "show_program_lines",
    "transform",
    "value_of",
    "walk",
    "walk_in_scope",
]
