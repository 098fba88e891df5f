# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every pass keeps the type and the meaning of every program."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import foedus as fd
from foedus import runtime, testing
from foedus.errors import CompositionError
from foedus.ir import Block, Call, Foreign, Intrinsic, Lambda, Node, check, show_program, walk
from foedus.lang import Computation, use
from foedus.passes import (
    call_dominant,
    expand,
    from_distribute_aggregate,
    from_map_reduce,
    inline,
    merge_duplicates,
    remove_dead_code,
    replace_intrinsics,
    to_distribute_aggregate,
    to_map_reduce,
    uniquify,
)
from foedus.testing import Program
from foedus.types import KEY, Federated, Function, Struct, Type

from .program_texts import numbered
from .rounds import ROUND, SMALLER, program


def as_lambda(node: Node) -> Lambda:
    assert isinstance(node, Lambda)
    return node


PASSES: dict[str, Callable[[Node], Node]] = {
    "uniquify": uniquify,
    "inline": inline,
    "merge duplicates": lambda node: merge_duplicates(as_lambda(node)),
    "merge duplicates of the flat form": lambda node: merge_duplicates(inline(node)),
    "dead code": lambda node: remove_dead_code(as_lambda(node)),
    "dead code of the flat form": lambda node: remove_dead_code(inline(node)),
    "call-dominant": call_dominant,
    "replace intrinsics": replace_intrinsics,
    "expand": expand,
}
FORMS: dict[str, Callable[[Node], Node]] = {
    "map-reduce": lambda node: from_map_reduce(to_map_reduce(node)),
    "distribute-aggregate": lambda node: from_distribute_aggregate(to_distribute_aggregate(node)),
}

WHY_NOT = (
    "a result stays at (CLIENTS|TOWNS|REGIONS)",
    "a broadcast depends on an aggregate",
    "a key depends on an aggregate",
    "what a client is sent depends on what it asks for",
    "what a tier was sent is needed again on the way up",
)
"""Why a program has neither form."""
ONLY_TIERS = "a value is at (TOWNS|REGIONS)"
"""Why a program has no map-reduce form, though it may have the other one."""

BOUNDS = {
    # The local runtime compiles another program for a form, so that XLA may fuse and reorder inside one
    # client's code otherwise: the bounds of the spec's N4.
    np.dtype(np.float32): 1e-5,
    np.dtype(np.float64): 1e-12,
}


def result(make: Callable[[], Any], node: Node, arguments: tuple[Any, ...]) -> Any:
    with use(make()):
        return Computation(node, "program")(*arguments)


def same(one: Any, other: Any, bounds: dict[np.dtype[Any], float]) -> None:
    """Equal, containers included, and bit for bit where there is no bound for the dtype."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        if a.tobytes() != b.tobytes():
            bound = bounds.get(a.dtype, 0.0)
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound * np.max(np.abs(a), initial=0))


def containers(type_: Type) -> list[type | None]:
    return [t.container for t in fd.types.walk(type_) if isinstance(t, Struct)]


def keeps(change: Callable[[Node], Node], program: Program) -> None:
    """A pass keeps type, containers and meaning of a program: in the reference runtime bit for bit.

    Nothing is regrouped: folds that are merged into one go through the clients as each did (spec, N3), with
    the same operations on each part.
    """
    node = change(program.computation.node)
    assert check(node) == program.computation.type
    assert containers(node.type) == containers(program.computation.type)
    after = replace(program, computation=Computation(node, "changed"))
    same(program.run(runtime.reference), after.run(runtime.reference), {})


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_keeps_type_and_meaning(name: str):
    @given(testing.programs())
    def check_one(program: Program) -> None:
        keeps(PASSES[name], program)

    check_one()


def why_not(change: Callable[[Node], object], program: Program) -> str | None:
    """Why a program does not have a form, None where it has."""
    try:
        change(program.computation.node)
    except CompositionError as refusal:
        return refusal.headline.partition(": ")[2]
    return None


@pytest.mark.parametrize("form", FORMS)
def test_a_form_keeps_type_and_meaning(form: str):
    kept: list[Program] = []

    @settings(max_examples=150)
    @given(testing.programs())
    def check_one(program: Program) -> None:
        reason = why_not(FORMS[form], program)
        if reason is None:
            keeps(FORMS[form], program)
            kept.append(program)
        elif form == "map-reduce" and re.fullmatch(ONLY_TIERS, reason):
            return
        else:
            assert any(re.fullmatch(known, reason) for known in WHY_NOT), reason
            assert all(why_not(other, program) is not None for other in FORMS.values())

    check_one()
    assert len(kept) >= 10, "the strategy makes too few rounds for this test to mean anything"


@given(testing.programs())
def test_flat_form_is_flat(program: Program):
    for node in walk(inline(program.computation.node)):
        if isinstance(node, Block):
            assert all(isinstance(call, Call) for _, call in node.bindings)
        if isinstance(node, Call):
            assert isinstance(node.function, Foreign | Intrinsic)


@given(testing.programs())
def test_passes_end_where_they_end(program: Program):
    once = call_dominant(program.computation.node)
    assert numbered(show_program(call_dominant(once))) == numbered(show_program(once))


# ---------------------------------------------------------------- rounds, in both runtimes


def values(type_: Type, rng: np.random.Generator) -> Any:
    """Small values of a type, one for each of five clients."""
    match type_:
        case Federated(member, placement, all_equal) if placement == fd.CLIENTS and not all_equal:
            return [values(member, rng) for _ in range(5)]
        case Federated(member):
            return values(member, rng)
        case Struct(fields):
            return fd.types.pack(type_, [values(t, rng) for _, t in fields])
        case fd.types.Tensor(dtype, shape):
            numbers = rng.uniform(0, 50, [2 if size is None else size for size in shape or ()])
            return np.asarray(numbers).astype(dtype)
        case _:
            raise AssertionError(type_)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [runtime.reference, runtime.local])
@pytest.mark.parametrize("text", [ROUND, *SMALLER.values()], ids=["a whole round", *SMALLER])
def test_a_round_gives_the_same_in_each_form(form: str, make: Callable[..., Any], text: str):
    node = program(text)
    assert isinstance(node.type, Function)
    parameter = node.type.parameter
    arguments = () if parameter is None else (values(parameter, np.random.default_rng(0)),)
    clients = None if any(each_its_own(t) for t in fd.types.walk(node.type)) else 5
    before = result(lambda: make(clients=clients), node, arguments)
    after = result(lambda: make(clients=clients), FORMS[form](node), arguments)
    same(before, after, {} if make is runtime.reference else BOUNDS)


def each_its_own(type_: Type) -> bool:
    return isinstance(type_, Federated) and type_.placement == fd.CLIENTS and not type_.all_equal


def _noisy(value: Any, weights: Any, key: Any) -> Any:
    noise = jax.random.uniform(key, dtype="float32")
    return {"g": value - weights + noise, "n": jnp.int32(value > weights)}


@fd.computation(fd.at_server({"weights": fd.float32, "key": KEY}), fd.at_clients(fd.float32))
def descent(state: Any, clients: Any) -> Any:
    """A round with JAX code at each place, keys, a broadcast and aggregations of several sorts."""
    keys = fd.federated_key(state.key, "noise")
    weights = fd.federated_broadcast(fd.federated_apply(lambda w: w * 2, state.weights))
    noisy = fd.federated_map(_noisy, (clients, weights, keys))
    mean = fd.federated_mean(noisy.g, noisy.n)
    most = fd.federated_max(noisy)
    count = fd.federated_secure_sum(noisy.n, 1)
    new = fd.federated_apply(lambda s, m: {**s, "weights": s["weights"] - m}, (state, mean))
    moments = fd.federated_aggregate(
        noisy.g,
        (0.0, 0.0),
        lambda a, v: (a[0] + v, a[1] + v * v),
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        lambda a: {"mean": a[0], "square": a[1]},
    )
    return {"state": new, "result": most, "measurements": (fd.federated_zip({"n": count}), moments)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 5, 33, 70])
def test_local_code_gives_the_same_in_each_form(form: str, count: int):
    state = {"weights": np.float32(0.5), "key": np.array([1, 2], np.uint32)}
    clients = [np.float32(1 + i % 7 / 8) for i in range(count)]
    for make, bounds in ((runtime.reference, {}), (runtime.local, BOUNDS)):
        before = result(make, descent.node, (state, clients))
        same(before, result(make, FORMS[form](descent.node), (state, clients)), bounds)


def test_a_round_of_no_clients_gives_the_same_where_it_is_no_error():
    node = program("(x:{<a=int32,b=float32>}@CLIENTS -> federated_sum(x))")
    for change in FORMS.values():
        same(result(runtime.reference, node, ([],)), result(runtime.reference, change(node), ([],)), {})
