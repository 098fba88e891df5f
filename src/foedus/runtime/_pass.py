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


def merge(
    monoids: Mapping[str, Monoid], folded: list[tuple[Any, Any]], runs: Any, members: Any, count: Any
) -> tuple[Any, Any]:
    """Merges neighbouring partial results, level by level, and reports what is left.

    Args:
        monoids: How each reduction folds.
        folded: What ``fold`` gave, one entry for each worker.
        runs: int32[runs, 2]: which worker folded a run, and in which slot.
        members: int32[members, 3]: which worker has what a member keeps, in which slot, and where in it.
        count: How many runs there are, at least one; ``runs`` may be longer.

    Returns:
        The results by name, and the kept values ``[members, ...]`` by name.
    """
    results = {}
    for name, monoid in monoids.items():
        workers = [_reader(own[name]) for own, _ in folded]

        def run(i: Any, workers: list[Callable[[Any], Any]] = workers) -> Any:
            return (
                workers[0](runs[i, 1]) if len(workers) == 1 else lax.switch(runs[i, 0], workers, runs[i, 1])
            )

        results[name] = monoid.report(_merged(monoid, run, runs.shape[0], count))
    return results, _in_order([kept for _, kept in folded], members)


def _merged(monoid: Monoid, partial: Callable[[Any], Any], length: int, count: Any) -> Any:
    """Merges neighbours until one of the first ``count`` partial results is left."""
    if length == 1 or not jax.tree.leaves(monoid.zero):
        return partial(jnp.int32(0))

    def pair(i: Any) -> Any:
        one = jax.tree.map(jnp.asarray, partial(2 * i))
        return lax.cond(2 * i + 1 < count, lambda: monoid.merge(one, partial(2 * i + 1)), lambda: one)

    half = (length + 1) // 2
    merged = lax.map(pair, jnp.arange(half, dtype=jnp.int32))
    return _merged(monoid, _reader(merged), half, (count + 1) // 2)


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
