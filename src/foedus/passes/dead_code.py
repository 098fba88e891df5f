# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Dead code: bindings that nothing refers to go."""

from __future__ import annotations

from foedus.ir import Block, Lambda, Node, Reference, children, transform, walk
from foedus.passes.uniquify import uniquify


def _needed(program: Node) -> set[str]:
    """The names on which the result depends, in a program whose names differ."""
    bound = {
        name: child for node in walk(program) if isinstance(node, Block) for name, child in node.bindings
    }
    needed: set[str] = set()
    pending = [program]
    while pending:
        match pending.pop():
            case Reference(name):
                if name in bound and name not in needed:
                    needed.add(name)
                    pending.append(bound[name])
            case Block(_, result):
                pending.append(result)
            case node:
                pending.extend(children(node))
    return needed


def remove_dead_code(program: Lambda) -> Lambda:
    """Drops the bindings that the result does not depend on, in functions too.

    Args:
        program: A program.

    Returns:
        The program without them, and without blocks that bind nothing. A body that is a block stays one.
    """
    unique = uniquify(program)
    needed = _needed(unique)

    def change(node: Node) -> Node:
        if not isinstance(node, Block):
            return node
        kept = tuple(binding for binding in node.bindings if binding[0] in needed)
        if not kept:
            return node.result
        return node if len(kept) == len(node.bindings) else Block(kept, node.result)

    lean = transform(unique, change)
    assert isinstance(lean, Lambda)
    if isinstance(program.body, Block) and not isinstance(lean.body, Block):
        return Lambda(lean.parameter, lean.parameter_type, Block((), lean.body))
    return lean
