# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The pool of local functions that generated programs are made of: JAX code for values of any type without
strings. Host code, for any type at all, is in a module of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp

from foedus.sequences import Sequence


def total(value: Any) -> Any:
    """float32, the sum of all numbers in a value; in a sequence, folded over."""
    if isinstance(value, Sequence):
        return value.fold(lambda before, element: before + total(element), jnp.float32(0))
    parts = jax.tree.leaves(value, is_leaf=lambda part: isinstance(part, Sequence))
    if any(isinstance(part, Sequence) for part in parts):
        return sum([total(part) for part in parts], jnp.float32(0))
    return sum([jnp.sum(part).astype(jnp.float32) for part in parts], jnp.float32(0))


def masked_total(value: Any) -> Any:
    """The same over padded batches of two elements."""
    if not isinstance(value, Sequence):
        return total(value)

    def step(before: Any, batch: Any, mask: Any) -> Any:
        def real(leaf: Any) -> Any:
            return leaf * mask.reshape(-1, *[1] * (leaf.ndim - 1)).astype(leaf.dtype)

        return before + total(jax.tree.map(real, batch))

    return value.batch(2).fold_padded(step, jnp.float32(0))


def number_of_batches(value: Any) -> Any:
    """int32, how many batches there are in a sequence that is repeated, cut, mapped and batched."""
    if not isinstance(value, Sequence):
        return jnp.int32(0)
    return value.repeat(2).take(3).map(total).batch(2).fold(lambda count, _: count + 1, jnp.int32(0))


def doubled(value: Any) -> Any:
    """Every number twice."""
    return jax.tree.map(lambda leaf: leaf + leaf, value)


def described(value: Any) -> Any:
    """A struct in several containers."""
    return OrderedDict(total=total(value), large=total(value) > 3, nothing=None)


def positive(value: Any) -> Any:
    """A weight."""
    return 1 + jnp.abs(total(value))


def count_from_one(value: Any) -> Any:
    """A weight that is a whole number."""
    return 1 + count(value)


def three() -> Any:
    """A constant."""
    return jnp.float32(3)


def accumulate(before: Any, value: Any) -> Any:
    """Takes a value into a sum and a count."""
    return {"count": before["count"] + 1, "sum": before["sum"] + total(value)}


def merge(one: Any, other: Any) -> Any:
    """Joins two sums and counts."""
    return jax.tree.map(jnp.add, one, other)


def report(sums: Any) -> Any:
    """The sum, and the count."""
    return sums["sum"], sums["count"]


def counts(value: Any) -> Any:
    """A struct of integers from 0 to 7, of two dtypes: what can be summed securely."""
    whole = jnp.nan_to_num(jnp.abs(total(value)), nan=1.0, posinf=2.0) % 8
    return {"a": whole.astype(jnp.int32), "b": jnp.stack([whole, jnp.floor(whole / 2)]).astype(jnp.int64)}


def count(value: Any) -> Any:
    """One such integer."""
    return counts(value)["a"]


def keys(value: Any) -> Any:
    """int32[3], keys from 0 to 7."""
    return (counts(value)["a"] + jnp.arange(3, dtype=jnp.int32)) % 8


def key(value: Any) -> Any:
    """A random key."""
    return jnp.arange(2, dtype=jnp.uint32) + count(value).astype(jnp.uint32)


def part(whole: Any, wanted: Any) -> Any:
    """What is selected: a struct without sequences."""
    return {"total": total(whole) + wanted.astype(jnp.float32), "key": wanted}


def step(before: Any, element: Any) -> Any:
    """Takes an element into a sum that depends on the order."""
    return {"last": total(element), "sum": before["sum"] - 2 * before["last"] + total(element)}
