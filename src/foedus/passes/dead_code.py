# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Dead code: bindings that nothing refers to go."""

from __future__ import annotations

from foedus.ir import Block, Lambda, Node, free_names


def remove_dead_code(program: Lambda) -> Lambda:
    """Drops the bindings of a flat program that its result does not depend on.

    Args:
        program: A program in flat form (see ``inline``).

    Returns:
        The program without them.
    """
    assert isinstance(program.body, Block), "the program is not in flat form; please report"
    needed = free_names(program.body.result)
    kept: list[tuple[str, Node]] = []
    for name, node in reversed(program.body.bindings):
        if name in needed:
            kept.append((name, node))
            needed |= free_names(node)
    body = Block(tuple(reversed(kept)), program.body.result)
    return Lambda(program.parameter, program.parameter_type, body)
