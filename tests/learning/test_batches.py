# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How a client goes through its examples."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.errors import ArgumentError
from foedus.learning import Batches
from foedus.types import KEY


@pytest.mark.parametrize("name", ["size", "epochs"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3", None])
def test_numbers_are_positive_and_whole(name: str, value: Any):
    settings: dict[str, Any] = {"size": 2, "epochs": 1} | {name: value}
    with pytest.raises(ArgumentError) as caught:
        Batches(**settings)
    assert caught.value.headline == f"Batches.{name} must be a positive whole number"
    assert caught.value.found == repr(value)


def seen(batches: Batches, key: Any) -> Any:
    """The sizes of the batches of seven numbers and all numbers in order, as one reads them."""

    def work(numbers: Any, key: Any) -> Any:
        def step(carry: Any, batch: Any, mask: Any) -> Any:
            where = carry["at"] + jnp.arange(batch.shape[0])
            return {
                "at": carry["at"] + jnp.sum(mask, dtype="int32"),
                "sizes": carry["sizes"].at[carry["batch"]].set(jnp.sum(mask, dtype="int32")),
                "batch": carry["batch"] + 1,
                "all": carry["all"].at[jnp.where(mask, where, 99)].set(batch, mode="drop"),
            }

        zero = np.int32(0)
        start = {"at": zero, "batch": zero, "sizes": np.zeros(6, np.int32), "all": np.full(14, -1, np.int32)}
        return batches.of(numbers, key).fold_padded(step, start)

    @fd.computation(fd.at_clients(fd.sequence(fd.int32)), fd.at_server(KEY))
    def program(numbers: Any, key: Any) -> Any:
        return fd.federated_map(work, (numbers, fd.federated_broadcast(key)))

    with fd.use(runtime.local()):
        (result,) = program([np.arange(7, dtype=np.int32)], np.asarray(key, np.uint32))
    return result["sizes"].tolist(), result["all"].tolist()


def test_without_shuffling_every_epoch_is_as_stored():
    sizes, numbers = seen(Batches(size=3, epochs=2, shuffle=False), [1, 2])
    assert sizes == [3, 3, 1, 3, 3, 1]
    assert numbers == [*range(7), *range(7)]


def test_every_epoch_has_an_order_of_its_own():
    sizes, numbers = seen(Batches(size=3, epochs=2), [1, 2])
    assert sizes == [3, 3, 1, 3, 3, 1]
    one, other = numbers[:7], numbers[7:]
    assert sorted(one) == sorted(other) == list(range(7))
    assert one != other


def test_the_order_comes_from_the_key():
    assert seen(Batches(size=7), [1, 2]) == seen(Batches(size=7), [1, 2])
    assert seen(Batches(size=7), [1, 2]) != seen(Batches(size=7), [2, 1])
