# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Common subexpressions: equal calls in a flat program become one."""

from __future__ import annotations

from typing import assert_never

from foedus.ir import (
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


def rename(node: Node, names: dict[str, Node]) -> Node:
    """Replaces references by other nodes, in a program all of whose names are different."""
    match node:
        case Reference(name):
            return names.get(name, node)
        case Literal() | Intrinsic() | Foreign():
            return node
        case Record(fields, container):
            return Record(tuple((name, rename(child, names)) for name, child in fields), container)
        case Selection(source, index):
            return Selection(rename(source, names), index)
        case Lambda(parameter, parameter_type, body):
            return Lambda(parameter, parameter_type, rename(body, names))
        case Call(function, argument):
            return Call(rename(function, names), None if argument is None else rename(argument, names))
        case Block(bindings, result):
            return Block(
                tuple((name, rename(child, names)) for name, child in bindings), rename(result, names)
            )
        case _:
            assert_never(node)


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
