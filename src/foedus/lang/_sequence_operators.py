# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators on sequences, as Python functions for use inside computations.

Each takes a sequence, or sequences that are placed, and then works at each member.
"""

from __future__ import annotations

from collections.abc import Callable

from foedus.errors import TypeMismatchError, place
from foedus.ir import Node
from foedus.lang._operators import federated_map, record, zipped
from foedus.lang._trace import Value, operate, require_trace, to_function, to_node, trace_language
from foedus.types import Federated, Sequence, Struct, Type


def _everywhere(value: object, at_one: Callable[[Node], Value]) -> Value:
    """Applies an operator to a sequence, or to the sequence of every member of a placement."""
    node = zipped(value)
    if isinstance(node.type, Federated):

        def at_member(own: Value) -> Value:
            return at_one(to_node(own))

        own = trace_language(at_member, node.type.member, spread=1)
        return federated_map(Value(own), Value(node))
    return at_one(node)


def _element(node: Node, what: str) -> Type:
    if not isinstance(node.type, Sequence):
        raise TypeMismatchError(f"{what} needs a sequence", found=node.type, expected="T*", at=place())
    return node.type.element


def sequence_map(fn: object, value: object) -> Value:
    """Applies a function to every element.

    Args:
        fn: ``(T -> U)``.
        value: ``T*`` or ``{T*}@P``.

    Returns:
        ``U*`` or ``{U*}@P``.
    """
    require_trace()

    def at_one(node: Node) -> Value:
        function = to_function(fn, _element(node, "sequence_map"), "sequence_map")
        return operate("sequence_map", record(fn=function, value=node))

    return _everywhere(value, at_one)


def sequence_reduce(value: object, zero: object, op: object) -> Value:
    """Folds over the elements in order.

    Args:
        value: ``T*`` or ``{T*}@P``.
        zero: ``U``, the result for no elements.
        op: ``(<U,T> -> U)``, takes one element in.

    Returns:
        ``U`` or ``{U}@P``.
    """
    require_trace()
    start = to_node(zero)

    def at_one(node: Node) -> Value:
        pair = Struct(((None, start.type), (None, _element(node, "sequence_reduce"))))
        function = to_function(op, pair, "sequence_reduce")
        return operate("sequence_reduce", record(value=node, zero=start, op=function))

    return _everywhere(value, at_one)


def sequence_sum(value: object) -> Value:
    """Adds the elements.

    Args:
        value: ``T*`` or ``{T*}@P``, with numbers of known shape.

    Returns:
        ``T`` or ``{T}@P``; zeros for no elements.
    """
    require_trace()
    return _everywhere(value, lambda node: operate("sequence_sum", node))
