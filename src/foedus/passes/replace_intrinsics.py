# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Derived operators become the programs that they stand for."""

from __future__ import annotations

from collections.abc import Callable

from foedus.intrinsics import TABLE, Row
from foedus.ir import Call, Intrinsic, Lambda, Node, Reference, parse_program, transform
from foedus.passes._retype import is_exactly, retyped
from foedus.types import CLIENTS, SERVER, Federated, Function, walk


def replace_intrinsics(program: Node, which: Callable[[Row], bool] = lambda _: True) -> Node:
    """Replaces derived operators by their bodies, and those in the bodies too.

    Args:
        program: A program.
        which: Tells for a derived operator's row whether to replace it; all of them if not given.

    Returns:
        A program of the same type and meaning.
    """

    def change(node: Node) -> Node:
        if not isinstance(node, Intrinsic):
            return node
        row = TABLE[node.name]
        if row.body is None or not which(row):
            return node
        placements = {CLIENTS, SERVER} | {t.placement for t in walk(node.type) if isinstance(t, Federated)}
        body = transform(parse_program(row.body(node.type), placements=placements), change)
        return _with_type(body, node.type)

    return transform(program, change)


def _with_type(body: Node, type_: Function) -> Node:
    """A function as one of exactly a type: text has no containers."""
    if is_exactly(body.type, type_) or type_.parameter is None:
        return body
    result = retyped(Call(body, Reference("x", type_.parameter)), type_.result)
    return Lambda("x", type_.parameter, result)


def expand(program: Node) -> Node:
    """Replaces the derived operators that runtimes and explanations do not know themselves."""
    return replace_intrinsics(program, lambda row: not row.built_in)
