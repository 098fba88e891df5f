# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Declared transforms followed by those of local code: one meaning everywhere (spec, C1 to C4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus.data import (
    Batch,
    Cohort,
    Elements,
    Filter,
    Map,
    Ragged,
    Repeat,
    Shuffle,
    Take,
    Transform,
    after,
)
from foedus.foreign import kind
from foedus.types import Sequence, int32

COUNTS = [0, 1, 3, 5]
TRIPLED = Map(kind("jax").trace(lambda x: 3 * x, int32))
ODD = Filter(kind("jax").trace(lambda x: x % 2 == 1, int32))
DECLARED: list[tuple[Transform, ...]] = [
    (),
    *itertools.permutations([Shuffle(1), Take(4)]),
    *itertools.permutations([Shuffle(1), Repeat(2), TRIPLED]),
    *itertools.permutations([Shuffle(1), ODD]),
    (ODD, Repeat(2), Shuffle(1), Take(3)),
    (Shuffle(1), ODD, Shuffle(2)),
]


def cohort(transforms: tuple[Transform, ...]) -> Cohort:
    first = np.cumsum([0, *COUNTS])[:-1]
    columns = np.arange(sum(COUNTS), dtype=np.int32)
    ragged = Ragged(int32, columns, first, np.array(COUNTS), None, transforms)
    return Cohort(tuple("abcd"), Sequence(after(int32, transforms)), ragged)


def trail(carry: Any, x: Any) -> Any:
    numbers, count = carry
    return numbers.at[count].set(x), count + 1


def twice(sequence: Any) -> Any:
    return sequence.repeat(2).fold(trail, (jnp.full(32, -1, jnp.int32), jnp.int32(0)))


@pytest.mark.parametrize("make", [fd.runtime.reference, fd.runtime.local])
@pytest.mark.parametrize("transforms", DECLARED, ids=str)
def test_repeating_in_code_goes_on_with_what_was_declared(
    make: Callable[[], Any], transforms: tuple[Transform, ...]
):
    data = cohort(transforms)
    assert isinstance(data.type, Sequence)
    program = fd.computation(fd.at_clients(data.type))(lambda x: fd.federated_map(twice, x))
    with fd.use(make()):
        results = program(data)
    for index, (client, (numbers, count)) in enumerate(zip(data.ids, results, strict=True)):
        elements = Elements(data.value, index, client)
        both = [int(e) for k in (0, 1) for e in elements.repetition(k)]
        assert numbers[:count].tolist() == both


def test_a_repetition_of_shuffled_data_has_an_order_of_its_own():
    elements = Elements(cohort((Shuffle(1),)).value, 3, "d")
    orders = {tuple(int(e) for e in elements.repetition(k)) for k in range(20)}
    assert len(orders) > 10
    assert {frozenset(order) for order in orders} == {frozenset(range(4, 9))}


@pytest.mark.parametrize("make", [fd.runtime.reference, fd.runtime.local])
def test_declared_batches_keep_their_exact_sizes(make: Callable[[], Any]):
    data = cohort((Batch(2),))

    def sizes(sequence: Any) -> Any:
        return sequence.fold(
            lambda c, b: trail(c, jnp.int32(len(b))), (jnp.full(8, -1, jnp.int32), jnp.int32(0))
        )

    program = fd.computation(fd.at_clients(data.type))(lambda x: fd.federated_map(sizes, x))
    with fd.use(make()):
        results = program(data)
    assert [numbers[:count].tolist() for numbers, count in results] == [[], [1], [2, 1], [2, 2, 1]]
