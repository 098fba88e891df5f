# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Code whose result does not follow from its arguments is refused when it is traced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foedus.errors import TracingError, UnsupportedError
from foedus.foreign import kind
from foedus.types import Sequence, Type, to_type

tf = pytest.importorskip("tensorflow")
in_jax: Any = pytest.importorskip("foedus.frontends._tensorflow_embedding").in_jax

pytestmark = pytest.mark.tensorflow

TF = kind("tensorflow")
Dataset, Generator, random = tf.data.Dataset, tf.random.Generator, tf.random
WORDS = Path(__file__)
"""A file that is there; none of these functions gets to read it."""
OUTSIDE = Generator.from_seed(1)


def traced(fn: Callable[..., Any], spec: Any = "float32") -> Any:
    return TF.trace(fn, spec if isinstance(spec, Type) else to_type(spec))


def last(data: Any) -> Any:
    return data.reduce(tf.constant(0, tf.int64), lambda _, element: element)


def lines() -> Any:
    return tf.lookup.TextFileInitializer(str(WORDS), tf.string, 0, tf.int64, 1)


def written(x: Any) -> Any:
    tf.io.write_file("never", "x")
    return x


def printed(x: Any) -> Any:
    tf.print("x is", x)
    return x + 1


DRAWS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "normal": (lambda x: x + random.normal(()), "RandomStandardNormal"),
    "a seed, but not a key": (lambda x: x + random.uniform((), seed=1), "RandomUniform"),
    "truncated": (lambda x: x + random.truncated_normal(()), "TruncatedNormal"),
    "gamma": (lambda x: random.gamma((), x), "RandomGamma"),
    "Poisson": (lambda x: random.poisson((), x), "RandomPoissonV2"),
    "categories": (lambda x: random.categorical([[x, x]], 1), "Multinomial"),
    "shuffled": (lambda x: random.shuffle([x, x]), "RandomShuffle"),
    "dropout": (lambda x: tf.nn.dropout(x, 0.5), "RandomUniform"),
    "a data set": (lambda x: last(Dataset.random().take(1)), "RandomDataset"),
    "a shuffled data set": (lambda x: last(Dataset.range(3).shuffle(3)), "ShuffleDatasetV3"),
    "in a data set": (lambda x: last(Dataset.range(3).map(lambda _: drawn_number())), "RandomUniformInt"),
    "in a branch": (lambda x: tf.cond(x > 0, lambda: random.normal(()), lambda: x), "RandomStandardNormal"),
    "a generator of the machine": (
        lambda x: Generator.from_non_deterministic_state().normal(()),
        "NonDeterministicInts",
    ),
    "the global generator": (lambda x: random.get_global_generator().normal(()), "RngReadAndSkip"),
    "a generator from outside": (lambda x: OUTSIDE.normal(()), "RngReadAndSkip"),
    "it, in a branch": (lambda x: tf.cond(x > 0, lambda: OUTSIDE.normal(()), lambda: x), "RngReadAndSkip"),
}
FILES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "read": (lambda x: tf.io.read_file(str(WORDS)), "ReadFile"),
    "written": (written, "WriteFile"),
    "found": (lambda x: tf.io.matching_files(f"{WORDS}*"), "MatchingFiles"),
    "listed": (lambda x: Dataset.list_files(str(WORDS), shuffle=False).cardinality(), "MatchingFiles"),
    "lines": (lambda x: tf.data.TextLineDataset(str(WORDS)).cardinality(), "TextLineDataset"),
    "records": (lambda x: tf.data.TFRecordDataset(str(WORDS)).cardinality(), "TFRecordDataset"),
    "a table": (
        lambda x: tf.lookup.StaticHashTable(lines(), -1).lookup(tf.constant("a")),
        "InitializeTableFromTextFileV2",
    ),
    "a cache": (lambda x: last(Dataset.range(3).cache("never")), "CacheDatasetV2"),
}


def drawn_number() -> Any:
    return random.uniform((), 0, 9, tf.int64)


def drawn(x: Any) -> Any:
    return x + random.normal(())


def timed(x: Any) -> Any:
    return tf.timestamp()


def read(x: Any) -> Any:
    return tf.io.read_file(str(WORDS))


def hurried(x: Any) -> Any:
    return last(Dataset.range(3).map(lambda e: e, num_parallel_calls=2, deterministic=False))


KINDS: list[tuple[Callable[[Any], Any], str, str, str, str]] = [
    (
        drawn,
        "draws random numbers that no key determines",
        "RandomStandardNormal",
        "return x + random.normal(())",
        "use tf.random.stateless_uniform and its kin, with a key as seed: tf.bitcast(key, tf.int32) of one "
        "that federated_key gives; give a data set that is shuffled a seed, and a layer of Keras a "
        "SeedGenerator",
    ),
    (
        timed,
        "asks what time it is",
        "Timestamp",
        "return tf.timestamp()",
        "take the time outside, and make it an argument",
    ),
    (
        read,
        "reads or writes files",
        "ReadFile",
        "return tf.io.read_file(str(WORDS))",
        "read them outside, and make what they hold an argument; a table may be made of them outside, and "
        "captured",
    ),
    (
        hurried,
        "takes elements in an order that nothing determines",
        "ParallelMapDatasetV2",
        "return last(Dataset.range(3).map(lambda e: e, num_parallel_calls=2, deterministic=False))",
        "leave deterministic=False away",
    ),
]
"""A function, and what is said of it: what it does, the operation, the line, and what to do about it."""


@pytest.mark.parametrize(("fn", "what", "op", "line", "hint"), KINDS)
def test_the_operation_its_line_and_the_remedy_are_named(
    fn: Callable[[Any], Any], what: str, op: str, line: str, hint: str
):
    with pytest.raises(TracingError) as caught:
        traced(fn)
    number = fn.__code__.co_firstlineno + 1
    assert str(caught.value).splitlines() == [
        f"The TensorFlow code {fn.__name__!r} {what}",
        f"  found     {op}",
        "  expected  a pure function: the same whenever it is run, and wherever",
        f"  at        test_tensorflow_effects.py:{number}: {line}",
        f"  hint      {hint}",
    ]


REFUSED = {
    **{name: (*one, "draws random numbers that no key determines") for name, one in DRAWS.items()},
    **{name: (*one, "reads or writes files") for name, one in FILES.items()},
}


@pytest.mark.parametrize("name", REFUSED)
def test_chance_without_keys_and_files_are_refused(name: str):
    fn, op, what = REFUSED[name]
    with pytest.raises(TracingError) as caught:
        traced(fn)
    assert str(caught.value).splitlines()[0].endswith(what)
    assert caught.value.found == op
    assert "test_tensorflow_effects.py" in str(caught.value.at)


SAME: dict[str, Callable[[Any], Any]] = {
    "a stateless operation": lambda x: random.stateless_uniform((3,), [1, 2]),
    "a generator that is made inside": lambda x: Generator.from_seed(1).uniform((3,)),
    "a generator of a counter": lambda x: Generator.from_key_counter(7, [0, 1], "philox").normal((3,)),
    "a seeded data set": lambda x: last(Dataset.random(seed=1).take(2)),
    "a seeded shuffle": lambda x: last(Dataset.range(9).shuffle(9, seed=1)),
    "a seeded choice": lambda x: last(Dataset.sample_from_datasets([Dataset.range(9)] * 2, seed=1).take(4)),
    "a cache in memory": lambda x: last(Dataset.range(9).cache()),
    "threads that keep the order": lambda x: last(Dataset.range(9).map(lambda e: e, num_parallel_calls=2)),
}


@pytest.mark.parametrize("name", SAME)
def test_what_follows_from_a_seed_is_the_same_in_every_call(name: str):
    leaf = traced(SAME[name])
    one, two = (TF.run(leaf.payload, np.float32(1)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_generator_that_is_made_inside_draws_what_it_draws_outside():
    leaf = traced(lambda key: Generator.from_seed(tf.cast(key, tf.int64)).uniform((3,)), "int32")
    for seed in (1, 2):
        expected = Generator.from_seed(tf.constant(seed, tf.int64)).uniform((3,)).numpy()
        assert TF.run(leaf.payload, np.int32(seed)).tolist() == expected.tolist()


def test_what_is_only_shown_changes_no_result(capfd: pytest.CaptureFixture[str]):
    assert TF.run(traced(printed).payload, np.float32(2)) == 3
    assert capfd.readouterr().err.strip() == "x is 2"


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: tf.py_function(lambda v: v + 1, [x], tf.float32),
        lambda x: tf.numpy_function(lambda v: v + np.float32(1), [x], tf.float32),
    ],
    ids=["tensors", "arrays"],
)
def test_python_code_is_vouched_for_by_its_author(fn: Callable[[Any], Any]):
    leaf = traced(fn)
    assert TF.run(leaf.payload, np.float32(2)) == 3
    with pytest.raises(UnsupportedError, match="cannot be written to bytes"):
        TF.encode(leaf.payload, leaf.type)


def test_data_sets_are_looked_into():
    with pytest.raises(TracingError, match="no key determines"):
        traced(lambda s: s.shuffle(10), Sequence(to_type("int32")))
    leaf = traced(lambda s: s.shuffle(10, seed=1).batch(10), Sequence(to_type("int32")))
    numbers = list(np.arange(10, dtype=np.int32))
    one, two = (next(iter(TF.run(leaf.payload, numbers))).tolist() for _ in range(2))
    assert one == two != sorted(one) == list(range(10))


@pytest.mark.parametrize(("fn", "op"), [(drawn, "RandomStandardNormal"), (timed, "Timestamp")])
def test_code_that_jax_code_calls_is_held_to_the_same(fn: Callable[[Any], Any], op: str):
    with pytest.raises(TracingError) as caught:
        in_jax(fn)(np.float32(1))
    assert caught.value.found == op
    assert f"test_tensorflow_effects.py:{fn.__code__.co_firstlineno + 1}" in str(caught.value.at)
