# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A pass over all members of a placement, as compiled code: runs of members are folded, and the partial
results merged.

How the members are cut into runs depends on their number alone (spec, N3). Which worker folds which run,
how many runs are folded together as one batch, and whether a run is folded in several calls changes
nothing in the numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.runtime._evaluate import Monoid
from foedus.runtime._merging import both_of, merged, reader

STRANDS = 32
"""Into how many runs of members, at most, a reduction is cut (spec, N3)."""

Member = Callable[[Any], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""From a member's place in the order to what it gives to each reduction, and what of it is kept, by name."""


def strands_of(count: int) -> np.ndarray[Any, Any]:
    """Where the runs of ``count`` members begin, and the end of the last: int32[runs + 1]."""
    strands = min(count, STRANDS)
    return np.array([s * count // max(strands, 1) for s in range(strands + 1)], np.int32)


def fold(
    member: Member,
    monoids: Mapping[str, Monoid],
    work: Any,
    before: tuple[Any, Any] | None,
    *,
    longest: int,
    together: int,
) -> tuple[Any, Any]:
    """Folds runs of members, and merges the runs of a group.

    Args:
        member: What is done at one member.
        monoids: How each reduction folds.
        work: int32[slots, size, 3]: of each run of each group its first member, and where this call
            begins and ends in it; runs in which it does nothing come last.
        before: What an earlier call gave, None in the first; then groups have one run.
        longest: How many members the longest run has.
        together: How many groups are folded at a time, as one batch.

    Returns:
        By name, the partial results ``[slots, ...]``, and the kept values ``[slots * size, longest, ...]``.
    """
    shapes = jax.eval_shape(lambda: dict(member(jnp.int32(0))[1]))
    size = work.shape[1]

    def nothing() -> tuple[Any, Any]:
        zero = {name: jax.tree.map(jnp.asarray, monoid.zero) for name, monoid in monoids.items()}
        return zero, jax.tree.map(lambda s: jnp.zeros((longest, *s.shape), s.dtype), shapes)

    def run(span: Any, before: Any) -> Any:
        first, begin, end = span

        def one(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            partial, kept = carry
            gives, values = member(index)
            partial = {name: m.accumulate(partial[name], gives[name]) for name, m in monoids.items()}
            return partial, jax.tree.map(
                lambda room, value: lax.dynamic_update_index_in_dim(room, value, index - first, 0),
                kept,
                dict(values),
            )

        return lax.fori_loop(begin, end, one, nothing() if before is None else before)

    def group(given: Any) -> Any:
        spans, before = given
        if size == 1:
            partial, kept = run(spans[0], before)
            return partial, jax.tree.map(lambda x: x[None], kept)
        partials, kept = lax.map(lambda span: run(span, None), spans)
        count = jnp.sum(spans[:, 2] > spans[:, 1])
        return merged(both_of(monoids), reader(partials), count, most=size), kept

    partials, kept = lax.map(group, (work, before), batch_size=None if together == 1 else together)
    return partials, jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept)


def reduce_natively(monoid: Monoid, given: list[Any]) -> Any:
    """Folds what members gave, in their order, without compiling: for what cannot be compiled."""
    bounds = strands_of(len(given))
    partials: list[Any] = []
    for first, end in itertools.pairwise(bounds.tolist()):
        partial = monoid.zero
        for k in range(first, end):
            partial = monoid.accumulate(partial, given[k])
        partials.append(partial)
    while len(partials) > 1:
        left = partials[len(partials) // 2 * 2 :]
        pairs = zip(partials[::2], partials[1::2], strict=False)
        partials = [monoid.merge(one, other) for one, other in pairs] + left
    return monoid.report(partials[0] if partials else monoid.zero)
