# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Derived operators become the programs that they stand for."""

from __future__ import annotations

from collections.abc import Callable

from foedus.intrinsics import TABLE, Row
from foedus.ir import Intrinsic, Node, children, parse_program, rebuild
from foedus.types import CLIENTS, SERVER, Federated, walk


def _placements(node: Intrinsic) -> set[Federated]:
    return {t for t in walk(node.type) if isinstance(t, Federated)}


def replace_intrinsics(program: Node, which: Callable[[Row], bool] = lambda _: True) -> Node:
    """Replaces derived operators by their bodies, and those in the bodies too.

    Args:
        program: A program.
        which: Tells for a derived operator's row whether to replace it; all of them if not given.

    Returns:
        A program of the same type and meaning.
    """
    if isinstance(program, Intrinsic):
        row = TABLE[program.name]
        if row.body is None or not which(row):
            return program
        placements = {CLIENTS, SERVER} | {federated.placement for federated in _placements(program)}
        return replace_intrinsics(parse_program(row.body(program.type), placements=placements), which)
    return rebuild(program, [replace_intrinsics(child, which) for child in children(program)])


def expand(program: Node) -> Node:
    """Replaces the derived operators that runtimes and explanations do not know themselves."""
    return replace_intrinsics(program, lambda row: not row.built_in)
