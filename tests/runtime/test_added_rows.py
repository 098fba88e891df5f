# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that a step of training changes are added to the weights themselves, where that computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from foedus.runtime._added_rows import added_rows
from foedus.runtime._rewrite import rewritten

TABLE = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
READ = np.array([7, 3, 39, 0, 11], np.int32)
ROWS = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def zeros_with(rows: Any, read: Any) -> Any:
    return jnp.zeros_like(TABLE).at[read].add(rows)


def step(table: Any, read: Any, rows: Any) -> Any:
    """A step of gradient descent on the rows of an embedding that a batch reads."""
    slope = jax.grad(lambda t: jnp.sum(jnp.sin(t[read]) * rows))(table)
    return jax.tree.map(lambda w, g: w + -0.5 * g, table, slope)


def found_in(function: Callable[..., Any], *arguments: Any) -> int:
    return len(added_rows(jax.make_jaxpr(function)(*arguments).jaxpr))


def both(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    return jax.jit(function)(*arguments), jax.jit(rewritten(function))(*arguments)


def test_no_bit_differs_where_each_row_is_read_once():
    assert found_in(step, TABLE, READ, ROWS) == 1
    one, other = both(step, TABLE, READ, ROWS)
    np.testing.assert_array_equal(one, other)
    assert np.count_nonzero(np.any(np.asarray(other) != TABLE, axis=1)) == len(READ)


@given(st.lists(st.integers(0, 39), min_size=5, max_size=5))
def test_rows_that_are_read_twice_get_both_sums(read: list[int]):
    one, other = both(step, TABLE, np.array(read, np.int32), ROWS)
    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def test_nothing_as_large_as_the_weights_is_made():
    text = str(jax.make_jaxpr(rewritten(step))(TABLE, READ, ROWS))
    assert "scatter" in text
    assert "f32[40,3] = broadcast_in_dim" not in text
    assert "f32[40,3] = mul" not in text


def train(table: Any, read: Any, rows: Any) -> Any:
    return lax.fori_loop(0, 4, lambda i, t: step(t, (read + i) % 40, rows), table)


def scanned(table: Any, read: Any, rows: Any) -> Any:
    def body(t: Any, i: Any) -> tuple[Any, Any]:
        after = step(t, (read + i) % 40, rows)
        return after, after

    return lax.scan(body, table, jnp.arange(4))


@pytest.mark.parametrize("loop", [train, scanned, jax.jit(train)])
def test_loops(loop: Callable[..., Any]):
    one, other = both(loop, TABLE, READ, ROWS)
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda t, read, rows: t + zeros_with(rows, read), 1),
        (lambda t, read, rows: t + -(zeros_with(rows, read) * 2), 1),
        (lambda t, read, rows: zeros_with(rows, read) * 2 + t, 1),
        (lambda t, read, rows: zeros_with(rows, read) * 2 + t.at[read].add(rows), 1),
        # What is added is used for something else as well, is not zero elsewhere, or does not stay so.
        (lambda t, read, rows: (lambda z: (t + z, z))(zeros_with(rows, read)), 0),
        (lambda t, read, rows: (lambda z: t + z + z * 2)(zeros_with(rows, read)), 0),
        (lambda t, read, rows: t + jnp.ones_like(t).at[read].add(rows), 0),
        (lambda t, read, rows: t + jnp.exp(zeros_with(rows, read)), 0),
        (lambda t, read, rows: t + zeros_with(rows, read) * jnp.inf, 0),
        (lambda t, read, rows: t + zeros_with(rows, read) * rows[0, 0], 0),
        (lambda t, read, rows: t * zeros_with(rows, read), 0),
        # A table that is hardly larger than what is read of it.
        (lambda t, read, rows: t[:5] + jnp.zeros((5, 3), t.dtype).at[read % 5].add(rows), 0),
    ],
)
def test_what_is_put_differently(function: Callable[..., Any], count: int):
    assert found_in(function, TABLE, READ, ROWS) == count
    one, other = both(function, TABLE, READ, ROWS)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), one, other)
