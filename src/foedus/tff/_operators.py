# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators by their names of 2021 that Foedus has otherwise."""

from __future__ import annotations

from typing import Any

from foedus import lang


def federated_secure_sum(value: Any, max_input: Any = None, *, bitwidth: Any = None) -> Any:
    """Adds the clients' integers without anybody seeing a single one.

    Args:
        value: ``{T}@CLIENTS``, integers.
        max_input: The greatest integer that a client may have.
        bitwidth: As it was in 2021, the number of bits that a client's integers have.
    """
    if (max_input is None) == (bitwidth is None):
        raise TypeError("Expected one of `max_input` and `bitwidth`.")
    if bitwidth is not None:
        return lang.federated_secure_sum_bitwidth(value, bitwidth)
    return lang.federated_secure_sum(value, max_input)


def federated_reduce(value: Any, zero: Any, op: Any) -> Any:
    """Folds the clients' values with an operator that takes two of them.

    Args:
        value: ``{T}@CLIENTS``.
        zero: ``T``, the result for no clients.
        op: ``(<T,T> -> T)``.
    """
    return lang.federated_aggregate(value, zero, op, op, lambda total: total)
