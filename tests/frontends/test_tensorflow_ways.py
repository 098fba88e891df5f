# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which way TensorFlow code runs in the local runtime: chosen, told, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus import runtime, types, wire
from foedus.errors import ArgumentError, TracingError, UnsupportedError
from foedus.foreign import Running, kind
from foedus.ir import Foreign
from foedus.types import to_type

tf = pytest.importorskip("tensorflow")
TensorflowInJax: Any = pytest.importorskip("foedus.frontends._tensorflow_embedding").TensorflowInJax

pytestmark = pytest.mark.tensorflow


def half(x: Any) -> Any:
    return x / 2


def halves(way: fd.Way | None) -> fd.Computation:
    """The sum of what clients have, halved by TensorFlow."""
    marked = fd.tensorflow(half, way=way)

    @fd.computation(fd.at_clients(fd.float32))
    def total(x: Any) -> Any:
        return fd.federated_sum(fd.federated_map(marked, x))

    return total


def run(computation: Any, *arguments: Any) -> tuple[Any, Any]:
    local = runtime.local()
    with fd.use(local):
        return computation(*arguments), local


def way_of(computation: Any) -> Running:
    (found,) = fd.explain(computation).ways
    return found.running


LINE = f"test_tensorflow_ways.py:{half.__code__.co_firstlineno}"


@pytest.mark.parametrize(
    ("way", "native", "expected"),
    [
        (None, (), (fd.Way.LOWERED, "it computes on numbers alone, and XLA compiles it exactly")),
        (fd.Way.LOWERED, (), (fd.Way.LOWERED, "it was told to be lowered, and XLA compiles it exactly")),
        (
            fd.Way.NATIVE,
            ("at CLIENTS: it was told to run natively",),
            (fd.Way.NATIVE, "it was told to run natively"),
        ),
    ],
)
def test_code_runs_the_way_it_is_told(way: fd.Way | None, native: tuple[str, ...], expected: Any):
    computation = halves(way)
    found, local = run(computation, [1.0, 4.0])
    assert found == 2.5
    assert local.native == native
    assert (local.statistics.native, local.statistics.compiled) == ((1, 0) if native else (0, 1))
    assert way_of(computation) == Running("half", LINE, *expected)


def test_the_reference_runs_all_ways_alike():
    with fd.use(runtime.reference()):
        assert [halves(way)([1.0, 4.0]) for way in (None, *fd.Way)] == [2.5] * 3


def test_what_xla_does_not_compile_runs_natively_unless_told_otherwise():
    @fd.tensorflow
    def digits(x: Any) -> Any:
        return tf.strings.length(tf.strings.as_string(x))

    @fd.computation(fd.at_clients(fd.int32))
    def total(x: Any) -> Any:
        return fd.federated_sum(fd.federated_map(digits, x))

    found, local = run(total, [7, 123])
    assert found == 4
    assert local.native == ("at CLIENTS: AsString: XLA has no such operation",)
    assert way_of(total).reason == "AsString: XLA has no such operation"


def test_two_ways_are_two_programs():
    digests = {
        leaf.digest
        for way in (None, *fd.Way)
        if isinstance(leaf := fd.tensorflow(half, way=way).at_type(fd.float32).node, Foreign)
    }
    assert len(digests) == 3


@pytest.mark.parametrize("way", [None, *fd.Way])
def test_the_way_travels(way: fd.Way | None):
    data = wire.encode_program(halves(way).node)
    loaded = fd.Computation(wire.decode_program(data, sender=wire.Sender.TRUSTED), "loaded")
    found, local = run(loaded, [1.0, 4.0])
    assert found == 2.5
    assert local.statistics.native == (way is fd.Way.NATIVE)
    assert way_of(loaded) == Running("a loaded leaf", None, way or fd.Way.LOWERED, way_of(halves(way)).reason)


def chosen(x: Any) -> Any:
    return tf.reduce_sum(tf.where(x > 0))


def spelled(x: Any) -> Any:
    return tf.strings.length(tf.strings.as_string(x))


def noisy(key: Any) -> Any:
    return tf.random.stateless_normal((2,), tf.bitcast(key, tf.int32))


def checked(x: Any) -> Any:
    return tf.debugging.check_numerics(x, "not finite")


IMPOSSIBLE: dict[str, tuple[Callable[[Any], Any], Any, str, str]] = {
    "a shape that depends on data": (
        chosen,
        ("float32", (4,)),
        "Where: the shape of something in it depends on its data, which XLA only bounds",
        "return tf.reduce_sum(tf.where(x > 0))",
    ),
    "an operation that XLA has not": (
        spelled,
        ("float32", (4,)),
        "AsString: XLA has no such operation",
        "return tf.strings.length(tf.strings.as_string(x))",
    ),
    "random numbers": (
        noisy,
        types.KEY,
        "StatelessRandomNormalV2: XLA draws other random numbers than TensorFlow does natively",
        "return tf.random.stateless_normal((2,), tf.bitcast(key, tf.int32))",
    ),
    "assertions": (
        checked,
        ("float32", (4,)),
        "CheckNumerics: it checks its data with assertions, which XLA leaves out",
        'return tf.debugging.check_numerics(x, "not finite")',
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_way_that_is_impossible_is_refused_when_the_leaf_is_built(name: str):
    fn, spec, found, source = IMPOSSIBLE[name]
    with pytest.raises(TracingError) as caught:
        fd.tensorflow(fn, way=fd.Way.LOWERED).at_type(to_type(spec))
    line = fn.__code__.co_firstlineno + 1
    assert str(caught.value) == "\n".join(
        [
            f"The TensorFlow code {fn.__name__!r} was told to be lowered to XLA, and cannot be",
            f"  found     {found}",
            "  expected  operations over numbers that XLA compiles exactly",
            f"  at        test_tensorflow_ways.py:{line}: {source}",
            "  hint      leave out way=Way.LOWERED, and it runs natively",
        ]
    )


@pytest.mark.parametrize("name", ["jax", "numpy"])
def test_other_kinds_run_one_way(name: str, refused: Any):
    with refused(
        ArgumentError,
        f"""
        Code of the kind {name!r} runs one way only
          found     way=Way.NATIVE
          expected  no way
          at        way, HERE
        """,
    ):
        kind(name).trace(half, to_type("float32"), way=fd.Way.NATIVE)


# ---------------------------------------------------------------- inside of local code in JAX


def weighted(x: Any, w: Any) -> Any:
    return tf.linalg.matvec(w, x), tf.reduce_sum(x * x)


X = np.array([1, 2, 3], np.float64)
W = np.arange(6, dtype=np.float64).reshape(2, 3) / 7


@pytest.mark.parametrize("way", fd.Way)
def test_values_and_gradients_are_exact_both_ways(way: fd.Way):
    embedded = TensorflowInJax(weighted, "weighted", way=way)
    with jax.enable_x64(True):
        product, square = jax.jit(embedded)(X, W)
        np.testing.assert_allclose(product, W @ X, rtol=1e-15)
        assert square == 14
        gradient = jax.jit(jax.grad(lambda x: jnp.sum(embedded(x, W)[0]) + embedded(x, W)[1]))(X)
        np.testing.assert_allclose(gradient, W.sum(axis=0) + 2 * X, rtol=1e-15)
        rows = jax.jit(jax.vmap(lambda x: embedded(x, W)[0]))(np.stack([X, 2 * X]))
        np.testing.assert_allclose(rows, np.stack([W @ X, 2 * W @ X]), rtol=1e-15)
    assert (embedded.native_calls > 0) == (way is fd.Way.NATIVE)
    assert embedded.running.way is way


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64", "complex128", "complex64", "int8", "bool"])
def test_native_calls_keep_every_bit(dtype: str):
    embedded = TensorflowInJax(lambda x: tf.reverse(x, [0]), "turned", way=fd.Way.NATIVE)
    values = np.array([0, 1, 2]).astype(dtype)
    if dtype in ("int64", "uint64"):
        values += np.asarray(2**40 + 1).astype(dtype)
    elif dtype.startswith(("float", "complex")):
        values = (values + np.asarray(1 / 3).astype(dtype)) * (1 + 2j if dtype.startswith("c") else 1)
        values = values.astype(dtype)
    with jax.enable_x64(True):
        found = jax.jit(embedded)(values)
        assert found.dtype == dtype
        assert np.asarray(found).tolist() == values[::-1].tolist()


def powers(x: Any) -> Any:
    """Squares until one is large: nobody knows how often when it is traced, which a gradient needs in XLA."""
    return tf.while_loop(lambda y: tf.reduce_max(y) < 50, lambda y: [y * y], [x])[0]


def test_what_has_no_gradient_in_xla_runs_natively():
    embedded = TensorflowInJax(powers, "powers")
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda x: jnp.sum(embedded(x))))(np.array([2, 3], np.float32))
    # Two squares make the fourth power.
    assert gradient.tolist() == [4 * 2.0**3, 4 * 3.0**3]
    assert embedded.running.way is fd.Way.NATIVE
    assert "of its gradient: TensorFlow cannot compile it with XLA" in embedded.running.reason
    assert embedded.native_calls == 1


def test_it_is_refused_if_it_was_told_otherwise():
    embedded = TensorflowInJax(powers, "powers", way=fd.Way.LOWERED)
    with pytest.raises(TracingError, match="'powers' was told to be lowered to XLA, and cannot be"):
        jax.jit(embedded)(np.array([2, 3], np.float32))


def test_python_code_runs_natively():
    embedded = TensorflowInJax(
        lambda x: tf.ensure_shape(tf.numpy_function(lambda v: v + 1, [x], tf.float32), (2,)), "python"
    )
    assert jax.jit(embedded)(np.zeros(2, np.float32)).tolist() == [1, 1]
    assert embedded.running.reason == "PyFunc: it calls Python"


def test_native_code_inside_jax_does_not_travel(refused: Any):
    embedded = TensorflowInJax(half, "half", way=fd.Way.NATIVE)
    leaf = kind("jax").trace(lambda x: embedded(x), to_type("float32"))
    assert kind("jax").running(leaf.payload) == (
        Running("half", LINE, fd.Way.NATIVE, "it was told to run natively"),
    )
    with refused(
        UnsupportedError,
        """
        Local code that calls 'half' natively cannot be written to bytes
          found     it was told to run natively
          expected  code that is compiled as a whole
          at        HERE
          hint      lower it, with way=Way.LOWERED, where that is possible
        """,
    ):
        kind("jax").encode(leaf.payload, leaf.type)


def test_equal_native_code_is_equal():
    def leaf(factor: float) -> str:
        embedded = TensorflowInJax(lambda x: x * factor, "scaled", way=fd.Way.NATIVE)
        return kind("jax").trace(lambda x: embedded(x), to_type("float32")).digest

    assert leaf(2.0) == leaf(2.0) != leaf(3.0)


def test_many_workers_call_back_without_waiting_for_each_other():
    """Arrays are large enough to be copied by threads of XLA, which calls back in all that it has."""
    size = 600
    embedded = TensorflowInJax(lambda w, x: tf.linalg.matvec(w, x), "product", way=fd.Way.NATIVE)
    eye = np.eye(size, dtype=np.float32)

    def work(w: Any, xs: Any) -> Any:
        return jnp.sum(xs.fold(lambda total, x: total + embedded(w, x), jnp.zeros(size, jnp.float32)))

    @fd.computation(fd.at_server(types.type_of(eye)), fd.at_clients(fd.sequence(("float32", (size,)))))
    def total(w: Any, xs: Any) -> Any:
        return fd.federated_sum(fd.federated_map(work, (fd.federated_broadcast(w), xs)))

    with fd.use(runtime.local(workers=4)):
        assert total(eye, [np.ones((3, size), np.float32)] * 8) == 8 * 3 * size
    assert embedded.native_calls == 24
