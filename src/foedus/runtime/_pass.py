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
from foedus.runtime._merging import both_of, merged
from foedus.runtime._rows import row, with_row

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
    so_far: tuple[Any, Any],
    *,
    keeps: bool,
    longest: int,
    together: int,
) -> tuple[Any, Any]:
    """Folds runs of members, and merges the runs of a group.

    Args:
        member: What is done at one member.
        monoids: How each reduction folds.
        work: int32[slots, size, 3]: of each run of each group its first member, and where this call
            begins and ends in it; runs in which it does nothing come last.
        so_far: What an earlier call gave, in which this one goes on; then groups have one run. In the first
            call, a room of ``empty_room`` to write in, whatever it holds, and None.
        keeps: Whether anything is kept of a member.
        longest: How many members the longest run has.
        together: How many groups are folded at a time, as one batch.

    Returns:
        The room with the partial result of each group in the row of its slot, by name, and the kept values
        ``[slots * size, longest, ...]``, by name.
    """
    room, before = so_far
    shapes = jax.eval_shape(lambda: dict(member(jnp.int32(0))[1])) if keeps else {}
    slots, size = work.shape[:2]

    def run(span: Any, at: Any, place: Any, rooms: tuple[Any, Any]) -> tuple[Any, Any]:
        """Folds a run in a row of the partial results."""
        first, begin, end = span

        def one(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            partial, kept = carry
            gives, values = member(index)
            partial = {name: m.accumulate(partial[name], gives[name]) for name, m in monoids.items()}
            return partial, jax.tree.map(
                lambda all_, value: lax.dynamic_update_slice(
                    all_,
                    value[None, None],
                    (place, index - first, *[jnp.int32(0)] * value.ndim),
                    allow_negative_indices=False,
                ),
                kept,
                dict(values),
            )

        partials, kept = rooms
        start = _zero(monoids) if before is None else row(partials, at)
        partial, kept = lax.fori_loop(begin, end, one, (start, kept))
        return with_row(partials, partial, at), kept

    def group(spans: Any, slot: Any, slots: int, rooms: tuple[Any, Any]) -> tuple[Any, Any]:
        """Folds the runs of a group in the rows behind those of the slots, and merges them."""
        if size == 1:
            return run(spans[0], slot, slot, rooms)
        partials, kept = _loop(
            size, lambda i, rooms: run(row(spans, i), slots + i, slot * size + i, rooms), rooms
        )
        count = jnp.sum(spans[:, 2] > spans[:, 1])
        total = merged(both_of(monoids), lambda i: row(partials, slots + i), count, most=size)
        return with_row(partials, total, slot), kept

    def nothing(slots: int) -> Any:
        return jax.tree.map(lambda s: jnp.zeros((slots * size, longest, *s.shape), s.dtype), shapes)

    def alone(given: Any) -> tuple[Any, Any]:
        """A group in rooms of its own."""
        spans, so_far = given
        rooms = (empty_room(monoids, 1, size, together=1), nothing(1))
        if before is not None:
            rooms = jax.tree.map(lambda x: x[None], so_far)
        partials, kept = group(spans, jnp.int32(0), 1, rooms)
        return row(partials, 0), kept

    if together == 1:
        rooms = room, nothing(slots) if before is None else before
        return _loop(slots, lambda slot, rooms: group(row(work, slot), slot, slots, rooms), rooms)
    partials, kept = lax.map(alone, (work, None if before is None else so_far), batch_size=together)
    return partials, jax.tree.map(lambda x: x.reshape(slots * size, *x.shape[2:]), kept)


def empty_room(monoids: Mapping[str, Monoid], slots: int, size: int, *, together: int) -> Any:
    """Room for the partial results that ``fold`` writes: a row for each slot, and where groups of several
    runs are folded one after another, a row for each run of a group.
    """
    rows = slots if size == 1 or together > 1 else slots + size
    return jax.tree.map(lambda zero: jnp.zeros((rows, *zero.shape), zero.dtype), _zero(monoids))


def _loop(count: int, body: Callable[[Any, Any], Any], start: Any) -> Any:
    return lax.fori_loop(jnp.int32(0), jnp.int32(count), body, start)


def _zero(monoids: Mapping[str, Monoid]) -> dict[str, Any]:
    return {name: jax.tree.map(jnp.asarray, monoid.zero) for name, monoid in monoids.items()}


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
