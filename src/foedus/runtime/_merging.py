# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Partial results that are merged with their neighbours, level by level, as compiled code (spec, N3).

Where merging is element-wise, several levels are written out and become one loop over the numbers of the
partial results, each of which is read once; nothing between them goes through memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from foedus.runtime._evaluate import Monoid
from foedus.runtime._rows import row

Both = Callable[[Any, Any], Any]
"""Merges two partial results."""
Reader = Callable[[Any], Any]
"""From the number of a partial result to the partial result."""

_READ_AT_ONCE = 512
"""How many arrays one piece of code reads; more would take long to compile."""
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "max", "min", "rem", "exp", "log", "sqrt", "pow"})
_LOGIC = frozenset({"and", "or", "xor", "not", "eq", "ne", "lt", "le", "gt", "ge", "select_n", "is_finite"})
_ELEMENT_WISE = _ARITHMETIC | _LOGIC | {"convert_element_type", "broadcast_in_dim", "copy"}
"""Operations of which one that is applied to many numbers is cheap to write out several times."""


@dataclass(frozen=True)
class Order:
    """Where the partial results of groups are, and where what members keep is.

    Args:
        groups: int32[groups, 2]: of each group of runs the worker that folded it, and in which slot.
        count: int32[], how many groups there are, at least one; the array may be longer.
        members: int32[members, 3]: of each member the worker that has what it keeps, in which of its
            runs, and where in it; None where members keep nothing.
    """

    groups: Any
    count: Any
    members: Any


jax.tree_util.register_dataclass(Order)


def merge(
    monoids: Mapping[str, Monoid], folded: list[tuple[Any, Any]], order: Order
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merges the partial results of all groups, and reports what is left.

    Args:
        monoids: How each reduction folds.
        folded: What ``fold`` gave, one entry for each worker.
        order: Where everything is.

    Returns:
        The results by name, and the kept values ``[members, ...]`` by name.
    """
    workers = [reader(partials) for partials, _ in folded]

    def group(i: Any) -> Any:
        worker, slot = row(order.groups, i)
        found = workers[0](slot)
        for number, own in enumerate(workers[1:], 1):
            found = jax.tree.map(partial(lax.select, worker == number), own(slot), found)
        return found

    total = merged(both_of(monoids), group, order.count, most=order.groups.shape[0])
    results = {name: monoid.report(total[name]) for name, monoid in monoids.items()}
    return results, _in_order([kept for _, kept in folded], order.members)


def both_of(monoids: Mapping[str, Monoid]) -> Both:
    """Merges two partial results of all reductions."""
    return lambda one, other: {name: monoid.merge(one[name], other[name]) for name, monoid in monoids.items()}


def reader(rows: Any) -> Reader:
    """Partial results ``[slots, ...]`` as a function of the slot."""
    return partial(row, rows)


def merged(both: Both, read: Reader, count: Any, *, most: int) -> Any:
    """Merges neighbours, then what came of them, until one is left; an odd one goes up as it is.

    Args:
        both: Merges two partial results, the former first.
        read: Gives a partial result.
        count: int32[], how many there are, at least one.
        most: How many there are at the most.

    Returns:
        The merged result.
    """
    one = jax.tree.map(jnp.asarray, read(0))
    arrays = len(jax.tree.leaves(one))
    if most == 1 or not arrays:
        return one
    light = _is_element_wise(both, one)
    width = 2
    while light and width < most and 2 * width * arrays <= _READ_AT_ONCE:
        width *= 2

    def part(first: Any) -> Any:
        rows = [read(first + i) for i in range(min(width, most))]
        return _of_part(both, rows, count - first, light=light)

    if width >= most:
        # In a condition that always holds, so that it is not computed again in all loops that use it.
        return lax.cond(count > 0, lambda: part(0), lambda: jax.tree.map(jnp.zeros_like, one))
    parts = -(-most // width)
    rows = lax.map(lambda number: part(number * width), jnp.arange(parts, dtype=jnp.int32))
    return merged(both, reader(rows), (count + width - 1) // width, most=parts)


def _of_part(both: Both, rows: list[Any], left: Any, *, light: bool) -> Any:
    """Merges partial results that are next to each other, of which as many as ``left`` says count."""
    apart = 1
    while len(rows) > 1:
        pairs = enumerate(zip(rows[::2], rows[1::2], strict=False))
        above = [
            _of_two(both, one, other, (2 * i + 1) * apart < left, light=light) for i, (one, other) in pairs
        ]
        rows, apart = above + rows[2 * len(above) :], 2 * apart
    return rows[0]


def _of_two(both: Both, one: Any, other: Any, counts: Any, *, light: bool) -> Any:
    """Two partial results merged, or the former if the latter does not count."""
    if not light:
        return lax.cond(counts, lambda: both(one, other), lambda: one)
    return jax.tree.map(partial(lax.select, counts), both(one, other), one)


def _is_element_wise(both: Both, one: Any) -> bool:
    return _only_element_wise(jax.make_jaxpr(both)(one, one).jaxpr)


def _only_element_wise(jaxpr: core.Jaxpr) -> bool:
    for equation in jaxpr.eqns:
        inner = core.jaxprs_in_params(equation.params)
        if equation.primitive.name != "jit" and equation.primitive.name not in _ELEMENT_WISE:
            return False
        if not all(map(_only_element_wise, inner)):
            return False
    return True


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
