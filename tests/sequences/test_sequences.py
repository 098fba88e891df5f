# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences in local code, eager and compiled, against plain Python lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foedus as fd
from foedus.data import permutation
from foedus.errors import TracingError
from foedus.sequences._permutation import permuted

COUNTS = [0, 1, 2, 4, 7]
CLIENTS = [list(range(10 * n, 10 * n + n)) for n in COUNTS]
KEY = np.array([5, 6], np.uint32)
MOST = 32


def trail(carry: Any, x: Any) -> Any:
    """A fold that tells every element and their order: the numbers so far, and how many they are."""
    numbers, count = carry
    return numbers.at[count].set(x), count + 1


def start() -> Any:
    return jnp.full(MOST, -1, jnp.int32), jnp.int32(0)


def folded(sequence: Any) -> Any:
    return sequence.fold(trail, start())


def in_turn(carry: Any, rows: Any, length: Any) -> Any:
    """The first rows one after another."""
    if len(rows) == 0:
        return carry
    return jax.lax.fori_loop(0, length, lambda i, c: trail(c, rows[i]), carry)


def in_batches(sequence: Any) -> Any:
    """Each batch by its length and its elements."""

    def step(carry: Any, batch: Any) -> Any:
        carry = trail(carry, -len(batch))
        if len(batch) == 0:
            return carry
        return jax.lax.fori_loop(0, len(batch), lambda i, c: trail(c, batch[i]), carry)

    return sequence.fold(step, start())


def padded(sequence: Any) -> Any:
    """The same over padded batches, by what the mask says is real."""

    def step(carry: Any, batch: Any, mask: Any) -> Any:
        if len(batch) == 0:
            return trail(carry, 0)
        length = mask.sum(dtype=jnp.int32)
        return jax.lax.fori_loop(0, length, lambda i, c: trail(c, batch[i]), trail(carry, -length))

    return sequence.fold_padded(step, start())


def cut(items: list[int], size: int) -> list[int]:
    runs = [items[i : i + size] for i in range(0, len(items), size)]
    return [x for run in runs for x in [-len(run), *run]]


def shuffled(items: list[int], repetition: int = 0) -> list[int]:
    return [items[i] for i in permutation(KEY, len(items), repetition)]


def doubled(runs: list[int]) -> list[int]:
    return [x if x < 0 else 2 * x for x in runs]


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[list[int]], list[int]]]] = {
    "plain": (folded, lambda a: a),
    "mapped": (lambda s: folded(s.map(lambda x: 2 * x)), lambda a: [2 * x for x in a]),
    "taken": (lambda s: folded(s.take(3)), lambda a: a[:3]),
    "repeated": (lambda s: folded(s.repeat(3)), lambda a: a * 3),
    "shuffled": (lambda s: folded(s.shuffle(KEY)), shuffled),
    "repeated and shuffled": (lambda s: folded(s.repeat(2).shuffle(KEY)), lambda a: shuffled(a * 2)),
    "shuffled and repeated": (
        lambda s: folded(s.shuffle(KEY).repeat(2)),
        lambda a: shuffled(a) + shuffled(a, 1),
    ),
    "repeated between": (
        lambda s: folded(s.shuffle(KEY).repeat(2).take(5).repeat(2)),
        lambda a: (shuffled(a) + shuffled(a, 1))[:5] + (shuffled(a, 2) + shuffled(a, 3))[:5],
    ),
    "batched": (lambda s: in_batches(s.batch(3)), lambda a: cut(a, 3)),
    "batched and repeated": (lambda s: in_batches(s.batch(3).repeat(2)), lambda a: cut(a, 3) * 2),
    "repeated and batched": (lambda s: in_batches(s.repeat(2).batch(3)), lambda a: cut(a * 2, 3)),
    "batches of which some are taken": (lambda s: in_batches(s.batch(2).take(2)), lambda a: cut(a[:4], 2)),
    "shuffled batches of shuffled": (
        lambda s: in_batches(s.shuffle(KEY).batch(2)),
        lambda a: cut(shuffled(a), 2),
    ),
    "batched mapped": (
        lambda s: in_batches(s.map(lambda x: x + 1).batch(3)),
        lambda a: cut([x + 1 for x in a], 3),
    ),
    "mapped batches": (lambda s: in_batches(s.batch(3).map(lambda b: 2 * b)), lambda a: doubled(cut(a, 3))),
    "padded": (lambda s: padded(s.batch(3)), lambda a: cut(a, 3)),
    "padded and shuffled": (lambda s: padded(s.shuffle(KEY).batch(3)), lambda a: cut(shuffled(a), 3)),
    "padded epochs": (
        lambda s: padded(s.shuffle(KEY).batch(3).repeat(2)),
        lambda a: cut(shuffled(a), 3) + cut(shuffled(a, 1), 3),
    ),
    "padded mapped": (
        lambda s: padded(s.map(lambda x: x + 1).batch(3)),
        lambda a: cut([x + 1 for x in a], 3),
    ),
    "padded mapped batches": (
        lambda s: padded(s.batch(3).map(lambda b: 2 * b)),
        lambda a: doubled(cut(a, 3)),
    ),
}


@pytest.mark.parametrize("make", [fd.runtime.reference, fd.runtime.local])
@pytest.mark.parametrize("case", CASES)
def test_folds_are_folds_of_lists(case: str, make: Callable[[], Any]):
    local, oracle = CASES[case]

    @fd.computation(fd.at_clients(fd.types.sequence(fd.int32)))
    def program(data: Any) -> Any:
        return fd.federated_map(lambda s: (local(s), s.count), data)

    with fd.use(make()):
        results = program(CLIENTS)
    for items, ((numbers, count), size) in zip(CLIENTS, results, strict=True):
        assert numbers[:count].tolist() == oracle(items)
        assert size == len(items)


@pytest.mark.parametrize("make", [fd.runtime.reference, fd.runtime.local])
def test_elements_with_rows_of_their_own_are_batches(make: Callable[[], Any]):
    clients = [[[1, 2], [3]], [], [[], [4, 5, 6]]]

    @fd.computation(fd.at_clients(fd.types.sequence((fd.int32, [None]))))
    def program(data: Any) -> Any:
        return fd.federated_map(lambda s: (in_batches(s), padded(s)), data)

    with fd.use(make()):
        results = program([[np.array(batch, np.int32) for batch in client] for client in clients])
    for client, both in zip(clients, results, strict=True):
        expected = [x for batch in client for x in [-len(batch), *batch]]
        assert [numbers[:count].tolist() for numbers, count in both] == [expected, expected]


BATCHES_WITH_NUMBERS = [
    [([1, 2], 7), ([3], 8)],
    [],
    [([], 9), ([4, 5, 6], 10)],
    [([7], 11)],
]


@pytest.mark.parametrize("make", [fd.runtime.reference, fd.runtime.local])
def test_batches_with_numbers_of_their_own(make: Callable[[], Any]):
    """Beside a batch's rows its number comes once, padded or not, also after a map that counts the rows."""

    def both(sequence: Any) -> Any:
        exact = sequence.map(lambda e: (e[0], (e[1], jnp.int32(len(e[0])))))
        return (
            exact.fold(lambda c, e: trail(trail(c, e[1][0]), e[1][1]), start()),
            sequence.fold(lambda c, e: in_turn(trail(c, e[1]), e[0], len(e[0])), start()),
            sequence.fold_padded(
                lambda c, e, m: in_turn(trail(c, e[1]), e[0], m.sum(dtype=jnp.int32)), start()
            ),
            exact.fold_padded(lambda c, e, m: in_turn(trail(c, e[1][0]), e[0], e[1][1]), start()),
            sequence.repeat(2).take(3).fold(lambda c, e: trail(c, e[1]), start()),
        )

    @fd.computation(fd.at_clients(fd.types.sequence(((fd.int32, [None]), fd.int32))))
    def program(data: Any) -> Any:
        return fd.federated_map(both, data)

    with fd.use(make()):
        results = program(
            [[(np.array(rows, np.int32), n) for rows, n in client] for client in BATCHES_WITH_NUMBERS]
        )
    for client, result in zip(BATCHES_WITH_NUMBERS, results, strict=True):
        counted, *all_rows, taken = [numbers[:count].tolist() for numbers, count in result]
        assert counted == [x for rows, n in client for x in (n, len(rows))]
        assert all_rows == [[x for rows, n in client for x in (n, *rows)]] * 3
        assert taken == [n for _, n in client * 2][:3]


def test_padding_repeats_real_rows():
    """So that what is computed of it is as finite as what is computed of the data."""

    @fd.computation(fd.at_clients(fd.types.sequence(fd.float32)))
    def program(data: Any) -> Any:
        def step(carry: Any, batch: Any, mask: Any) -> Any:
            return carry & jnp.isfinite(1 / batch).all()

        return fd.federated_map(lambda s: s.batch(4).fold_padded(step, jnp.bool_(True)), data)

    assert all(program([[1.0], [2.0] * 5, [], [3.0] * 4]))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda s: s.fold_padded(lambda c, x, m: c, jnp.int32(0)),
            """
            Only batches can be padded
              at        HERE
              hint      call batch(size) first, or use fold
            """,
        ),
        (
            lambda s: s.batch(2).batch(2).fold(lambda c, x: c, jnp.int32(0)),
            """
            Batches of batches are not supported
              at        HERE
            """,
        ),
        (
            lambda s: s,
            """
            Local code in JAX cannot return a sequence
              at        HERE
              hint      fold it
            """,
        ),
    ],
)
def test_what_cannot_be_done_with_a_sequence(refused, use: Callable[[Any], Any], message: str):
    with refused(TracingError, message):

        @fd.computation(fd.types.sequence(fd.int32))
        def program(data: Any) -> Any:
            return use(data)


SIZES = [*range(1, 70), 255, 256, 257, 1000, 1024, 1025, 5000]


def test_permutations_are_the_same_in_numpy_and_in_compiled_code():
    compiled = jax.jit(jax.vmap(permuted, in_axes=(None, None, 0, None)))
    positions = np.arange(max(SIZES), dtype=np.int32)
    for size in SIZES:
        for key, repetition in [(KEY, 0), (KEY, 3), (np.array([2**32 - 1, 0], np.uint32), 1)]:
            found = np.asarray(compiled(key, size, positions, repetition))[:size]
            assert np.array_equal(found, permutation(key, size, repetition)), size


@settings(max_examples=200)
@given(st.integers(1, 2**31 - 1), st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2), st.data())
def test_single_places_of_large_permutations(size: int, key: list[int], data: st.DataObject):
    position = data.draw(st.integers(0, size - 1))
    place = int(PERMUTED(np.array(key, np.uint32), size, position, 0))
    assert 0 <= place < size
    if size < 10_000:
        assert place == permutation(key, size)[position]


PERMUTED = jax.jit(permuted)
