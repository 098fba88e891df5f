# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""JAX leaves as StableHLO: what travels computes the same, in every form in which runtimes call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus import types
from foedus.data import Batch, Cohort, Repeat, Shuffle, Take, cohort_of
from foedus.errors import CorruptDataError, TracingError, UnsupportedError
from foedus.foreign import NoJax, kind
from foedus.frontends import _jax_export
from foedus.frontends._jax_export import HEAD
from foedus.ir import Foreign
from foedus.sequences import EagerSequence
from foedus.types import Function, Sequence, Struct, Type

JAX = kind("jax")
LOADED = kind("stablehlo")
ROW = types.to_type({"x": ("float32", (2,)), "y": "int64"})


def traced(fn: Callable[..., Any], parameter: Type | None) -> Foreign:
    return JAX.trace(fn, parameter)


def loaded(fn: Callable[..., Any], parameter: Type | None) -> Foreign:
    leaf = traced(fn, parameter)
    encoded = JAX.encode(leaf.payload, leaf.type)
    assert encoded.kind == "stablehlo"
    return LOADED.decode(encoded.data, leaf.type)


def traceable(stored: Foreign) -> Callable[[Any], Any]:
    fn = LOADED.as_jax(stored.payload)
    assert not isinstance(fn, NoJax)
    return fn


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    one, other = np.asarray(one), np.asarray(other)
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def agree(fn: Callable[..., Any], parameter: Type | None, *arguments: Any) -> None:
    """Asserts that a leaf computes the same natively, loaded, and loaded inside a compiled call."""
    leaf, stored = traced(fn, parameter), loaded(fn, parameter)
    assert stored.type == leaf.type
    for argument in arguments or (None,):
        expected = JAX.run(leaf.payload, argument)
        assert same(expected, LOADED.run(stored.payload, argument))
        with jax.enable_x64(True):
            compiled = jax.jit(traceable(stored))
            if parameter is None or not any(isinstance(t, Sequence) for t in types.walk(parameter)):
                assert same(expected, jax.tree.map(np.asarray, compiled(argument)))


@pytest.mark.parametrize("name", [name for name in types.DTYPES if name != "str"])
def test_every_dtype(name: str):
    dtype = types.DTYPES[name]
    agree(lambda x: (x, jnp.flip(x)), types.tensor(dtype, (3,)), np.arange(3).astype(dtype))


def test_structs_and_nothing():
    parameter = types.to_type({"a": "int8", "b": ((), ("bool", (2,)))})
    plain = (np.int8(3), ((), np.array([True, False])))
    agree(lambda v: {"b": v["b"][1], "a": (v["a"] + 1, None)}, parameter, plain)
    agree(lambda: jnp.float64(0.1), None)
    agree(lambda: None, None)
    agree(lambda x: 3, types.EMPTY, ())


def test_random_numbers_are_the_same():
    agree(lambda k: jax.random.normal(k, (3,)), types.KEY, np.array([1, 2], np.uint32))
    agree(
        lambda k: jax.random.permutation(jax.random.wrap_key_data(k), 10), types.KEY, np.zeros(2, np.uint32)
    )


def test_captured_arrays_travel():
    table = np.arange(4, dtype=np.float16)
    agree(lambda i: jnp.asarray(table)[i], types.int32, np.int32(2))


def test_overflow_wraps_and_dtypes_stay():
    agree(lambda x: (x * x, x.astype("int64") * x), types.int32, np.int32(2**30 + 3))


def test_unknown_dimensions_become_symbols():
    parameter = types.to_type((("float32", (None, 2)), ("int32", (None,))))
    plain = [(np.ones((n, 2), np.float32), np.arange(m, dtype=np.int32)) for n, m in ((1, 1), (4, 2), (7, 9))]
    agree(lambda a, b: (a.sum(0), jnp.concatenate([b, b]), a.shape[0] * 2), parameter, *plain)


def test_unknown_dimensions_that_must_be_equal_are_one_symbol():
    parameter = types.to_type((("float32", (None,)), ("float32", (None,))))
    agree(lambda a, b: a + b, parameter, *((np.ones(n, np.float32),) * 2 for n in (1, 5)))
    stored = loaded(lambda a, b: a + b, parameter)
    with pytest.raises(ValueError, match="Found inconsistency between dimension size"):
        LOADED.run(stored.payload, (np.ones(2, np.float32), np.ones(3, np.float32)))


def test_an_empty_array_where_the_length_is_open():
    stored = loaded(lambda x: x.sum(), types.tensor("float32", (None,)))
    with pytest.raises(UnsupportedError, match="takes no empty array where its type leaves the length open"):
        LOADED.run(stored.payload, np.zeros(0, np.float32))


def rows(count: int) -> list[dict[str, Any]]:
    draw = np.random.default_rng(count)
    return [{"x": draw.normal(size=2).astype(np.float32), "y": np.int64(i)} for i in range(count)]


def clients(counts: tuple[int, ...], *transforms: Any) -> Cohort:
    cohort = cohort_of([rows(n) for n in counts], Sequence(ROW))
    ragged = replace(cohort.value, transforms=transforms)
    return Cohort(cohort.ids, Sequence(ragged.transformed), ragged)


def add(total: Any, row: Any) -> Any:
    return total + row["x"].sum() * (row["y"] + 1)


def folds(data: Any) -> Any:
    return {"count": data.count, "sum": data.fold(add, jnp.float32(0)), "again": data.repeat(2).take(3).count}


def padded(data: Any) -> Any:
    def step(total: Any, batch: Any, mask: Any) -> Any:
        return total + jnp.sum(jnp.where(mask, batch["x"].sum(-1), 0)), mask.sum()

    def run(carry: Any, batch: Any, mask: Any) -> Any:
        return step(carry[0], batch, mask)

    return (
        data.shuffle(jnp.array([3, 4], jnp.uint32)).batch(4).repeat(2).fold_padded(run, (jnp.float32(0), 0))
    )


def exact(data: Any) -> Any:
    def step(total: Any, batch: Any) -> Any:
        return total + jnp.square(batch["x"].sum()) * batch["x"].shape[0]

    return data.batch(5).fold(step, jnp.float32(0))


def mapped(data: Any) -> Any:
    def step(total: Any, batch: Any, mask: Any) -> Any:
        return total + jnp.sum(batch) + mask.sum()

    return data.map(lambda row: row["x"].sum()).batch(3).map(lambda b: b - b.mean()).fold_padded(step, 0.0)


def close(one: Any, other: Any) -> bool:
    # Sums of some tens of numbers of magnitude ten; XLA adds them up in another order than Python does.
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in pairs)


@pytest.mark.parametrize("fn", [folds, padded, exact, mapped])
def test_sequences_of_any_length(fn: Callable[..., Any]):
    leaf, stored = traced(fn, Sequence(ROW)), loaded(fn, Sequence(ROW))
    cohort = clients((0, 1, 4, 5, 11))
    for i in range(len(cohort)):
        expected = JAX.run(leaf.payload, cohort.client(i))
        assert close(expected, LOADED.run(stored.payload, cohort.client(i)))


def once(data: Any) -> Any:
    return {"count": data.count, "in order": data.fold(lambda h, row: h * 3 + row["y"], np.int64(0))}


@pytest.mark.parametrize(
    "transforms", [(Shuffle(7),), (Take(3), Repeat(2)), (Shuffle(1), Repeat(2), Shuffle(2)), (Batch(2),)]
)
def test_declared_transforms_are_applied_before(transforms: tuple[Any, ...]):
    cohort = clients((0, 3, 6), *transforms)
    fn = (lambda data: data.count) if Batch(2) in transforms else once
    leaf, stored = traced(fn, cohort.type), loaded(fn, cohort.type)
    for i in range(len(cohort)):
        expected = JAX.run(leaf.payload, cohort.client(i))
        assert same(expected, LOADED.run(stored.payload, cohort.client(i)))


def test_data_in_a_new_order_for_each_repetition_are_refused():
    """What a leaf gets is stored in one order, so that it would see the same one in every repetition."""
    stored = loaded(lambda data: data.repeat(2).count, Sequence(ROW))
    assert LOADED.run(stored.payload, clients((3,), Take(2), Repeat(2)).client(0)) == 8
    drawn = clients((9,), Shuffle(7), Take(8)).client(0)
    for given in (drawn, EagerSequence.of(drawn, lambda plain: plain)):
        with pytest.raises(UnsupportedError) as caught:
            LOADED.run(stored.payload, given)
        assert caught.value.hint == "shuffle inside the leaf, with data.shuffle(key)"
    in_order = EagerSequence.of(clients((9,)).client(0), lambda plain: plain)
    assert LOADED.run(stored.payload, in_order) == 18


def test_batches_that_are_only_counted():
    parameter = Sequence(types.tensor("float32", (None, 2)))
    stored = loaded(lambda data: data.count, parameter)
    plain = cohort_of([[np.ones((n, 2), np.float32) for n in (2, 3)], []], parameter)
    assert [int(LOADED.run(stored.payload, plain.client(i))) for i in range(2)] == [2, 0]


def test_batches_with_numbers_that_are_only_counted():
    """Columns of rows and columns of elements have lengths of their own."""
    parameter = Sequence(types.to_type({"x": ("float32", (None, 2)), "n": "int32", "m": ("int8", (3,))}))
    stored = loaded(lambda data: data.count, parameter)

    def batch(n: int) -> Any:
        return {"x": np.ones((n, 2), np.float32), "n": n, "m": np.zeros(3, np.int8)}

    cohort = cohort_of([[batch(2), batch(600), batch(0)], [], [batch(1)]], parameter)
    assert [int(LOADED.run(stored.payload, cohort.client(i))) for i in range(3)] == [3, 0, 1]


def test_vmap_is_a_loop():
    stored = loaded(lambda a, b: (a * b, a), types.to_type(("float32", "float32")))
    fn = traceable(stored)
    products, kept = jax.vmap(lambda a: fn((a, jnp.float32(3))))(jnp.arange(4, dtype=jnp.float32))
    assert products.tolist() == [0, 3, 6, 9]
    assert kept.tolist() == [0, 1, 2, 3]


def test_there_is_no_gradient():
    fn = traceable(loaded(jnp.square, types.float32))
    with pytest.raises(Exception, match=r"(?i)vjp|differentiat|jvp"):
        jax.grad(fn)(jnp.float32(3))


def refused(fn: Callable[..., Any], parameter: Type) -> UnsupportedError:
    leaf = traced(fn, parameter)
    with pytest.raises(UnsupportedError) as caught:
        JAX.encode(leaf.payload, leaf.type)
    return caught.value


def test_ready_made_batches_are_refused():
    for fold in (lambda d: d.fold(lambda c, b: c, 0), lambda d: d.fold_padded(lambda c, b, m: c, 0)):
        error = refused(fold, Sequence(types.tensor("float32", (None, 2))))
        assert (
            error.headline
            == "Code that folds over batches which arrive ready-made cannot be written to bytes"
        )
        assert error.hint == "let it take examples and batch them inside, such as data.batch(32)"


def test_large_batches_in_exact_folds_are_refused():
    error = refused(
        lambda d: d.batch(65).fold(lambda c, b: c + b.sum(), jnp.float32(0)), Sequence(types.float32)
    )
    assert error.headline == "Code that folds exactly over such large batches cannot be written to bytes"
    assert error.expected == f"at most {_jax_export.MOST_EXACT_ROWS} rows"

    def mapped_after(data: Any) -> Any:
        return data.batch(65).map(lambda b: b).fold_padded(lambda c, b, m: c + b.sum(), jnp.float32(0))

    assert refused(mapped_after, Sequence(types.float32)).headline == error.headline


def test_large_batches_in_padded_folds_ask_for_more_spare_rows():
    def fold(data: Any) -> Any:
        return data.batch(1000).fold_padded(lambda c, b, m: c + jnp.sum(b * m), jnp.float32(0))

    stored = loaded(fold, Sequence(types.float32))
    assert stored.payload.demand.least_rows == 1024
    for count in (0, 3, 2500):
        plain = cohort_of([np.ones(count, np.float32)], Sequence(types.float32)).client(0)
        assert LOADED.run(stored.payload, plain) == count


def test_code_that_must_know_a_length_is_refused():
    error = refused(lambda x: x.sum() if x.shape[0] > 4 else x[0], types.tensor("float32", (None,)))
    assert error.headline == "This local code cannot be written to bytes"
    assert "code of type (float32[?] -> float32) that JAX can export for cpu, cuda, tpu" in (
        error.expected or ""
    )


def test_callbacks_to_python_are_refused():
    def ask(x: Any) -> Any:
        return jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct((), np.float32), x)

    assert refused(ask, types.float32).headline == "This local code cannot be written to bytes"


def test_equal_code_gives_equal_bytes_without_the_names_of_files():
    one, other = (JAX.encode(leaf.payload, leaf.type).data for leaf in (traced(padded, Sequence(ROW)),) * 2)
    assert one == other
    assert b".py" not in one
    assert b"/" + __file__.split("/")[1].encode() not in one


def test_a_loaded_leaf_is_written_as_it_was_read():
    stored = loaded(padded, Sequence(ROW))
    encoded = LOADED.encode(stored.payload, stored.type)
    assert encoded.kind == "stablehlo"
    assert LOADED.decode(encoded.data, stored.type).digest == stored.digest


def test_nothing_is_traced_into_the_kind_of_loaded_leaves():
    with pytest.raises(TracingError, match="which is that of loaded leaves"):
        LOADED.trace(lambda x: x, types.float32)


DATA = JAX.encode(traced(jnp.square, types.float32).payload, Function(types.float32, types.float32)).data
SQUARE = Function(types.float32, types.float32)


@pytest.mark.parametrize(
    ("data", "type_", "found"),
    [
        (b"\1", SQUARE, "1 bytes"),
        (b"\2" + DATA[1:], SQUARE, "calling convention 2"),
        (DATA[:2] + bytes(4) + DATA[6:], SQUARE, "0 spare rows"),
        (DATA[:6] + b"\2" + DATA[7:], SQUARE, "512 spare rows, and 2 for a truth value"),
        (DATA[:2] + b"\xff" * 4 + DATA[6:], SQUARE, "4294967295 spare rows"),
        (DATA[: HEAD.size] + bytes(40), SQUARE, ""),
        (DATA, Function(None, types.float32), "1 arrays as argument where 0 should be"),
        (DATA, Function(types.int32, types.float32), "the argument float32[] where int32[] should be"),
        (DATA, Function(types.tensor("float32", (None,)), types.float32), "the argument float32[] where"),
        (DATA, Function(types.float32, types.EMPTY), "1 arrays as result where 0 should be"),
        (DATA, Function(types.float32, types.tensor("float32", (1,))), "the result float32[] where"),
        (DATA, Function(types.string, types.float32), "str, which no such leaf can take or give"),
        (DATA, Function(types.at_server(types.float32), types.float32), "float32@SERVER, which no such leaf"),
        (DATA, Function(types.float32, Sequence(types.float32)), "a sequence as its result"),
        (DATA, Function(types.float32, Struct(((None, SQUARE),))), "(float32 -> float32), which no such"),
    ],
)
def test_bytes_of_another_leaf_are_refused(data: bytes, type_: Function, found: str):
    with pytest.raises(CorruptDataError) as caught:
        LOADED.decode(data, type_)
    assert caught.value.headline == "The stored leaf cannot be read"
    assert (caught.value.found or "").startswith(found)


def test_no_bytes_hold_a_leaf_of_the_kind_jax():
    with pytest.raises(CorruptDataError, match="No bytes hold a leaf of the kind 'jax'"):
        JAX.decode(DATA, SQUARE)


def test_examining_a_leaf_compiles_it():
    open_length = types.tensor("int8", (None,))
    cases = ((jnp.square, types.float32), (padded, Sequence(ROW)), (lambda x: x + x, open_length))
    for fn, parameter in cases:
        stored = loaded(fn, parameter)
        LOADED.examine(stored.payload, stored.type)


def test_examining_a_leaf_refuses_native_code():
    stored = loaded(jnp.linalg.cholesky, types.tensor("float32", (2, 2)))
    with pytest.raises(UnsupportedError, match="calls what stands outside of it"):
        LOADED.examine(stored.payload, stored.type)
