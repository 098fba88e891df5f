# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What stays the same in a loop is transposed before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from foedus.runtime._hoisting import hoisted

TALL = np.arange(12, dtype=np.float32).reshape(6, 2)


def transposes(jaxpr: core.Jaxpr, depth: int = 0) -> list[int]:
    """How many loops each step that transposes is in."""
    found = [depth for step in jaxpr.eqns if step.primitive.name == "transpose"]
    for step in jaxpr.eqns:
        inner = depth + (step.primitive.name == "while")
        found += [d for part in core.jaxprs_in_params(step.params) for d in transposes(part, inner)]
    return found


def before_and_after(function: Callable[..., Any], *arguments: Any) -> tuple[list[int], list[int]]:
    """Where a function transposes, and where once that is taken out of its loops; the results are equal."""
    traced = jax.make_jaxpr(function)(*arguments)
    lean = core.ClosedJaxpr(hoisted(traced.jaxpr), traced.consts)
    flat = jax.tree.leaves(arguments)
    for one, other in zip(core.jaxpr_as_fun(traced)(*flat), core.jaxpr_as_fun(lean)(*flat), strict=True):
        assert np.array_equal(one, other)
    return transposes(traced.jaxpr), transposes(lean.jaxpr)


def test_out_of_all_loops_that_do_not_change_it():
    def nested(weights: Any, times: Any) -> Any:
        def inner(_: Any, lying: Any) -> Any:
            return lying + lax.transpose(weights, (1, 0))

        def outer(_: Any, total: Any) -> Any:
            start = lax.transpose(weights, (1, 0)) * 2
            return total + lax.transpose(lax.fori_loop(0, times, inner, start), (1, 0))

        return lax.fori_loop(0, times, outer, weights)

    assert before_and_after(nested, TALL, jnp.int32(3)) == ([1, 1, 2], [0, 0, 1])


def test_what_a_loop_changes_is_transposed_in_it():
    def changing(weights: Any, times: Any) -> Any:
        return lax.fori_loop(
            0, times, lambda i, w: w + lax.transpose(lax.transpose(w, (1, 0)) * i, (1, 0)), weights
        )

    assert before_and_after(changing, TALL, jnp.int32(3)) == ([1, 1], [1, 1])


def test_only_as_far_as_it_stays_the_same():
    def half(weights: Any, times: Any) -> Any:
        def outer(i: Any, w: Any) -> Any:
            return lax.fori_loop(
                0, times, lambda _, v: v + lax.transpose(lax.transpose(w, (1, 0)), (1, 0)), w
            )

        return lax.fori_loop(0, times, outer, weights)

    assert before_and_after(half, TALL, jnp.int32(2)) == ([2, 2], [1, 2])


def test_a_loop_whose_result_is_transposed_stays_correct():
    def kept(weights: Any, times: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            return lax.transpose(weights, (1, 0)), carry[1] + 1

        return lax.while_loop(lambda carry: carry[1] < times, lambda c: step(0, c), (jnp.zeros((2, 6)), 0))

    assert before_and_after(kept, TALL, jnp.int32(2)) == ([1], [0])
    assert before_and_after(kept, TALL, jnp.int32(0)) == ([1], [0])
