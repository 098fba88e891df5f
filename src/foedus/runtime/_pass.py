# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One compiled pass over all members of a placement: their calls, the reductions of what they give, and what
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from foedus.runtime._evaluate import Monoid

STRANDS = 32
"""Into how many runs of members, at most, a reduction is cut (spec, N3)."""

Member = Callable[[Any], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""From a member's place in the order to what it gives to each reduction, and what of it is kept, by name."""


def run_pass(member: Member, monoids: Mapping[str, Monoid], count: int) -> tuple[Any, Any]:
    """Runs all members of a placement.

    Runs of members are folded one after another, and the partial results merged pairwise, so that the result
    depends on the
    members alone.

    Args:
        member: What is done at one member.
        monoids: How each reduction folds.
        count: How many members there are.

    Returns:
        The results of the reductions by name, and the kept values ``[members, ...]`` by name.
    """
    zero = {name: monoid.zero for name, monoid in monoids.items()}
    kept = _room(member, count)
    if count == 0:
        return {name: monoid.report(monoid.zero) for name, monoid in monoids.items()}, kept

    def one(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        partial, kept = carry
        given, values = member(index)
        partial = {name: monoid.accumulate(partial[name], given[name]) for name, monoid in monoids.items()}
        return partial, jax.tree.map(
            lambda buffer, value: lax.dynamic_update_index_in_dim(buffer, value, index, 0), kept, dict(values)
        )

    strands = min(count, STRANDS)
    bounds = jnp.asarray([s * count // strands for s in range(strands + 1)], jnp.int32)

    def strand(kept: Any, s: Any) -> tuple[Any, Any]:
        if strands == count:
            partial, kept = one(s, (zero, kept))
        else:
            partial, kept = lax.fori_loop(bounds[s], bounds[s + 1], one, (zero, kept))
        return kept, partial

    kept, partials = lax.scan(strand, kept, jnp.arange(strands, dtype=jnp.int32))
    merged = {name: _merged(monoid, partials[name], strands) for name, monoid in monoids.items()}
    return {name: monoids[name].report(value) for name, value in merged.items()}, kept


def _room(member: Member, count: int) -> Any:
    shapes = jax.eval_shape(lambda: dict(member(jnp.int32(0))[1])) if count else {}
    return jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), shapes)


def _merged(monoid: Monoid, partials: Any, length: int) -> Any:
    """Merges neighbours until one of the stacked partial results is left."""
    if not jax.tree.leaves(partials):
        return partials  # there is nothing in them, and nothing to map over
    while length > 1:
        pairs = length // 2
        one = jax.tree.map(lambda x, n=pairs: x[: 2 * n : 2], partials)
        other = jax.tree.map(lambda x, n=pairs: x[1 : 2 * n : 2], partials)
        merged = lax.map(lambda both: monoid.merge(*both), (one, other))
        if length % 2:
            merged = jax.tree.map(lambda x, rest: jnp.concatenate([x, rest[-1:]]), merged, partials)
        partials, length = merged, pairs + length % 2
    return jax.tree.map(lambda x: x[0], partials)


def reduce_natively(monoid: Monoid, given: list[Any]) -> Any:
    """Folds what members gave, in their order, without compiling: for what cannot be compiled."""
    strands = min(len(given), STRANDS)
    partials: list[Any] = []
    for s in range(strands):
        partial = monoid.zero
        for k in range(s * len(given) // strands, (s + 1) * len(given) // strands):
            partial = monoid.accumulate(partial, given[k])
        partials.append(partial)
    while len(partials) > 1:
        left = partials[len(partials) // 2 * 2 :]
        pairs = zip(partials[::2], partials[1::2], strict=False)
        partials = [monoid.merge(one, other) for one, other in pairs] + left
    return monoid.report(partials[0] if partials else monoid.zero)
