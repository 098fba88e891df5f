# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Traced programs in other forms compute the same, and what XLA's CPU backend does badly is not in them
any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core

from foedus.runtime._rewrite import rewritten

NHWC = ("NHWC", "HWIO", "NHWC")
BOUND = 5e-6
"""Sums of some hundred products in float32, in another order; relative to the greatest number of an array."""


def primitives(jaxpr: core.Jaxpr, inside: str = "") -> Counter[str]:
    """How often each primitive is in a program; those in loops are counted as ``loop/name``."""
    found: Counter[str] = Counter()
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        found[inside + name] += 1
        for inner in core.jaxprs_in_params(equation.params):
            found += primitives(inner, "loop/" if name in ("scan", "while") else inside)
    return found


def of(function: Callable[..., Any], *arguments: Any) -> Counter[str]:
    return primitives(jax.make_jaxpr(function)(*arguments).jaxpr)


def same(function: Callable[..., Any], *arguments: Any) -> Counter[str]:
    """Checks that the other form computes the same, and says what is in it."""
    expected, found = jax.jit(function)(*arguments), jax.jit(rewritten(function))(*arguments)
    assert jax.tree.structure(expected) == jax.tree.structure(found)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(other, one, rtol=0, atol=BOUND * float(jnp.max(jnp.abs(one))))
    return of(rewritten(function), *arguments)


def normal(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng([seed, *shape]).normal(size=shape), jnp.float32)


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "same padding": {"padding": "SAME"},
    "strides": {"window_strides": (2, 1), "padding": "SAME"},
    "dilated kernel": {"rhs_dilation": (2, 1), "padding": "SAME"},
    "transposed": {"lhs_dilation": (2, 2), "padding": [(2, 2), (1, 1)]},
    "groups": {"feature_group_count": 2},
    "depthwise": {"feature_group_count": 4},
    "one pixel": {"kernel": (1, 1), "window_strides": (2, 2)},
    "few filters": {"out": 4},
    "cropped": {"padding": [(-1, 0), (0, -1)]},
}


def convolution(case: dict[str, Any], layout: Any) -> Callable[[Any, Any], Any]:
    options = {k: v for k, v in case.items() if k not in ("kernel", "out")}
    options = {"window_strides": (1, 1), "padding": "VALID"} | options
    return lambda x, k: lax.conv_general_dilated(x, k, dimension_numbers=layout, **options)


def images(case: dict[str, Any]) -> tuple[Any, Any]:
    groups = case.get("feature_group_count", 1)
    return normal(3, 9, 8, 4), normal(*case.get("kernel", (3, 2)), 4 // groups, case.get("out", 8))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_and_their_gradients(name: str):
    case = CONVOLUTIONS[name]
    convolve, (x, k) = convolution(case, NHWC), images(case)
    assert "conv_general_dilated" not in same(convolve, x, k)
    gradient = jax.grad(lambda x, k: jnp.sin(convolve(x, k)).sum(), (0, 1))
    assert "conv_general_dilated" not in same(gradient, x, k)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_with_features_first_and_of_many_kernels(name: str):
    case = CONVOLUTIONS[name]
    x, k = images(case)
    convolve = convolution(case, ("NCHW", "OIHW", "NCHW"))
    gradient = jax.grad(lambda x, k: jnp.sin(convolve(x, k)).sum(), (0, 1))
    turned = (x.transpose(0, 3, 1, 2), k.transpose(3, 2, 0, 1))
    assert "conv_general_dilated" not in same(gradient, *turned)
    many = jnp.stack([turned[1], -2 * turned[1]])
    same(jax.vmap(lambda k: gradient(turned[0], k)), many)


def test_convolutions_of_one_and_three_dimensions():
    same(lambda x, k: lax.conv(x, k, (1,), "SAME"), normal(2, 3, 11), normal(5, 3, 3))
    same(lambda x, k: lax.conv(x, k, (1, 2, 1), "SAME"), normal(2, 2, 5, 6, 7), normal(3, 2, 3, 2, 2))


@pytest.mark.parametrize(
    ("x", "k"),
    [
        pytest.param(normal(1, 40, 40, 1), normal(20, 20, 1, 1), id="a kernel whose patches would be huge"),
        pytest.param(jnp.ones((1, 5, 5, 1), jnp.int32), jnp.ones((2, 2, 1, 1), jnp.int32), id="integers"),
    ],
)
def test_some_convolutions_are_left(x: Any, k: Any):
    assert same(convolution({}, NHWC), x, k)["conv_general_dilated"] == 1


POOLS = {
    "tiles": ((2, 2), (2, 2), "VALID"),
    "overlapping": ((3, 3), (2, 2), "SAME"),
    "narrow": ((3, 2), (1, 1), "VALID"),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("reduce", [lax.max, lax.min, lax.add], ids=lambda f: f.__name__)
def test_pooling_and_its_gradient(name: str, reduce: Any):
    window, strides, padding = POOLS[name]
    neutral = {"max": -jnp.inf, "min": jnp.inf, "add": 0.0}[reduce.__name__]

    def pool(x: Any) -> Any:
        return lax.reduce_window(x, neutral, reduce, (1, *window, 1), (1, *strides, 1), padding)

    ties = jnp.round(normal(2, 9, 8, 3))  # An extreme that several have is the first one's.
    for function in (pool, jax.grad(lambda x: (pool(x) * normal(*pool(x).shape)).sum())):
        found = same(function, ties)
        assert not any(n.startswith(("reduce_window", "select_and_scatter")) for n in found)


@pytest.mark.parametrize(("a", "b"), [(40, 3), (3, 40), (40, 39), (8, 8)])
def test_narrow_products(a: int, b: int):
    def product(x: Any, d: Any) -> Any:
        return lax.dot_general(x, d, (((0,), (0,)), ((), ())))

    found = same(product, normal(7, a), normal(7, b))
    assert ("optimization_barrier" in found) == (min(a, b) == 3)


@pytest.mark.parametrize(
    ("tall", "narrow", "lies"), [(40, 3, True), (400, 64, True), (400, 65, False), (12, 4, False)]
)
def test_narrow_weights_lie_down_while_a_loop_trains_them(tall: int, narrow: int, lies: bool):
    x, y = normal(5, 4, tall), normal(5, 4, narrow)

    def train(weights: Any, steps: Any) -> Any:
        def loss(weights: Any, i: Any) -> Any:
            return jnp.mean((x[i] @ weights["w"] + weights["b"] - y[i]) ** 2)

        def step(i: Any, carry: Any) -> Any:
            weights, norm = carry
            gradients = jax.grad(loss)(weights, i)
            return jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradients), norm + jnp.sum(
                weights["w"] ** 2
            )

        return lax.fori_loop(0, steps, step, (weights, 0.0))

    start = {"w": normal(tall, narrow, seed=1), "b": normal(narrow)}
    for steps in (0, 5):
        same(train, start, jnp.int32(steps))
    traced = jax.make_jaxpr(rewritten(train))(start, jnp.int32(5))
    (loop,) = [e for e in traced.eqns if e.primitive.name == "while"]
    shapes = [variable.aval.shape for variable in loop.outvars]
    assert ((narrow, tall) in shapes) == lies


def test_weights_that_a_loop_only_reads_stay_as_they_are():
    def last(weights: Any, x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda i, c: (c[0], (c[1] @ c[0])[:, :1] + c[1]), (weights, x))

    found = same(last, normal(40, 3), normal(4, 40))
    assert found == of(last, normal(40, 3), normal(4, 40))


def recurrent(weights: Any, x: Any) -> Any:
    def step(h: Any, z: Any) -> Any:
        h = jnp.tanh(z + h @ weights["h"])
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[0], 16)), (x @ weights["x"]).swapaxes(0, 1))[1].sum()


def test_gradients_of_recurrent_weights_are_one_product():
    weights, x = {"h": normal(16, 16), "x": normal(3, 16)}, normal(2, 12, 3)
    gradient = jax.grad(recurrent)
    found = same(gradient, weights, x)
    assert of(gradient, weights, x)["loop/dot_general"] == 3
    assert found["loop/dot_general"] == 2  # one forward, one backward; the sum of products is outside
    assert found["dot_general"] > of(gradient, weights, x)["dot_general"]


@pytest.mark.parametrize("backward", [False, True])
def test_what_follows_from_other_rows_is_not_written_down_in_the_loop(backward: bool):
    def walk(start: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            s = jax.nn.sigmoid(x + h)
            after = h + s
            return after, (h, after, s, s * (1 - s), -s + 2, x, jnp.float32(3))

        return lax.scan(step, start, xs, reverse=backward)

    found = same(walk, normal(5), normal(8, 5))
    (scan,) = [
        e for e in jax.make_jaxpr(rewritten(walk))(normal(5), normal(8, 5)).eqns if e.primitive.name == "scan"
    ]
    assert len(scan.outvars) - scan.params["num_carry"] == 2  # after and s; the others follow
    assert found["concatenate"] == 1


def test_sums_that_are_read_on_the_way_are_left():
    def running(a: Any, b: Any) -> Any:
        def step(total: Any, i: Any) -> Any:
            total = total + jnp.outer(a[i], b[i])
            return total, total[0, 0]

        return lax.scan(step, jnp.zeros((8, 8)), jnp.arange(6))

    same(running, normal(6, 8), normal(6, 8))


def test_it_goes_into_loops_branches_and_functions():
    @jax.custom_jvp
    def clipped(x: Any) -> Any:
        return jnp.maximum(convolution({}, NHWC)(x, normal(2, 2, 4, 4)), 0)

    clipped.defjvp(lambda x, t: (clipped(*x), jnp.zeros_like(clipped(*x)) + t[0].sum()))

    def program(x: Any, n: Any) -> Any:
        def body(i: Any, x: Any) -> Any:
            y = lax.cond(i % 2 == 0, jax.jit(clipped), jax.checkpoint(lambda x: clipped(2 * x)), x)
            return lax.pad(y, 0.0, [(0, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 0)])

        return lax.fori_loop(0, n, body, x)

    found = same(program, normal(2, 6, 6, 4), jnp.int32(3))
    assert not any("conv_general_dilated" in name for name in found)


def test_a_program_with_nothing_to_change_is_as_it_was():
    def program(x: Any, y: Any) -> Any:
        return {"z": jax.jit(jnp.dot)(x, y), "scan": lax.scan(lambda c, v: (c + v, c), 0.0, y[0])}

    arguments = normal(3, 4), normal(4, 5)
    assert of(rewritten(program), *arguments) == of(program, *arguments)
