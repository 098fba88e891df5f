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
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.runtime._evaluate import Monoid

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
    work: tuple[Any, Any],
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
            begins and ends in it; and int32[slots, size - 1, 2]: which runs of a group are merged, the
            second into the first, as far as the two differ.
        before: What an earlier call gave, None in the first; then groups have one run.
        longest: How many members the longest run has.
        together: How many groups are folded at a time, as one batch.

    Returns:
        By name, the partial results ``[slots, ...]``, and the kept values ``[slots * size, longest, ...]``.
    """
    shapes = jax.eval_shape(lambda: dict(member(jnp.int32(0))[1]))
    size = work[0].shape[1]

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
        spans, pairs, before = given
        if size == 1:
            partial, kept = run(spans[0], before)
            return partial, jax.tree.map(lambda x: x[None], kept)
        partials, kept = lax.map(lambda span: run(span, None), spans)
        number = jnp.sum(pairs[:, 0] != pairs[:, 1])
        return _reader(_merged_in_place(_both(monoids), partials, pairs, number))(0), kept

    partials, kept = lax.map(group, (*work, before), batch_size=None if together == 1 else together)
    return partials, jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept)


@dataclass(frozen=True)
class Order:
    """Where the partial results of groups are, what is merged with what, and where what members keep is.

    Args:
        groups: int32[groups, 2]: of each group of runs the worker that folded it, and in which slot.
        pairs: int32[pairs, 2]: after neighbouring groups are merged, the results that are merged, the second
            into the first.
        members: int32[members, 3]: of each member the worker that has what it keeps, in which of its
            runs, and where in it.
        count: int32[], how many groups there are, at least one; the arrays may be longer.
    """

    groups: Any
    pairs: Any
    members: Any
    count: Any


jax.tree_util.register_dataclass(Order)


@lru_cache(maxsize=STRANDS)
def pairs_of(count: int) -> np.ndarray[Any, Any]:
    """What is merged with what, level by level, of ``count`` results; an odd one goes up as it is (spec,
    N3).
    """
    found, step = [], 1
    while step < count:
        found += [(i, i + step) for i in range(0, count - step, 2 * step)]
        step *= 2
    return np.array(found, np.int32).reshape(-1, 2)


def merge(
    monoids: Mapping[str, Monoid], folded: list[tuple[Any, Any]], order: Order
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merges neighbouring partial results, level by level, and reports what is left.

    Args:
        monoids: How each reduction folds.
        folded: What ``fold`` gave, one entry for each worker.
        order: Where everything is.

    Returns:
        The results by name, and the kept values ``[members, ...]`` by name.
    """
    workers = [_reader(partials) for partials, _ in folded]

    def group(i: Any) -> Any:
        worker, slot = order.groups[i, 0], order.groups[i, 1]
        return workers[0](slot) if len(workers) == 1 else lax.switch(worker, workers, slot)

    total = _merged(_both(monoids), group, order) if jax.tree.leaves(folded[0][0]) else group(0)
    results = {name: monoid.report(total[name]) for name, monoid in monoids.items()}
    return results, _in_order([kept for _, kept in folded], order.members)


def _both(monoids: Mapping[str, Monoid]) -> Callable[[Any, Any], Any]:
    """Merges two partial results of all reductions."""
    return lambda one, other: {name: monoid.merge(one[name], other[name]) for name, monoid in monoids.items()}


def _merged(both: Callable[[Any, Any], Any], group: Callable[[Any], Any], order: Order) -> Any:
    """Merges neighbouring groups, and then in place what came of them, until one is left."""
    half = (order.groups.shape[0] + 1) // 2

    def neighbours(i: Any) -> Any:
        one = jax.tree.map(jnp.asarray, group(2 * i))
        return lax.cond(2 * i + 1 < order.count, lambda: both(one, group(2 * i + 1)), lambda: one)

    rows = lax.map(neighbours, jnp.arange(half, dtype=jnp.int32))
    if half > 1:
        rows = _merged_in_place(both, rows, order.pairs, (order.count + 1) // 2 - 1)
    return _reader(rows)(0)


def _merged_in_place(both: Callable[[Any, Any], Any], rows: Any, pairs: Any, number: Any) -> Any:
    """Merges rows in pairs, as many as ``number`` says, the second into the first."""

    def into_the_first(k: Any, rows: Any) -> Any:
        row, first = _reader(rows), pairs[k, 0]
        merged = both(row(first), row(pairs[k, 1]))
        return jax.tree.map(lambda x, new: lax.dynamic_update_index_in_dim(x, new, first, 0), rows, merged)

    return lax.fori_loop(0, number, into_the_first, rows) if jax.tree.leaves(rows) else rows


def _reader(rows: Any) -> Callable[[Any], Any]:
    """Partial results ``[slots, ...]`` as a function of the slot."""
    return lambda index: jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, index, keepdims=False), rows)


def _in_order(kept: list[Any], members: Any) -> Any:
    """What every member keeps, in the order of the members."""

    def gather(*rooms: Any) -> Any:
        found = None
        for worker, room in enumerate(rooms):
            own = room[members[:, 1], members[:, 2]]
            mine = (members[:, 0] == worker).reshape((-1,) + (1,) * (own.ndim - 1))
            found = own if found is None else jnp.where(mine, own, found)
        return found

    return jax.tree.map(gather, *kept)


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
