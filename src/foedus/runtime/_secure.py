# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Secure sums on one machine: exact integers, checked ranges, and no protection."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foedus.data import ClientId
from foedus.errors import ClientError, ExecutionError, place
from foedus.ir import Call
from foedus.runtime._evaluate import like_value
from foedus.runtime._plan import operator_of, reduced_value
from foedus.types import Struct, Tensor, Type, field_path

_MOST_BITS = 62
RANGED = ("federated_secure_sum", "federated_secure_sum_bitwidth")
SECURE = (*RANGED, "federated_secure_modular_sum")
SELECTS = ("federated_select", "federated_secure_select")


def check_bounds(node: Call, bound: Any, count: int) -> Any:
    """Checks the bounds of a secure sum before anything runs.

    Args:
        node: The call.
        bound: The greatest input, the bits, or the modulus.
        count: How many members add up.

    Returns:
        The greatest inputs, or the moduli.

    Raises:
        ExecutionError: If a bound makes no sense, or the sum may not fit 64 bits.
    """
    name = operator_of(node)
    numbers = [int(b) for b in jax.tree.leaves(bound)]
    if name == "federated_secure_modular_sum":
        odd = next((n for n in numbers if n < 1), None)
        if odd is not None:
            raise ExecutionError("A modulus is positive", found=odd, at=place())
        return bound
    if name == "federated_secure_sum_bitwidth":
        odd = next((n for n in numbers if not 1 <= n <= _MOST_BITS), None)
        if odd is not None:
            raise ExecutionError("Integers have 1 to 62 bits in a secure sum", found=odd, at=place())
        bound = jax.tree.map(lambda bits: np.int64(2 ** int(bits) - 1), bound)
    most = max((int(b) for b in jax.tree.leaves(bound)), default=0) * count
    if most > np.iinfo(np.int64).max:
        raise ExecutionError(
            f"The result of {name} may not fit 64 bits",
            found=f"up to {most}",
            expected=f"at most {np.iinfo(np.int64).max}",
            at=place(),
            hint="give a smaller bound",
        )
    return bound


def out_of_range(value: Any, limit: Any) -> Any:
    """The first integer of a value that is out of range, with its position among all of them (-1 for none).

    Args:
        value: A plain value of integers.
        limit: The greatest integers: one for all leaves or fields, or one each.

    Returns:
        int64[2]: the position, and the integer.
    """
    leaves = [jnp.asarray(x).astype(jnp.int64).ravel() for x in jax.tree.leaves(value)]
    limits = [
        jnp.full(leaf.shape, bound)
        for leaf, bound in zip(leaves, jax.tree.leaves(like_value(limit, value)), strict=True)
    ]
    numbers, most = jnp.concatenate(leaves), jnp.concatenate(limits)
    bad = (numbers < 0) | (numbers > most)
    first = jnp.argmax(bad)
    return jnp.stack([jnp.where(jnp.any(bad), first, -1), numbers[first]])


def check_range(node: Call, found: Any, limit: Any, ids: list[ClientId]) -> None:
    """Raises for the first client whose value, or whose key, is out of range.

    Args:
        node: The call of a secure sum or of a selection.
        found: int64[members,2], what ``out_of_range`` says of each.
        limit: The greatest integers.
        ids: The members, in order.

    Raises:
        ClientError: If there is one; the error names it and the path.
    """
    found = np.asarray(found).reshape(-1, 2)
    odd = np.flatnonzero(found[:, 0] >= 0)
    if not odd.size:
        return
    position, number = found[odd[0]]
    if operator_of(node) in SELECTS:
        raise ClientError(
            f"A key of client {ids[odd[0]]!r} is out of range for {operator_of(node)}",
            found=int(number),
            expected=f"0 to {int(np.asarray(limit))}",
            at=place("the keys"),
        )
    path, bound = _place_of(reduced_value(node).member, limit, int(position), "")
    raise ClientError(
        f"A value of client {ids[odd[0]]!r} is out of range for {operator_of(node)}",
        found=int(number),
        expected=f"0 to {int(np.asarray(bound))}",
        at=place(f"{path} of the value" if path else "the value"),
    )


def _place_of(type_: Type, limit: Any, position: int, path: str) -> tuple[str, Any]:
    """The path and the bound of an integer, by its position among all of a value."""
    if isinstance(type_, Struct):
        for i, (name, t) in enumerate(type_.fields):
            own = limit[i] if isinstance(limit, tuple) else limit
            size = _size(t)
            if position < size:
                return _place_of(t, own, position, path + field_path(i, name))
            position -= size
    return path, limit


def _size(type_: Type) -> int:
    if isinstance(type_, Struct):
        return sum(_size(t) for _, t in type_.fields)
    assert isinstance(type_, Tensor)
    return int(np.prod([size or 0 for size in type_.shape or ()], dtype=np.int64))


def in_dtype(node: Call, total: Any, type_: Type) -> Any:
    """Exact sums in the dtype of the result.

    Args:
        node: The call.
        total: The sums as int64.
        type_: The type of the result.

    Returns:
        The sums.

    Raises:
        ExecutionError: If one does not fit.
    """
    if isinstance(type_, Struct):
        return tuple(in_dtype(node, item, t) for (_, t), item in zip(type_.fields, total, strict=True))
    assert isinstance(type_, Tensor)
    numbers, allowed = np.asarray(total), np.iinfo(type_.dtype)
    odd = numbers[(numbers < allowed.min) | (numbers > min(allowed.max, np.iinfo(np.int64).max))]
    if odd.size:
        raise ExecutionError(
            f"The result of {operator_of(node)} does not fit its dtype",
            found=int(odd.ravel()[0]),
            expected=f"{type_}: {allowed.min} to {allowed.max}",
            at=place(),
            hint="add up in a wider dtype",
        )
    return numbers.astype(type_.dtype)
