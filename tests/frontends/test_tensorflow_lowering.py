# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow code inside JAX programs: the same values and gradients, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus import types
from foedus.foreign import NoJax, kind
from foedus.types import Sequence, to_type

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

TF = kind("tensorflow")


def traceable(fn: Callable[..., Any], spec: Any) -> Callable[[Any], Any]:
    leaf = TF.trace(fn, to_type(spec))
    found = TF.as_jax(leaf.payload)
    assert not isinstance(found, NoJax), found.reason
    return found


def reason(fn: Callable[..., Any], spec: Any) -> str:
    found = TF.as_jax(TF.trace(fn, to_type(spec)).payload)
    assert isinstance(found, NoJax)
    return found.reason


def network(x: Any, w: Any) -> Any:
    return tf.nn.softmax(tf.nn.gelu(x @ w["in"]) @ w["out"]), tf.argmax(x, axis=1)


SPEC = {"x": ("float32", (None, 4)), "w": {"in": ("float32", (4, 5)), "out": ("float32", (5, 3))}}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)
W_IN, W_OUT = (RNG.normal(size=s).astype(np.float32) for s in ((4, 5), (5, 3)))


def test_it_computes_what_tensorflow_computes_natively():
    leaf = TF.trace(network, types.Struct((("x", to_type(SPEC["x"])), ("w", to_type(SPEC["w"])))))
    fn = TF.as_jax(leaf.payload)
    assert not isinstance(fn, NoJax)
    with jax.enable_x64(True):
        for rows in (6, 1):
            native = TF.run(leaf.payload, (X[:rows], (W_IN, W_OUT)))
            compiled = jax.jit(fn)((X[:rows], (W_IN, W_OUT)))
            # The rounding of sums of a few products.
            np.testing.assert_allclose(compiled[0], native[0], rtol=1e-6)
            assert compiled[1].dtype == native[1].dtype == np.int64
            assert compiled[1].tolist() == native[1].tolist()


@pytest.mark.parametrize("name", [name for name in types.DTYPES if name != "str"])
def test_every_dtype(name: str):
    dtype = types.DTYPES[name]
    fn = traceable(lambda x: (tf.reverse(x, [0]), x[1:]), types.Tensor(dtype, (3,)))
    with jax.enable_x64(True):
        reversed_, rest = jax.jit(fn)(np.arange(3).astype(dtype))
    assert reversed_.dtype == rest.dtype == dtype
    assert np.asarray(reversed_).tolist() == np.arange(3).astype(dtype)[::-1].tolist()


TIES = np.array([1, 3, 3, 2, 3, 1], np.float32)
ODD = np.array([np.nan, np.inf, -np.inf, -0.0, 2.5, 3.5, 1e-42], np.float32)
WHOLE = np.array([[-(2**31), -7, 5], [2**31 - 1, 7, -5]], np.int32)
IMAGES = RNG.normal(size=(2, 6, 6, 3)).astype(np.float32)
DELICATE: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "round": (tf.round, ODD),
    "clip": (lambda x: tf.clip_by_value(x, -1, 1), ODD),
    "maximum": (lambda x: tf.maximum(x, 0.0), ODD),
    "most of all": (tf.reduce_max, ODD),
    "divide_no_nan": (lambda x: tf.math.divide_no_nan(x, 0.0), ODD),
    "floordiv": (lambda x: (x // 3, x % -3, tf.truncatediv(x, 3)), WHOLE),
    "overflow": (lambda x: (tf.reduce_sum(x * 5), tf.reduce_mean(x), x**3), WHOLE),
    "top_k": (lambda x: (tf.math.top_k(x, 3), tf.argmax(x), tf.argsort(x, stable=True)), TIES),
    "segments": (lambda x: tf.math.unsorted_segment_max(x, [0, -1, 1, 0, 3, 3], 5), TIES),
    "scatter": (lambda x: tf.tensor_scatter_nd_add(x, [[0], [0], [2]], [1.0, 2.0, 3.0]), TIES),
    "resize": (lambda x: tf.image.resize(x, (9, 4)), IMAGES),
    "pooling": (lambda x: (tf.nn.max_pool2d(x, 2, 2, "SAME"), tf.nn.avg_pool2d(x, 3, 2, "SAME")), IMAGES),
    "convolution": (lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 3, 2)), 2, "SAME"), IMAGES),
    "linear algebra": (lambda x: tf.linalg.inv(tf.matmul(x, x, transpose_b=True) + 9 * tf.eye(6)), IMAGES),
}


@pytest.mark.parametrize("name", DELICATE)
def test_delicate_operations_are_exact(name: str):
    """Ties, rounding, overflow, padding, and what is no number."""
    fn, value = DELICATE[name]
    leaf = TF.trace(fn, types.type_of(value))
    compiled = TF.as_jax(leaf.payload)
    assert not isinstance(compiled, NoJax), compiled.reason
    with jax.enable_x64(True):
        pairs = zip(
            jax.tree.leaves(TF.run(leaf.payload, value)),
            jax.tree.leaves(jax.jit(compiled)(value)),
            strict=True,
        )
    for native, other in pairs:
        assert native.dtype == other.dtype
        # Sums of some dozen products in another order; everything that is no sum is equal.
        np.testing.assert_allclose(other, native, rtol=1e-5, atol=1e-6)


def recurrent(xs: Any, w: Any) -> Any:
    """A loop of a length that is known when it is traced, as recurrent layers have."""

    def step(i: Any, state: Any) -> Any:
        return i + 1, tf.tanh(tf.linalg.matvec(w, state) + xs[i])

    length = xs.shape[0]
    _, state = tf.while_loop(lambda i, _: i < length, step, (0, tf.zeros(4)), maximum_iterations=length)
    return tf.reduce_sum(state**2)


def unrolled_by_autograph(xs: Any, w: Any) -> Any:
    state = tf.zeros((4,))
    for i in tf.range(tf.shape(xs)[0]):
        state = tf.tanh(tf.linalg.matvec(w, state) + xs[i])
    return tf.reduce_sum(state**2)


W = RNG.normal(size=(4, 4)).astype(np.float32) / 2
RECURRENT = types.Struct((("xs", to_type(("float32", (6, 4)))), ("w", to_type(("float32", (4, 4))))))


def gradient_of_tensorflow(xs: Any, w: Any) -> Any:
    w = tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch(w)
        loss = recurrent(tf.constant(xs), w)
    return tape.gradient(loss, w).numpy()


def test_gradients_are_those_of_tensorflow():
    fn = traceable(recurrent, RECURRENT)
    with jax.enable_x64(True):
        found = jax.jit(jax.grad(lambda w: fn((X, w))))(W)
    np.testing.assert_allclose(found, gradient_of_tensorflow(X, W), rtol=1e-5, atol=1e-7)


def test_a_gradient_that_xla_cannot_compile_says_why():
    fn = traceable(unrolled_by_autograph, RECURRENT)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(fn)((X, W)), recurrent(X, W), rtol=1e-5)
        with pytest.raises(ValueError, match=r"requires a fixed tensor list size"):
            jax.jit(jax.grad(lambda w: fn((X, w))))(W)


def test_gradients_pass_by_whole_numbers_and_what_is_not_used():
    def scaled(a: Any, i: Any, unused: Any) -> Any:
        return a**2 * tf.cast(i, tf.float64), i

    fn = traceable(scaled, {"a": "float64", "i": "int32", "unused": "float32"})
    with jax.enable_x64(True):

        def scalar(a: Any, unused: Any) -> Any:
            value, i = fn((a, np.int32(3), unused))
            return value + i

        found = jax.grad(scalar, argnums=(0, 1))(np.float64(2), np.float32(1))
    assert [(float(g), g.dtype) for g in found] == [(12.0, np.float64), (0.0, np.float32)]


def test_gradients_of_complex_numbers_are_those_of_jax():
    fn = traceable(lambda z: tf.math.real(z * z * (1 + 2j)), "complex64")
    with jax.enable_x64(True):
        z = np.complex64(1 - 3j)
        expected = jax.grad(lambda z: jnp.real(z * z * (1 + 2j)))(z)
        np.testing.assert_allclose(jax.grad(fn)(z), expected, rtol=1e-6)


def test_it_works_in_loops_and_under_vmap():
    fn = traceable(recurrent, RECURRENT)
    with jax.enable_x64(True):

        def step(w: Any, xs: Any) -> Any:
            return w - 0.1 * jax.grad(lambda w: fn((xs, w)))(w), None

        batches = np.stack([X, X[::-1]])
        scanned, _ = jax.jit(lambda w: jax.lax.scan(step, w, batches))(W)
        by_hand = W
        for xs in batches:
            by_hand = by_hand - 0.1 * gradient_of_tensorflow(xs, by_hand)
        np.testing.assert_allclose(scanned, by_hand, rtol=1e-5, atol=1e-6)

        mapped = jax.jit(jax.vmap(jax.grad(lambda w, xs: fn((xs, w))), (None, 0)))(W, batches)
        for found, xs in zip(mapped, batches, strict=True):
            np.testing.assert_allclose(found, gradient_of_tensorflow(xs, W), rtol=1e-5, atol=1e-7)


def test_captured_variables_are_constants_there_too():
    variable = tf.Variable([1.0, 2.0])
    fn = traceable(lambda x: x * variable, ("float32", (2,)))
    variable.assign([5.0, 5.0])
    with jax.enable_x64(True):
        assert jax.jit(fn)(np.ones(2, np.float32)).tolist() == [1.0, 2.0]


@tf.custom_gradient
def straight_through(x: Any) -> Any:
    return tf.round(x), lambda upstream: upstream * 5


def test_gradients_that_the_author_defined():
    leaf = TF.trace(lambda x: straight_through(x) * 2, to_type("float32"))
    fn = TF.as_jax(leaf.payload)
    assert not isinstance(fn, NoJax)
    with jax.enable_x64(True):
        assert jax.grad(fn)(np.float32(0.3)) == 10


def test_loaded_code_has_gradients_but_for_those_that_its_author_defined():
    for fn, expected in ((lambda x: x**2 * 3, 12.0), (straight_through, None)):
        leaf = TF.trace(fn, to_type("float32"))
        loaded = TF.decode(TF.encode(leaf.payload, leaf.type).data, leaf.type)
        found = TF.as_jax(loaded.payload)
        assert not isinstance(found, NoJax)
        with jax.enable_x64(True):
            assert jax.jit(found)(np.float32(2)) == TF.run(leaf.payload, np.float32(2))
            if expected is not None:
                assert jax.grad(found)(np.float32(2)) == expected
                continue
            with pytest.raises(LookupError, match="No gradient defined"):
                jax.grad(found)(np.float32(2))


def test_it_is_lowered_once():
    leaf = TF.trace(lambda x: x + 1, to_type("int32"))
    assert TF.as_jax(leaf.payload) is TF.as_jax(leaf.payload)


def looked_up(words: Any) -> Any:
    initial = tf.lookup.KeyValueTensorInitializer(tf.range(3), tf.range(3))
    return tf.lookup.StaticHashTable(initial, -1).lookup(words)


def with_variable(x: Any) -> Any:
    variable = tf.Variable(x)
    variable.assign_add(1.0)
    return variable.read_value()


def checked(x: Any) -> Any:
    tf.debugging.assert_positive(x)
    return x


@pytest.mark.parametrize(
    ("fn", "spec", "why"),
    [
        (lambda s: s.reduce(0, lambda n, e: n + e), Sequence(to_type("int32")), "tf.data.Dataset"),
        (lambda x: tf.data.Dataset.range(3), "int32", "tf.data.Dataset"),
        (lambda s: tf.strings.length(s), "str", "strings"),
        (lambda x: tf.strings.length(tf.strings.as_string(x)), "int32", "AsString"),
        (lambda x: x + 1, types.Tensor(np.dtype("int32"), None), "unknown rank"),
        (lambda k: tf.random.stateless_normal((2,), tf.bitcast(k, tf.int32)), types.KEY, "random numbers"),
        (checked, "float32", "assertions"),
        (looked_up, "int32", "XLA"),
        (with_variable, "float32", "XLA"),
        (lambda x: tf.numpy_function(lambda v: v, [x], tf.float32), "float32", "Python"),
        (lambda x: tf.unique(x)[0], ("int32", (4,)), "depends on its data"),
        (lambda x: tf.reduce_sum(tf.boolean_mask(x, x > 1)), ("int32", (4,)), "depends on its data"),
    ],
)
def test_what_has_no_exact_form_says_why(fn: Any, spec: Any, why: str):
    assert why in reason(fn, spec)
