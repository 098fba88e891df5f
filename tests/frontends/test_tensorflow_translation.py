# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is translated does the same as TensorFlow, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
CLOSE = 2e-5
"""Sums of up to 300 float32 numbers of size one, in another order."""


def translated(apply: Callable[..., list[Any]], flat: list[Any]) -> Callable[..., Any] | None:
    from foedus.frontends import _tensorflow_translation

    return _tensorflow_translation.translated(apply, flat)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.normal(size=shape).astype(np.float32)


POSITIVE = np.abs(normal(3, 4)) + np.float32(0.5)
IMAGES, KERNEL, DEEP = normal(2, 7, 6, 3), normal(3, 2, 3, 4), normal(3, 2, 3, 2)
SCALES = (normal(3), normal(3), normal(3), np.abs(normal(3)) + np.float32(0.5))
ROWS = normal(5, 4)

OF_ONE: dict[str, Callable[[Any], Any]] = {
    "numbers": lambda x: tf.abs(x) + tf.exp(x) - tf.square(x) * tf.sign(x) + tf.math.expm1(-x) / (1 + x * x),
    "roots": lambda x: tf.sqrt(tf.abs(x) + 1) + tf.math.rsqrt(tf.abs(x) + 1) + tf.math.log1p(x * x),
    "activations": lambda x: tf.nn.relu(x) + tf.nn.elu(x) + tf.nn.softplus(x) + tf.nn.leaky_relu(x, 0.1),
    "more activations": lambda x: tf.sigmoid(x) * tf.tanh(x) + tf.nn.relu6(5 * x) + tf.math.erf(x),
    "softmax": lambda x: tf.nn.softmax(x) + tf.nn.log_softmax(2 * x),
    "reductions": lambda x: tf.reduce_mean(x, 0) + tf.reduce_max(x, 0) - tf.reduce_prod(x, 0),
    "least": lambda x: tf.reduce_min(x, 1),
    "sums": lambda x: tf.reduce_sum(x, 1, keepdims=True) + tf.add_n([x, x, 2 * x]),
    "choices": lambda x: tf.where(x > 0, x, 2 * x) + tf.maximum(x, 0.3) - tf.minimum(x, -0.1),
    "comparisons": lambda x: tf.cast((x >= 0) & ~(x < -1) | (x <= -2), tf.float32) * x,
    "shapes": lambda x: tf.reshape(tf.transpose(x), [2, -1])[:, 1:3] + tf.squeeze(x[None, :2, :2], 0),
    "joined": lambda x: tf.concat([x, tf.pad(x, [[0, 1], [0, 0]])], 0) + tf.tile(x[:1], [7, 1]),
    "parts": lambda x: tf.stack([*tf.unstack(x), tf.split(x, 3)[0][0]]) + tf.split(x, [1, 3], 1)[0][:1],
    "chosen": lambda x: tf.gather(x, [2, 0, 2]) + tf.one_hot([0, 2, 1], 4) * x,
    "stopped": lambda x: tf.stop_gradient(x) * x + tf.zeros_like(x) + tf.fill([3, 4], 2.0) * tf.ones_like(x),
    "powers": lambda x: tf.pow(tf.abs(x) + 1, 1.5) + tf.math.divide_no_nan(x, tf.nn.relu(x)),
    "broadcast": lambda x: tf.broadcast_to(x[:1], [3, 4]) + tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]),
    "logarithm": lambda x: tf.math.log(tf.abs(x) + 1) + tf.math.floormod(tf.abs(x) + 2, 1e9),
}
OF_SEVERAL: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "products": (lambda a, b: a @ b + tf.matmul(b, a, True, True), (normal(4, 4), normal(4, 4))),
    "batched products": (lambda a, b: tf.matmul(a, b, transpose_b=True), (normal(2, 3, 4), normal(2, 5, 4))),
    "einsum": (lambda a, b: tf.einsum("bij,bkj->bik", a, b), (normal(2, 3, 4), normal(2, 5, 4))),
    "convolution": (lambda x, k: tf.nn.conv2d(x, k, [1, 2, 1, 1], "SAME"), (IMAGES, KERNEL)),
    "valid convolution": (lambda x, k: tf.nn.conv2d(x, k, 1, "VALID", dilations=2), (IMAGES, KERNEL)),
    "depthwise": (lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"), (IMAGES, DEEP)),
    "greatest": (lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (IMAGES,)),
    "average": (lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), (IMAGES,)),
    "batch norm": (
        lambda x, mean, offset, scale, variance: tf.nn.batch_normalization(
            x, mean, variance, offset, scale, 1e-3
        ),
        (IMAGES, *SCALES),
    ),
    "positive": (lambda x: tf.math.log(x) + x**-2, (POSITIVE,)),
    "called": (tf.function(lambda x: tf.argmax(x, 1, tf.int32)), (ROWS,)),
}
CASES = {name: (fn, (normal(3, 4),)) for name, fn in OF_ONE.items()} | OF_SEVERAL


@pytest.mark.parametrize("name", CASES)
def test_equals_tensorflow(name: str):
    fn, given = CASES[name]
    in_jax = translated(lambda *flat: [fn(*flat)], list(given))
    assert in_jax is not None
    expected = fn(*map(tf.constant, given))
    (found,) = jax.jit(in_jax)(list(given))
    assert (found.shape, found.dtype) == (tuple(expected.shape), expected.dtype.as_numpy_dtype)
    np.testing.assert_allclose(found, expected.numpy(), CLOSE, CLOSE)
    if not expected.dtype.is_floating:
        return
    upstream = normal(*expected.shape)
    with tf.GradientTape() as tape:
        variables = [tf.constant(one) for one in given]
        tape.watch(variables)
        total = tf.reduce_sum(fn(*variables) * upstream)
    wanted = tape.gradient(total, variables, unconnected_gradients="zero")
    arrays = [jnp.asarray(one) for one in given]
    gradients = jax.grad(lambda flat: jnp.sum(in_jax(flat)[0] * upstream))(arrays)
    for one, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(one, tf.convert_to_tensor(other).numpy(), 10 * CLOSE, 10 * CLOSE)


def test_dropout_keeps_a_share_that_its_seed_decides():
    def dropped(x: Any, seed: Any) -> list[Any]:
        return [tf.where(tf.random.stateless_uniform(x.shape, seed) >= 0.25, x / 0.75, 0.0)]

    given = [np.ones((400, 100), np.float32), np.array([1, 2], np.int32)]
    in_jax = translated(dropped, given)
    assert in_jax is not None
    (one,), (again,) = in_jax(given), in_jax(given)
    (other,) = in_jax([given[0], np.array([7, 2], np.int32)])
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert set(np.unique(one)) == {0, np.float32(1 / 0.75)}
    # 40,000 draws: five standard deviations of the share are 0.011.
    assert abs(float(np.mean(np.asarray(one) > 0)) - 0.75) < 0.011


def test_what_is_not_translated():
    variable = tf.Variable(1.0)
    cases: dict[str, tuple[Callable[..., Any], Any]] = {
        "a loop": (lambda x: tf.while_loop(lambda i: i < 3, lambda i: [i + x], [x])[0], np.float32(0.5)),
        "a variable": (lambda x: x * variable, np.float32(2)),
        "another operation": (lambda x: tf.linalg.svd(x, compute_uv=False), normal(3, 3)),
        "a gradient of its author's": (tf.nn.silu, normal(3)),
        "Python": (lambda x: tf.numpy_function(lambda a: a, [x], tf.float32), normal(3)),
    }
    for name, (fn, given) in cases.items():
        assert translated(lambda x, fn=fn: [fn(x)], [given]) is None, name
