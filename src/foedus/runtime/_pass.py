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


def start(member: Member, monoids: Mapping[str, Monoid], slots: int, longest: int) -> tuple[Any, Any]:
    """The partial results of nobody, and room for what is kept.

    Args:
        member: What is done at one member.
        monoids: How each reduction folds.
        slots: How many runs there are.
        longest: How many members the longest run has.

    Returns:
        By name, the partial results ``[slots, ...]``, and the kept values ``[slots, longest, ...]``.
    """
    zero = {name: monoid.zero for name, monoid in monoids.items()}
    shapes = jax.eval_shape(lambda: dict(member(jnp.int32(0))[1]))

    def many(x: Any) -> Any:
        x = jnp.asarray(x)
        return jnp.broadcast_to(x, (slots, *x.shape))

    return jax.tree.map(many, zero), jax.tree.map(
        lambda s: jnp.zeros((slots, longest, *s.shape), s.dtype), shapes
    )


def fold(
    member: Member, monoids: Mapping[str, Monoid], spans: Any, before: tuple[Any, Any], *, together: int
) -> tuple[Any, Any]:
    """Folds runs of members.

    Args:
        member: What is done at one member.
        monoids: How each reduction folds.
        spans: int32[slots, 3]: of each run its first member, and where this call begins and ends in it.
        before: What ``start`` or an earlier call gave.
        together: How many runs are folded at a time, as one batch.

    Returns:
        The same after these members.
    """

    def strand(given: Any) -> Any:
        (first, begin, end), before = given

        def one(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            partial, kept = carry
            gives, values = member(index)
            partial = {name: m.accumulate(partial[name], gives[name]) for name, m in monoids.items()}
            return partial, jax.tree.map(
                lambda room, value: lax.dynamic_update_index_in_dim(room, value, index - first, 0),
                kept,
                dict(values),
            )

        return lax.fori_loop(begin, end, one, before)

    columns = (spans[:, 0], spans[:, 1], spans[:, 2])
    return lax.map(strand, (columns, before), batch_size=None if together == 1 else together)


@dataclass(frozen=True)
class Order:
    """Where the partial results of runs are, what is merged with what, and where what members keep is.

    Args:
        runs: int32[runs, 2]: of each run the worker that folded it, and in which slot.
        pairs: int32[pairs, 2]: after neighbouring runs are merged, the results that are merged, the
            second into the first.
        members: int32[members, 3]: of each member the worker that has what it keeps, in which slot, and where
            in it.
        count: int32[], how many runs there are, at least one; the arrays may be longer.
    """

    runs: Any
    pairs: Any
    members: Any
    count: Any


jax.tree_util.register_dataclass(Order)


@lru_cache(maxsize=STRANDS)
def pairs_of(count: int) -> np.ndarray[Any, Any]:
    """What is merged with what, level by level, of ``count`` results; an odd one goes up as it is (spec,
    N3)."""
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

    def run(i: Any) -> Any:
        worker, slot = order.runs[i, 0], order.runs[i, 1]
        return workers[0](slot) if len(workers) == 1 else lax.switch(worker, workers, slot)

    def both(one: Any, other: Any) -> Any:
        return {name: monoid.merge(one[name], other[name]) for name, monoid in monoids.items()}

    total = _merged(both, run, order) if jax.tree.leaves(folded[0][0]) else run(0)
    results = {name: monoid.report(total[name]) for name, monoid in monoids.items()}
    return results, _in_order([kept for _, kept in folded], order.members)


def _merged(both: Callable[[Any, Any], Any], run: Callable[[Any], Any], order: Order) -> Any:
    """Merges neighbouring runs, and then in place what came of them, until one is left."""
    half = (order.runs.shape[0] + 1) // 2

    def neighbours(i: Any) -> Any:
        one = jax.tree.map(jnp.asarray, run(2 * i))
        return lax.cond(2 * i + 1 < order.count, lambda: both(one, run(2 * i + 1)), lambda: one)

    def into_the_first(k: Any, rows: Any) -> Any:
        row, first = _reader(rows), order.pairs[k, 0]
        merged = both(row(first), row(order.pairs[k, 1]))
        return jax.tree.map(lambda x, new: lax.dynamic_update_index_in_dim(x, new, first, 0), rows, merged)

    rows = lax.map(neighbours, jnp.arange(half, dtype=jnp.int32))
    if half > 1:
        rows = lax.fori_loop(0, (order.count + 1) // 2 - 1, into_the_first, rows)
    return _reader(rows)(0)


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
