# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Loaded leaves in whole programs: both runtimes give what the reference gives of the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus import runtime, types, wire
from foedus.data import Batch, Cohort, Map, Repeat, Shuffle, Take, cohort_of
from foedus.errors import UnsupportedError
from foedus.foreign import kind
from foedus.lang import Computation, use
from foedus.types import Sequence, at_clients

ROW = types.to_type({"x": ("float32", (2,)), "y": "int64"})


def reloaded(program: Computation) -> Computation:
    data = wire.encode_program(program.node)
    return Computation(wire.decode_program(data, sender=wire.Sender.TRUSTED), program.name)


def cohort(*transforms: Any, counts: tuple[int, ...] = (3, 0, 7, 1)) -> Cohort:
    clients = [
        [{"x": np.full(2, i + k, np.float32), "y": np.int64(i)} for i in range(n)]
        for k, n in enumerate(counts)
    ]
    plain = cohort_of(clients, Sequence(ROW))
    ragged = replace(plain.value, transforms=transforms)
    return Cohort(plain.ids, Sequence(ragged.transformed), ragged)


def plain(value: Any) -> Any:
    parts = types.parts_of(value)
    return np.asarray(value).tolist() if parts is None else [plain(item) for _, item in parts]


def agree(program: Computation, *arguments: Any) -> None:
    stored = reloaded(program)
    with use(runtime.reference()):
        expected = plain(program(*arguments))
        assert plain(stored(*arguments)) == expected
    with use(runtime.local()):
        assert plain(stored(*arguments)) == expected


@fd.computation(at_clients(Sequence(ROW)))
def in_order(data: Any) -> Any:
    def hashed(data: Any) -> Any:
        return data.count, data.fold(
            lambda h, row: h * 3 + row["y"] + row["x"].sum().astype("int64"), np.int64(0)
        )

    each = fd.federated_map(hashed, data)
    return fd.federated_sum(each), each


@fd.computation(at_clients(Sequence(ROW)))
def padded(data: Any) -> Any:
    def total(data: Any) -> Any:
        def step(carry: Any, batch: Any, mask: Any) -> Any:
            return carry + jnp.sum(jnp.where(mask, batch["y"], 0)) * mask.sum()

        return data.batch(4).fold_padded(step, np.int64(0))

    return fd.federated_sum(fd.federated_map(total, data))


@pytest.mark.parametrize("program", [in_order, padded])
@pytest.mark.parametrize(
    "transforms", [(), (Shuffle(3),), (Take(5),), (Repeat(2), Shuffle(1), Take(9))], ids=str
)
def test_sequences_with_declared_transforms(program: Computation, transforms: tuple[Any, ...]):
    agree(program, cohort(*transforms))


def test_data_that_are_mapped_by_a_loaded_leaf():
    leaf = kind("jax").trace(lambda row: {"x": row["x"] * 2, "y": row["y"] + 1}, ROW)
    encoded = kind("jax").encode(leaf.payload, leaf.type)
    loaded = kind("stablehlo").decode(encoded.data, leaf.type)
    for program in (in_order, padded):
        results = []
        for function in (leaf, loaded):
            with use(runtime.local()):
                results.append(plain(program(cohort(Map(function), Shuffle(1)))))
        assert results[0] == results[1]


def test_an_aggregate_whose_parts_are_loaded():
    """Partial results are merged in pairs by ``vmap``, which a loaded leaf takes as a loop."""

    @fd.computation(at_clients(fd.int32))
    def product(x: Any) -> Any:
        return fd.federated_aggregate(
            x, np.int64(1), lambda a, v: a * v, lambda a, b: a * b, lambda a: {"product": a}
        )

    agree(product, list(range(1, 41)))


def test_columns_with_too_few_spare_rows():
    """Where the runtime gives less than a leaf with large batches wants, its columns are copied."""

    @fd.computation(at_clients(Sequence(fd.float32)))
    def total(data: Any) -> Any:
        def fold(data: Any) -> Any:
            return data.batch(700).fold_padded(
                lambda c, b, m: c + jnp.sum(jnp.where(m, b, 0)), jnp.float32(0)
            )

        return fd.federated_sum(fd.federated_map(fold, data))

    agree(total, [np.ones(n, np.float32) for n in (5, 0, 1500)])


def refusal(program: Callable[[Any], Any], data: Cohort) -> str:
    with use(runtime.local()), pytest.raises(UnsupportedError) as caught:
        program(data)
    return caught.value.headline


def test_what_loaded_leaves_refuse_in_compiled_calls():
    @fd.computation(at_clients(Sequence(ROW)))
    def repeated(data: Any) -> Any:
        return fd.federated_sum(fd.federated_map(lambda d: d.repeat(2).count, data))

    stored = reloaded(repeated)
    assert refusal(stored, cohort(Shuffle(1))).startswith("A loaded leaf that repeats its data")

    batches = cohort(Batch(2))

    @fd.computation(at_clients(batches.type))
    def counted(data: Any) -> Any:
        return fd.federated_sum(fd.federated_map(lambda d: d.count, data))

    assert refusal(reloaded(counted), batches).startswith("A loaded leaf cannot take batches that are made")


def test_batches_with_numbers_are_counted_in_every_runtime():
    """Columns of rows and columns of elements have lengths of their own, in compiled code too."""
    batches = Sequence(types.to_type({"x": ("float32", (None, 2)), "n": "int32"}))

    @fd.computation(at_clients(batches))
    def counted(data: Any) -> Any:
        return fd.federated_map(lambda data: data.count, data)

    values = [
        [{"x": np.ones((n, 2), np.float32), "n": n} for n in sizes] for sizes in [(2, 600, 0), (), (1,)]
    ]
    stored = reloaded(counted)
    for make in (runtime.reference, runtime.local):
        with use(make()):
            assert [int(n) for n in stored(values)] == [3, 0, 1]
