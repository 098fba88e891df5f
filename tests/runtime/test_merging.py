# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Merging partial results: the tree of the spec (N3), however the code that does it is cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus.runtime._columns import bucket
from foedus.runtime._merging import merged, reader


def by_the_spec(rows: list[int], both: Callable[[Any, Any], Any]) -> int:
    """Neighbours are merged, level by level; an odd one goes up as it is."""
    while len(rows) > 1:
        pairs = zip(rows[::2], rows[1::2], strict=False)
        rows = [both(a, b) for a, b in pairs] + rows[len(rows) // 2 * 2 :]
    return rows[0]


def shows_the_grouping(one: Any, other: Any) -> Any:
    """Neither commutes nor associates; in whole numbers, so that nothing is rounded."""
    return one * 31 + other * 17 + 1


def with_a_loop(one: Any, other: Any) -> Any:
    """The same, in a form that is not element-wise."""
    return jax.tree.map(
        lambda a, b: jax.lax.fori_loop(0, 31, lambda _, total: total + a, b * 17 + 1), one, other
    )


def written_out(one: Any, other: Any) -> Any:
    return jax.tree.map(shows_the_grouping, one, other)


@pytest.mark.parametrize("both", [written_out, with_a_loop])
@pytest.mark.parametrize("arrays", [1, 20, 200])  # All levels in one piece of code, a few, one at a time.
def test_the_tree_is_that_of_the_spec(both: Callable[[Any, Any], Any], arrays: int):
    counts = range(1, 33) if arrays == 1 else (5, 27) if arrays == 20 else (2, 5)
    with jax.enable_x64(True):
        for most in sorted({bucket(count) for count in counts}):
            rows = np.random.default_rng(most).integers(0, 9, (most, 2))
            given = (jnp.asarray(rows),) * arrays
            program = jax.jit(lambda rows, count, m=most: merged(both, reader(rows), count, most=m))
            for count in (count for count in counts if bucket(count) == most):
                found = program(given, np.int32(count))
                expected = by_the_spec([*rows[:count].astype(object)], lambda a, b: shows_the_grouping(a, b))
                assert np.array_equal(found[0], np.array(expected % 2**64, np.uint64).astype(np.int64))
                assert all(np.array_equal(one, found[0]) for one in found)


def test_nothing_to_merge_is_no_code():
    assert jax.tree.leaves(merged(written_out, lambda _: {"nothing": ()}, jnp.int32(5), most=8)) == []
