# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs on sequences on which every runtime must give what the reference gives.

Clients differ in size: some are empty, some have fewer elements than a batch, most have a last partial batch.
Most folds are such that an element more, less or elsewhere gives another integer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import foedus as fd
from foedus.data import Batch, Cohort, Filter, Map, Ragged, Repeat, Shuffle, Take, Transform, cohort_of
from foedus.foreign import kind
from foedus.types import KEY, Sequence, to_type

from .examples import Data, Example, at_clients, at_server, each, example, real, same, whole

SEQUENCES: list[Example] = []
SIZES = (5, 0, 3, 13, 1, 8, 4)
"""Numbers of elements, by client; batches have four."""
COUNTS = (0, 1, 2, 33)
INTS = Sequence(to_type("int32"))
ROWS = Sequence(to_type({"x": ("float32", (2,)), "y": "int32"}))


def size_of(client: int) -> int:
    return SIZES[client % len(SIZES)]


def ints(rng: np.random.Generator, i: int) -> Any:
    return rng.integers(0, 1000, size_of(i), dtype=np.int32)


def rows(rng: np.random.Generator, i: int) -> Any:
    n = size_of(i)
    return {"x": rng.uniform(0.5, 1.5, (n, 2)).astype(np.float32), "y": rng.integers(0, 9, n, dtype=np.int32)}


def as_lists(rng: np.random.Generator, i: int) -> Any:
    columns = rows(rng, i)
    return [{"x": x, "y": int(y)} for x, y in zip(columns["x"], columns["y"], strict=True)]


def note(carry: Any, element: Any) -> Any:
    """Takes an integer in so that the order, every element and every repetition count."""
    return carry * 31 + element + 1


def note_rows(carry: Any, batch: Any) -> Any:
    """The same for a batch in its own shape, and where it ends."""
    powers = 31 ** jnp.arange(batch.shape[0], dtype="int32")
    return carry * 7 + jnp.sum((batch + 1) * powers, dtype="int32") + batch.shape[0]


def note_padded(carry: Any, batch: Any, mask: Any) -> Any:
    powers = 31 ** jnp.arange(batch.shape[0], dtype="int32")
    real = jnp.where(mask, (batch + 1) * powers, 0)
    return carry * 7 + jnp.sum(real, dtype="int32") + jnp.sum(mask, dtype="int32")


ZERO = np.int32(1)


@example(SEQUENCES, at_clients(INTS), data=(each(ints),), counts=(0, 1, 2, 31, 32, 33, 100))
def fold_over_elements(x: Any) -> Any:
    folded = fd.federated_map(lambda s: s.fold(note, ZERO), x)
    counted = fd.federated_map(lambda s: s.count, x)
    return fd.federated_sum((folded, counted))


@example(SEQUENCES, at_clients(ROWS), data=(each(as_lists),), counts=COUNTS)
def fold_over_structs(x: Any) -> Any:
    """Given as lists of elements."""
    return fd.federated_sum(
        fd.federated_map(
            lambda s: s.fold(
                lambda c, e: (c[0] + e["x"], note(c[1], e["y"])), (np.zeros(2, np.float32), ZERO)
            ),
            x,
        )
    )


@example(SEQUENCES, at_clients(ROWS), data=(each(rows),), counts=(0, 1, 2, 31, 32, 33, 100))
def padded_batches(x: Any) -> Any:
    """Given as columns."""

    def work(s: Any) -> Any:
        def step(carry: Any, batch: Any, mask: Any) -> Any:
            total = jnp.sum(jnp.where(mask[:, None], batch["x"], 0), axis=0)
            return carry[0] + total, note_padded(carry[1], batch["y"], mask)

        return s.batch(4).fold_padded(step, (np.zeros(2, np.float32), ZERO))

    return fd.federated_sum(fd.federated_map(work, x))


@example(SEQUENCES, at_clients(INTS), data=(each(ints),), counts=COUNTS)
def exact_batches(x: Any) -> Any:
    """Opaque code: it must see every batch in its own shape."""
    return fd.federated_map(lambda s: s.batch(4).fold(note_rows, ZERO), x)


@example(SEQUENCES, at_clients(ROWS), data=(each(rows),), counts=(0, 1, 33))
def coupled_batches(x: Any) -> Any:
    """Rows are compared with the mean of their batch, as batch normalisation does."""

    def step(carry: Any, batch: Any) -> Any:
        centred = batch["x"] - jnp.mean(batch["x"], axis=0)
        return carry + jnp.max(jnp.abs(centred), axis=0)

    return fd.federated_sum(fd.federated_map(lambda s: s.batch(4).fold(step, np.ones(2, np.float32)), x))


Declared = Callable[[Any, Any], Any]
_ORDERS: dict[str, Declared] = {
    "repeat": lambda s, k: s.repeat(3),
    "take": lambda s, k: s.take(4),
    "shuffle": lambda s, k: s.shuffle(k),
    "map": lambda s, k: s.map(lambda v: v * v - 1),
    "shuffle, repeat": lambda s, k: s.shuffle(k).repeat(3),
    "repeat, shuffle": lambda s, k: s.repeat(3).shuffle(k),
    "repeat, take": lambda s, k: s.repeat(3).take(7),
    "take, repeat": lambda s, k: s.take(2).repeat(3),
    "shuffle, take, repeat": lambda s, k: s.shuffle(k).take(3).repeat(2),
    "repeat, shuffle, repeat": lambda s, k: s.repeat(2).shuffle(k).repeat(2),
    "map, take, map": lambda s, k: s.map(lambda v: v + 2).take(4).map(lambda v: v * v),
}
_BATCHED: dict[str, Declared] = {
    "batch, repeat": lambda s, k: s.batch(4).repeat(2),
    "repeat, batch": lambda s, k: s.repeat(2).batch(4),
    "shuffle, batch, repeat": lambda s, k: s.shuffle(k).batch(4).repeat(3),
    "shuffle, repeat, batch": lambda s, k: s.shuffle(k).repeat(2).batch(4),
    "batch, shuffle": lambda s, k: s.batch(4).shuffle(k),
    "batch, take": lambda s, k: s.batch(4).take(2),
    "take, batch": lambda s, k: s.take(6).batch(4),
    "map, batch": lambda s, k: s.map(lambda v: v * v).batch(4),
    "batch, map": lambda s, k: s.batch(4).map(lambda b: b - jnp.max(b)),
    "one batch": lambda s, k: s.batch(1000),
    "batches of one": lambda s, k: s.batch(1).repeat(2),
}


@example(
    SEQUENCES,
    at_clients(INTS),
    at_server(KEY),
    data=(each(ints), same(np.array([5, 6], np.uint32))),
    counts=(0, 9),
)
def transforms_in_local_code(x: Any, key: Any) -> Any:
    keys = fd.federated_key(key, "order")

    def work(s: Any, k: Any) -> Any:
        return {name: order(s, k).fold(note, ZERO) for name, order in _ORDERS.items()}

    return fd.federated_map(work, (x, keys))


@example(
    SEQUENCES,
    at_clients(INTS),
    at_server(KEY),
    data=(each(ints), same(np.array([5, 6], np.uint32))),
    counts=(0, 9),
)
def transforms_of_batches(x: Any, key: Any) -> Any:
    """Padded and in exact shapes; what is left of a padded batch under its mask is the exact one."""
    keys = fd.federated_key(key, "order")

    def work(s: Any, k: Any) -> Any:
        return {
            name: (order(s, k).fold_padded(note_padded, ZERO), order(s, k).fold(note_rows, ZERO))
            for name, order in _BATCHED.items()
        }

    return fd.federated_map(work, (x, keys))


def ready_made(rng: np.random.Generator, i: int) -> Any:
    """Batches that arrive as such, of different sizes; one without rows."""
    return [rng.integers(0, 1000, (5 * i + 3 * b) % 9, dtype=np.int32) for b in range(size_of(i))]


BATCHES = Sequence(to_type(("int32", (None,))))


@example(SEQUENCES, at_clients(BATCHES), data=(each(ready_made),), counts=COUNTS)
def ready_made_batches(x: Any) -> Any:
    def work(s: Any) -> Any:
        twice = s.take(3).repeat(2)
        return (
            s.fold(note_rows, ZERO),
            s.fold_padded(note_padded, ZERO),
            twice.fold(note_rows, ZERO),
            s.map(lambda b: b * 2).fold_padded(note_padded, ZERO),
            s.count,
        )

    return fd.federated_map(work, x)


@example(SEQUENCES, at_clients(BATCHES), at_server("int32"), data=(each(ready_made), same(3)), counts=COUNTS)
def ready_made_batches_and_what_is_broadcast(x: Any, by: Any) -> Any:
    def work(s: Any, by: Any) -> Any:
        return s.fold(note_rows, ZERO), by * s.count

    return fd.federated_map(work, (x, fd.federated_broadcast(by)))


def numbered(rng: np.random.Generator, i: int) -> Any:
    """Batches as above, each with a number and two more of its own."""
    return [
        {"n": int(rng.integers(0, 1000)), "rows": batch, "two": rng.integers(0, 99, 2, dtype=np.int32)}
        for batch in ready_made(rng, i)
    ]


NUMBERED = Sequence(to_type({"n": "int32", "rows": ("int32", (None,)), "two": ("int32", (2,))}))
"""Elements of which some tensors have rows and others have not."""


def note_numbered(carry: Any, batch: Any) -> Any:
    inner = note(note(carry, batch["n"]), batch["two"][0] * 7 + batch["two"][1])
    return note_rows(inner, batch["rows"])


@example(SEQUENCES, at_clients(NUMBERED), data=(each(numbered),), counts=COUNTS)
def batches_with_numbers(x: Any) -> Any:
    def padded(carry: Any, batch: Any, mask: Any) -> Any:
        inner = note(note(carry, batch["n"]), batch["two"][0] * 7 + batch["two"][1])
        return note_padded(inner, batch["rows"], mask)

    def work(s: Any) -> Any:
        counted = s.map(lambda e: (e["rows"] * 2, e["n"] + e["rows"].shape[0]))
        return (
            s.fold(note_numbered, ZERO),
            s.fold_padded(padded, ZERO),
            s.take(3).repeat(2).fold(note_numbered, ZERO),
            s.repeat(2).take(5).fold_padded(padded, ZERO),
            counted.fold(lambda c, e: note_rows(note(c, e[1]), e[0]), ZERO),
            counted.fold_padded(lambda c, e, m: note_padded(note(c, e[1]), e[0], m), ZERO),
            s.count,
        )

    return fd.federated_map(work, x)


@example(
    SEQUENCES,
    at_clients(NUMBERED),
    at_server(KEY),
    data=(each(numbered), same(np.array([5, 6], np.uint32))),
    counts=(0, 1, 33),
)
def batches_with_numbers_in_another_order(x: Any, key: Any) -> Any:
    def work(s: Any, k: Any) -> Any:
        return s.shuffle(k).repeat(2).fold(note_numbered, ZERO)

    return fd.federated_map(work, (x, fd.federated_key(key, "order")))


@example(SEQUENCES, at_clients(NUMBERED), data=(each(numbered),), counts=COUNTS)
def batches_with_numbers_in_operators(x: Any) -> Any:
    """The language's own operators on sequences."""
    counted = fd.sequence_map(lambda e: (e["rows"] * 2, e["n"], np.int32(e["rows"].shape[0])), x)
    return (
        fd.sequence_reduce(x, ZERO, note_numbered),
        fd.sequence_reduce(counted, ZERO, lambda c, e: note_rows(note(note(c, e[1]), e[2]), e[0])),
        fd.federated_sum(fd.sequence_reduce(x, ZERO, note_numbered)),
    )


@example(
    SEQUENCES,
    at_clients({"s": INTS, "w": "float32", "t": ROWS}),
    data=(each(lambda rng, i: {"s": ints(rng, i), "w": real()(rng, i), "t": rows(rng, i + 1)}),),
    counts=(0, 1, 33),
)
def two_sequences_and_a_number(x: Any) -> Any:
    def work(s: Any, t: Any, w: Any) -> Any:
        total = t.batch(4).fold_padded(
            lambda c, b, m: c + jnp.sum(jnp.where(m[:, None], b["x"], 0)), jnp.float32(0)
        )
        return s.fold(note, ZERO), total * w

    return fd.federated_sum(fd.federated_map(work, x))


@example(
    SEQUENCES,
    at_server(INTS),
    at_clients("int32"),
    data=(same([4, 5, 6]), each(whole("int32"))),
    counts=(1, 33),
)
def a_sequence_at_the_server(s: Any, x: Any) -> Any:
    folded = fd.federated_apply(lambda s: s.fold(note, ZERO), s)
    return fd.federated_sum(fd.federated_map(lambda v, f: v + f, (x, fd.federated_broadcast(folded)))), folded


@dataclass(frozen=True)
class Record:
    x: Any
    y: Any


@example(
    SEQUENCES,
    at_clients(Sequence(to_type([("inner", ("int32", (2,))), ("outer", "int32")]))),
    data=(each(lambda rng, i: {"inner": whole("int32", (size_of(i), 2))(rng, i), "outer": ints(rng, i)}),),
    counts=(1, 9),
)
def elements_in_the_users_containers(x: Any) -> Any:
    def work(s: Any) -> Any:
        made = s.map(lambda e: Record(e["inner"] * 2, [e["outer"]]))
        return made.fold(lambda c, r: note(c, jnp.sum(r.x, dtype="int32") + r.y[0]), ZERO)

    return fd.federated_map(work, x)


def declared(*transforms: Transform) -> Data:
    """A cohort with declared transforms that are not applied yet, in columns that hold more than its
    clients."""

    def make(ids: tuple[str, ...]) -> Cohort:
        plain = cohort_of(each(ints)(("nobody", *ids)), INTS).take(range(1, len(ids) + 1))
        ragged = plain.value
        assert isinstance(ragged, Ragged)
        own = Ragged(ragged.element, ragged.columns, ragged.first, ragged.count, None, transforms)
        return Cohort(ids, Sequence(own.transformed), own)

    return make


def leaf(fn: Callable[..., Any], parameter: Any) -> Any:
    return kind("jax").trace(fn, to_type(parameter))


_ODD = leaf(lambda v: v % 2 == 1, "int32")
_SQUARE = leaf(lambda v: v * v, "int32")
_DECLARED: dict[str, tuple[Transform, ...]] = {
    "shuffle": (Shuffle(3),),
    "shuffle, repeat": (Shuffle(3), Repeat(3)),
    "repeat, shuffle": (Repeat(2), Shuffle(4)),
    "map, take": (Map(_SQUARE), Take(4)),
    "filter": (Filter(_ODD),),
    "map, shuffle, filter, repeat": (Map(_SQUARE), Shuffle(1), Filter(_ODD), Repeat(2)),
}
_DECLARED_BATCHES: dict[str, tuple[Transform, ...]] = {
    "batch": (Batch(4),),
    "shuffle, repeat, batch": (Shuffle(3), Repeat(2), Batch(4)),
    "filter, batch, shuffle": (Filter(_ODD), Batch(2), Shuffle(9)),
    "batch, map": (Batch(4), Map(leaf(lambda b: b - b.sum(dtype="int32"), ("int32", (None,))))),
}
_COUNTED = leaf(lambda b: (b, np.int32(b.shape[0])), ("int32", (None,)))
"""A number beside the rows, made where the data are read."""


def _declared_elements(x: Any) -> Any:
    return fd.federated_map(lambda s: (s.fold(note, ZERO), s.take(3).fold(note, ZERO)), x)


def _declared_batches(x: Any) -> Any:
    return fd.federated_map(lambda s: (s.fold(note_rows, ZERO), s.fold_padded(note_padded, ZERO)), x)


def _repeated_in_code(x: Any) -> Any:
    """Each repetition of a declared shuffle has an order of its own, wherever it is repeated."""
    return fd.federated_map(lambda s: s.repeat(3).fold(note, ZERO), x)


def _add_declared(
    name: str, fn: Callable[[Any], Any], element: Any, transforms: tuple[Transform, ...]
) -> None:
    program = fd.computation(at_clients(Sequence(to_type(element))))(fn)
    program.name = f"declared {name}"
    SEQUENCES.append(Example(program, (declared(*transforms),), (0, 9)))


for _name, _transforms in _DECLARED.items():
    _add_declared(_name, _declared_elements, "int32", _transforms)
for _name, _transforms in _DECLARED_BATCHES.items():
    _add_declared(_name, _declared_batches, ("int32", (None,)), _transforms)
_add_declared(
    "batch, map to a pair with a number",
    lambda x: fd.federated_map(lambda s: s.fold(lambda c, e: note_rows(note(c, e[1]), e[0]), ZERO), x),
    (("int32", (None,)), "int32"),
    (Batch(4), Map(_COUNTED)),
)
_add_declared("shuffle, repeated in code", _repeated_in_code, "int32", (Shuffle(3),))
_add_declared("shuffle, filter, repeated in code", _repeated_in_code, "int32", (Shuffle(3), Filter(_ODD)))


@example(
    SEQUENCES,
    at_clients(INTS),
    at_server(KEY),
    data=(each(ints), same(np.array([5, 6], np.uint32))),
    counts=(1, 33),
)
def noise_in_a_fold(x: Any, key: Any) -> Any:
    """Random numbers from a client's key, one a row, as dropout draws them."""

    def work(s: Any, k: Any) -> Any:
        def step(carry: Any, batch: Any, mask: Any) -> Any:
            drawn = jax.random.bernoulli(jax.random.fold_in(k, carry[1]), 0.5, batch.shape)
            return carry[0] + jnp.sum(jnp.where(mask & drawn, batch, 0), dtype="int32"), carry[1] + 1

        return s.batch(4).repeat(2).fold_padded(step, (np.int32(0), np.int32(0)))

    return fd.federated_sum(fd.federated_map(work, (x, fd.federated_key(key, "noise"))))


@fd.computation(at_clients(INTS))
def padded(x: Any) -> Any:
    return fd.federated_sum(fd.federated_map(lambda s: s.batch(4).fold_padded(note_padded, ZERO), x))


@fd.computation(at_clients(INTS))
def coupled(x: Any) -> Any:
    return fd.federated_sum(fd.federated_map(lambda s: s.batch(4).fold(note_rows, ZERO), x))
