# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators of the language, as Python functions for use inside computations."""

from __future__ import annotations

from foedus.errors import PlacementError, place
from foedus.ir import Node, Record, constant
from foedus.lang._trace import Value, operate, require_trace, to_function, to_node
from foedus.types import EMPTY, SERVER, Federated, PlacementLiteral, Struct, Type, walk


def _record(**fields: Node) -> Record:
    return Record(tuple(fields.items()))


def _zipped(value: object) -> Node:
    """The value itself, or, if it is a struct of placed values, those zipped into one."""
    node = to_node(value)
    if isinstance(node.type, Federated) or not any(isinstance(t, Federated) for t in walk(node.type)):
        return node
    return operate("federated_zip", node).node


def _member(node: Node) -> Type:
    return node.type.member if isinstance(node.type, Federated) else node.type


def federated_value(value: object, placement: PlacementLiteral) -> Value:
    """Places a plain value: every member of the placement has it.

    Args:
        value: A constant, or a value of the program that is not placed.
        placement: ``CLIENTS`` or ``SERVER``.

    Returns:
        ``T@placement``.
    """
    require_trace()
    return operate("federated_value", to_node(value), placement)


def federated_eval(fn: object, placement: PlacementLiteral) -> Value:
    """Runs a function without argument once at each member of a placement.

    Args:
        fn: The function.
        placement: ``CLIENTS`` or ``SERVER``.

    Returns:
        ``{T}@CLIENTS`` or ``T@SERVER``.
    """
    require_trace()
    return operate("federated_eval", to_function(fn, None, "federated_eval"), placement)


def federated_broadcast(value: object) -> Value:
    """Sends the server's value to all clients: ``T@SERVER`` to ``T@CLIENTS``."""
    require_trace()
    return operate("federated_broadcast", _zipped(value))


def federated_key(key: object, purpose: str) -> Value:
    """Gives each client a random key of its own.

    The key depends on the server's key, the client's id and the purpose, and on nothing else.

    Args:
        key: ``uint32[2]@SERVER``, different in every round.
        purpose: What the keys are for; two purposes give independent keys.

    Returns:
        ``{uint32[2]}@CLIENTS``.
    """
    require_trace()
    return operate("federated_key", _record(key=to_node(key), purpose=constant(purpose)))


def federated_map(fn: object, value: object) -> Value:
    """Applies a function at each member of a placement.

    Args:
        fn: A function of one argument, or of one argument per field of ``value``.
        value: ``{T}@P``; a struct of values placed at one ``P`` is zipped first.

    Returns:
        ``{U}@P``.
    """
    require_trace()
    node = _zipped(value)
    function = to_function(fn, _member(node), "federated_map")
    return operate("federated_map", _record(fn=function, value=node))


def federated_apply(fn: object, value: object) -> Value:
    """Applies a function at the server: ``federated_map`` for a value that must be there.

    Args:
        fn: A function of one argument, or of one argument per field of ``value``.
        value: ``T@SERVER``; a struct of values at the server is zipped first.

    Returns:
        ``U@SERVER``.
    """
    require_trace()
    node = _zipped(value)
    if not isinstance(node.type, Federated) or node.type.placement != SERVER:
        raise PlacementError(
            "federated_apply needs a value at SERVER", found=node.type, expected="T@SERVER", at=place()
        )
    return federated_map(fn, Value(node))


def federated_zip(value: object) -> Value:
    """Makes one placed struct of a struct of placed values: ``<{A}@P,{B}@P>`` to ``{<A,B>}@P``."""
    require_trace()
    return operate("federated_zip", to_node(value))


def federated_aggregate(
    value: object, zero: object, accumulate: object, merge: object, report: object
) -> Value:
    """Folds the clients' values into one at the server.

    The order and the grouping of the fold are fixed by the clients' ids (spec, section "Reduction"), so the
    result does not depend on where and how it is computed.

    Args:
        value: ``{T}@CLIENTS``; a struct of values at clients is zipped first.
        zero: ``U``, the result for no clients.
        accumulate: ``(<U,T> -> U)`` takes one client's value in.
        merge: ``(<U,U> -> U)`` joins two partial results.
        report: ``(U -> R)`` makes the result.

    Returns:
        ``R@SERVER``.
    """
    require_trace()
    node = _zipped(value)
    start = to_node(zero)
    pair = Struct(((None, start.type), (None, _member(node))))
    both = Struct(((None, start.type), (None, start.type)))
    return operate(
        "federated_aggregate",
        _record(
            value=node,
            zero=start,
            accumulate=to_function(accumulate, pair, "federated_aggregate"),
            merge=to_function(merge, both, "federated_aggregate"),
            report=to_function(report, start.type, "federated_aggregate"),
        ),
    )


def federated_sum(value: object) -> Value:
    """Adds the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``.

    Args:
        value: ``{T}@CLIENTS`` with numbers of known shape; a struct of values at clients is zipped first.

    Returns:
        ``T@SERVER``; zeros for no clients. Integers wrap around as in NumPy.
    """
    require_trace()
    return operate("federated_sum", _zipped(value))


def federated_mean(value: object, weight: object = None) -> Value:
    """Averages the clients' numbers, element by element.

    Args:
        value: ``{T}@CLIENTS`` with floating point or complex numbers of known shape.
        weight: ``{W}@CLIENTS``, one number a client; None or the empty struct counts every client once.

    Returns:
        ``T@SERVER``; NaN where the weights add up to zero.
    """
    require_trace()
    node = _zipped(value)
    weights = None if weight is None else to_node(weight)
    if weights is None or _member(weights) == EMPTY:
        return operate("federated_mean", node)
    return operate("federated_weighted_mean", _record(value=node, weight=weights))


def federated_min(value: object) -> Value:
    """The least of the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``."""
    require_trace()
    return operate("federated_min", _zipped(value))


def federated_max(value: object) -> Value:
    """The greatest of the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``."""
    require_trace()
    return operate("federated_max", _zipped(value))
