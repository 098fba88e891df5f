# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of runtimes for programs whose local code is TensorFlow's, compiled and native."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.data import Batch, Cohort, Ragged, Repeat, Shuffle, cohort_of
from foedus.types import KEY, Sequence, to_type

from . import runtime_laws as laws
from .examples import Example, at_clients, at_server, each, example, real, same, whole

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

EXAMPLES: list[Example] = []
COUNTS = (0, 1, 2, 33)
COMPILED = (
    "sums_of_every_sort",
    "gradient_steps",
    "folds_of_lowered_code",
    "folds_of_lowered_code_over_batches_with_numbers",
    "mixed_with_jax",
    "aggregates",
)
"""Examples whose local code runs compiled, and never natively."""
SIZES = (5, 0, 3, 13, 1, 8, 4)
"""Numbers of elements, by client."""
INTS = Sequence(to_type("int32"))
ROWS = Sequence(to_type({"x": ("float32", (2,)), "word": "str"}))


def ints(rng: np.random.Generator, i: int) -> Any:
    return rng.integers(0, 1000, SIZES[i % len(SIZES)], dtype=np.int32)


def rows(rng: np.random.Generator, i: int) -> Any:
    n = SIZES[i % len(SIZES)]
    words = np.array([f"{i}é{k % 3}" for k in range(n)], dtype=object)
    return {"x": rng.uniform(0.5, 1.5, (n, 2)).astype(np.float32), "word": words}


@example(
    EXAMPLES,
    at_clients({"a": "int8", "b": "uint64", "c": ("float64", (3,)), "d": "bool"}),
    data=(each(lambda r, i: {"a": whole("int8")(r, i), "b": whole("uint64")(r, i),
                             "c": real("float64", (3,))(r, i), "d": bool(i % 2)}),),
    counts=COUNTS,
)  # fmt: skip
def sums_of_every_sort(x: Any) -> Any:
    @fd.tensorflow
    def work(v: Any) -> Any:
        return {"a": v["a"] * 2, "b": v["b"] + 1, "c": tf.where(v["d"], v["c"], -v["c"])}

    return fd.federated_sum(fd.federated_map(work, x))


@example(
    EXAMPLES,
    at_clients({"x": ("float32", (8, 3)), "y": ("float32", (8,))}),
    at_server(("float32", (3,))),
    data=(
        each(lambda r, i: {"x": real(shape=(8, 3))(r, i), "y": real(shape=(8,))(r, i)}),
        same(np.ones(3, np.float32)),
    ),
    counts=(1, 2, 33),
)
def gradient_steps(data: Any, weights: Any) -> Any:
    @fd.tensorflow
    def train(data: Any, weights: Any) -> Any:
        for _ in range(5):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_mean((tf.linalg.matvec(data["x"], weights) - data["y"]) ** 2)
            weights -= 0.05 * tape.gradient(loss, weights)
        return weights

    return fd.federated_mean(fd.federated_map(train, (data, fd.federated_broadcast(weights))))


@example(EXAMPLES, at_clients(INTS), data=(each(ints),), counts=COUNTS)
def folds_of_lowered_code(x: Any) -> Any:
    """Steps in TensorFlow, folded by the language: compiled with the rest."""

    @fd.tensorflow
    def note(carry: Any, element: Any) -> Any:
        return carry * 31 + element + 1

    return fd.sequence_reduce(x, np.int32(1), note)


def numbered(rng: np.random.Generator, i: int) -> Any:
    """Batches of several sizes, one of them without rows, each with a number of its own."""
    sizes = [(5 * i + 3 * b) % 9 for b in range(SIZES[i % len(SIZES)])]
    return [(rng.integers(0, 1000, n, dtype=np.int32), int(rng.integers(0, 99))) for n in sizes]


NUMBERED = Sequence(to_type((("int32", (None,)), "int32")))


@example(EXAMPLES, at_clients(NUMBERED), data=(each(numbered),), counts=COUNTS)
def folds_of_lowered_code_over_batches_with_numbers(x: Any) -> Any:
    @fd.tensorflow
    def note(carry: Any, element: Any) -> Any:
        rows, number = element
        powers = tf.range(tf.shape(rows)[0]) + 1
        return (carry * 31 + number) * 7 + tf.reduce_sum(rows * powers) + tf.shape(rows)[0]

    return fd.sequence_reduce(x, np.int32(1), note)


@example(EXAMPLES, at_clients(NUMBERED), data=(each(numbered),), counts=COUNTS)
def data_sets_of_batches_with_numbers(x: Any) -> Any:
    @fd.tensorflow
    def work(data: Any) -> Any:
        noted = data.reduce(1, lambda c, e: (c * 31 + e[1]) * 7 + tf.reduce_sum(e[0]) + tf.size(e[0]))
        return noted, data.map(lambda rows, number: (rows * 2, number + tf.size(rows), tf.size(rows)))

    return fd.federated_map(work, x)


@example(EXAMPLES, at_clients("float32"), data=(each(real()),), counts=(1, 2, 33))
def mixed_with_jax(x: Any) -> Any:
    square = fd.tensorflow(lambda v: v * v)
    return fd.federated_mean(fd.federated_map(lambda v: v + 1, fd.federated_map(square, x)))


@example(EXAMPLES, at_clients(INTS), data=(each(ints),), counts=COUNTS)
def data_sets(x: Any) -> Any:
    @fd.tensorflow
    def work(data: Any) -> Any:
        sizes = data.batch(4).reduce("", lambda s, b: s + tf.strings.as_string(tf.shape(b)[0]))
        noted = tf.constant(1)
        for element in data:
            noted = noted * 31 + element + 1
        return noted, sizes, data.filter(lambda e: e % 2 == 0).batch(3)

    noted, sizes, evens = fd.federated_map(work, x)
    return fd.federated_sum(noted), sizes, evens


@example(EXAMPLES, at_clients(ROWS), at_server("str"), data=(each(rows), same("-")), counts=COUNTS)
def strings(x: Any, separator: Any) -> Any:
    @fd.tensorflow
    def joined(data: Any, separator: Any) -> Any:
        words = data.map(lambda row: row["word"])
        return {"all": words.reduce("", lambda s, w: s + separator + w), "words": words}

    return fd.federated_map(joined, (x, fd.federated_broadcast(separator)))


def declared(ids: Any) -> Cohort:
    cohort = cohort_of({name: ints(np.random.default_rng(i), i) for i, name in enumerate(ids)}, INTS)
    ragged = cohort.value
    transforms = (Shuffle(7), Repeat(2), Batch(4))
    batched = Ragged(ragged.element, ragged.columns, ragged.first, ragged.count, None, transforms)
    return Cohort(cohort.ids, Sequence(batched.transformed), batched)


@example(EXAMPLES, at_clients(Sequence(to_type(("int32", (None,))))), data=(declared,), counts=COUNTS)
def declared_transforms(x: Any) -> Any:
    @fd.tensorflow
    def note(data: Any) -> Any:
        return data.reduce(1, lambda n, b: n * 7 + tf.reduce_sum(b * (tf.range(tf.shape(b)[0]) + 1)))

    return fd.federated_map(note, x)


@example(EXAMPLES, at_server(KEY), data=(same(np.array([3, 2**32 - 1], np.uint32)),), counts=(1, 2, 33))
def noise_from_keys(key: Any) -> Any:
    @fd.tensorflow
    def draw(key: Any) -> Any:
        return tf.random.stateless_normal((3,), tf.bitcast(key, tf.int32))

    return fd.federated_map(draw, fd.federated_key(key, "noise"))


@example(EXAMPLES, at_clients("float32"), data=(each(real()),), counts=(1, 2, 33))
def aggregates(x: Any) -> Any:
    """Every part of a fold in TensorFlow, in structs."""
    accumulate = fd.tensorflow(
        lambda total, v: {"sum": total["sum"] + v, "most": tf.maximum(total["most"], v)}
    )
    merge = fd.tensorflow(lambda a, b: {"sum": a["sum"] + b["sum"], "most": tf.maximum(a["most"], b["most"])})
    report = fd.tensorflow(lambda total: total["sum"] / total["most"])
    return fd.federated_aggregate(x, {"most": 0.0, "sum": 0.0}, accumulate, merge, report)


CASES = [
    pytest.param(example, count, id=f"{example.name}-{count}")
    for example in EXAMPLES
    for count in example.counts
]


@pytest.mark.parametrize(("example", "count"), CASES)
def test_it_gives_what_the_reference_gives_in_any_order(example: Example, count: int):
    assert laws.agrees(runtime.local, example, count) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_the_reference_logs_what_is_explained(example: Example):
    assert laws.logs_what_is_explained(example, 3) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_what_can_be_compiled_is(example: Example):
    ids = ("a", "b", "c")
    local = runtime.local(clients=ids)
    laws.run(lambda **_: local, example, ids)
    assert (local.statistics.native == 0) == (example.name in COMPILED)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in COMPILED], ids=lambda e: e.name)
def test_a_second_round_compiles_nothing(example: Example):
    assert laws.compiles_once(runtime.local, example, example.counts[-1]) == []
