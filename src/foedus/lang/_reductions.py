# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators that make one value of many, as Python functions for use inside computations.

All of them go to the server, or with ``to=`` to a tier, whose members then each reduce what is below them.
"""

from __future__ import annotations

from foedus.lang._operators import member_of, record, zipped
from foedus.lang._trace import Value, operate, require_trace, to_function, to_node
from foedus.types import EMPTY, SERVER, PlacementLiteral, Struct


def federated_aggregate(
    value: object,
    zero: object,
    accumulate: object,
    merge: object,
    report: object,
    *,
    to: PlacementLiteral = SERVER,
) -> Value:
    """Folds the clients' values into one at the server.

    The order and the grouping of the fold are fixed by the clients' ids (spec, section "Numbers"), so the
    result does
    not depend on where and how it is computed.

    Args:
        value: ``{T}@CLIENTS``; a struct of values at clients is zipped first.
        zero: ``U``, the result for no clients.
        accumulate: ``(<U,T> -> U)`` takes one client's value in.
        merge: ``(<U,U> -> U)`` joins two partial results.
        report: ``(U -> R)`` makes the result.
        to: Where the result is.

    Returns:
        ``R@SERVER``.
    """
    require_trace()
    node = zipped(value)
    start = to_node(zero)
    pair = Struct(((None, start.type), (None, member_of(node))))
    both = Struct(((None, start.type), (None, start.type)))
    argument = record(
        value=node,
        zero=start,
        accumulate=to_function(accumulate, pair, "federated_aggregate"),
        merge=to_function(merge, both, "federated_aggregate"),
        report=to_function(report, start.type, "federated_aggregate"),
    )
    return operate("federated_aggregate", argument, to)


def federated_sum(value: object, *, to: PlacementLiteral = SERVER) -> Value:
    """Adds the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``.

    Args:
        value: ``{T}@CLIENTS`` with numbers of known shape; a struct of values at clients is zipped first.
        to: Where the result is.

    Returns:
        ``T@SERVER``; zeros for no clients. Integers wrap around as in NumPy.
    """
    require_trace()
    return operate("federated_sum", zipped(value), to)


def federated_mean(value: object, weight: object = None, *, to: PlacementLiteral = SERVER) -> Value:
    """Averages the clients' numbers, element by element.

    Args:
        value: ``{T}@CLIENTS`` with floating point or complex numbers of known shape.
        weight: ``{W}@CLIENTS``, one number a client; None or the empty struct counts every client once.
        to: Where the result is.

    Returns:
        ``T@SERVER``; NaN where the weights add up to zero.
    """
    require_trace()
    node = zipped(value)
    weights = None if weight is None else to_node(weight)
    if weights is None or member_of(weights) == EMPTY:
        return operate("federated_mean", node, to)
    return operate("federated_weighted_mean", record(value=node, weight=weights), to)


def federated_min(value: object, *, to: PlacementLiteral = SERVER) -> Value:
    """The least of the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``."""
    require_trace()
    return operate("federated_min", zipped(value), to)


def federated_max(value: object, *, to: PlacementLiteral = SERVER) -> Value:
    """The greatest of the clients' numbers, element by element: ``{T}@CLIENTS`` to ``T@SERVER``."""
    require_trace()
    return operate("federated_max", zipped(value), to)


def _secure(name: str, bound: str, value: object, limit: object, to: PlacementLiteral) -> Value:
    require_trace()
    return operate(name, record(value=zipped(value), **{bound: to_node(limit)}), to)


def federated_secure_sum(value: object, max_input: object, *, to: PlacementLiteral = SERVER) -> Value:
    """Adds the clients' integers without anybody seeing a single one.

    Runtimes on one machine simulate the protection, and say so; the arithmetic is exact everywhere.

    Args:
        value: ``{T}@CLIENTS``, integers from 0 to ``max_input``; anything else is an error that names the
            client.
        max_input: The greatest integer a client may have: one for all, or a struct of them like ``T``.
        to: Where the result is.

    Returns:
        ``T@SERVER``. A sum that the dtype cannot hold is an error, not a wrong number.
    """
    return _secure("federated_secure_sum", "max_input", value, max_input, to)


def federated_secure_sum_bitwidth(value: object, bitwidth: object, *, to: PlacementLiteral = SERVER) -> Value:
    """As ``federated_secure_sum``, for integers from 0 to below ``2**bitwidth``.

    Args:
        value: ``{T}@CLIENTS``, integers of so many bits.
        bitwidth: Bits, at most 62: one number for all, or a struct of them like ``T``.
        to: Where the result is.

    Returns:
        ``T@SERVER``.
    """
    return _secure("federated_secure_sum_bitwidth", "bitwidth", value, bitwidth, to)


def federated_secure_modular_sum(value: object, modulus: object, *, to: PlacementLiteral = SERVER) -> Value:
    """Adds the clients' integers modulo a number without anybody seeing a single one.

    Args:
        value: ``{T}@CLIENTS``, integers, of which only the remainder counts.
        modulus: The modulus, positive: one for all, or a struct of them like ``T``.
        to: Where the result is.

    Returns:
        ``T@SERVER``, integers from 0 to below ``modulus``.
    """
    return _secure("federated_secure_modular_sum", "modulus", value, modulus, to)
