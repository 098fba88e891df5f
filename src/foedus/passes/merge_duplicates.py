# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Common subexpressions: equal calls in a flat program become one."""

from __future__ import annotations

from foedus.ir import Block, Lambda, Node, Reference, children, rebuild


def rename(node: Node, names: dict[str, Node]) -> Node:
    """Replaces references by other nodes, in a program all of whose names are different."""
    if isinstance(node, Reference):
        return names.get(node.name, node)
    return rebuild(node, [rename(child, names) for child in children(node)])


def merge_duplicates(program: Lambda) -> Lambda:
    """Computes equal calls once. All leaves and operators are pure, so the meaning stays.

    Args:
        program: A program in flat form (see ``inline``).

    Returns:
        The program with each different call bound once, at its first place.
    """
    assert isinstance(program.body, Block), "the program is not in flat form; please report"
    seen: dict[Node, Reference] = {}
    names: dict[str, Node] = {}
    kept: list[tuple[str, Node]] = []
    for name, node in program.body.bindings:
        renamed = rename(node, names)
        first = seen.get(renamed)
        if first is None:
            seen[renamed] = Reference(name, renamed.type)
            kept.append((name, renamed))
        else:
            names[name] = first
    body = Block(tuple(kept), rename(program.body.result, names))
    return Lambda(program.parameter, program.parameter_type, body)
