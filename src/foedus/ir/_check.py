# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The type checker."""

from __future__ import annotations

from collections.abc import Mapping

from foedus.errors import TypeMismatchError, place
from foedus.intrinsics import TABLE, result_type
from foedus.ir._nodes import Block, Intrinsic, Node, Reference
from foedus.ir._text import show_program
from foedus.ir._walk import children, walk_in_scope
from foedus.types import Federated, Type, check_assignable, is_assignable

_MOST_SHOWN = 200


def check(node: Node) -> Type:
    """Checks that a program is well typed and closed.

    What a node can tell alone was checked when it was built; this checks names against what binds them and
    operators against the table.

    Args:
        node: The program.

    Returns:
        Its type.

    Raises:
        TypeMismatchError: If it is not; the error shows the part that is wrong and names the bindings around
            it.
    """
    for found, scope in walk_in_scope(node):
        try:
            if isinstance(found, Reference):
                _check_reference(found, scope)
            elif isinstance(found, Intrinsic):
                _check_intrinsic(found)
        except TypeMismatchError as error:
            error.at = ", ".join(part for part in (_binding_of(found, node), error.at) if part)
            raise
    return node.type


def _binding_of(part: Node, program: Node) -> str:
    """The names of the bindings in which a part of a program stands, the innermost first."""
    pending: list[tuple[Node, tuple[str, ...]]] = [(program, ())]
    while pending:
        node, around = pending.pop()
        if node is part:
            return f"the binding {' in '.join(map(repr, around))}" if around else ""
        names = [(name, *around) for name, _ in node.bindings] if isinstance(node, Block) else []
        inner = children(node)
        pending += zip(inner, [*names, *[around] * (len(inner) - len(names))], strict=True)
    raise AssertionError("it is no part of the program; please report")


def _shown(node: Node) -> str:
    text = show_program(node)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _check_reference(node: Reference, scope: Mapping[str, Type]) -> None:
    bound = scope.get(node.name)
    if bound is None:
        raise TypeMismatchError(
            f"Nothing in the program is called {node.name!r}",
            found=f"{node.name} of type {node.type}",
            expected=f"one of {', '.join(scope) or 'no names'}",
            at=place(),
        )
    if bound != node.type:
        raise TypeMismatchError(
            f"{node.name!r} is used at another type than it has",
            found=node.type,
            expected=bound,
            at=place(),
        )


def _check_intrinsic(node: Intrinsic) -> None:
    if node.name not in TABLE:
        raise TypeMismatchError(
            f"There is no operator {node.name!r}",
            found=f"{node.name} of type {node.type}",
            expected=f"one of {', '.join(TABLE)}",
            at=place(),
        )
    row, parameter, result = TABLE[node.name], node.type.parameter, node.type.result
    if (parameter is None) != row.nullary:
        raise TypeMismatchError(
            f"{node.name} needs {'no' if row.nullary else 'an'} argument",
            found=node.type,
            expected=row.scheme,
            at=place(),
        )
    placement = result.placement if isinstance(result, Federated) else None
    inferred = result_type(node.name, result if parameter is None else parameter, placement)
    if not is_assignable(result, inferred):
        check_assignable(result, inferred, f"the result of {_shown(node)}")
