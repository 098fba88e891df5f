# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What compiled programs take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core

import foedus as fd
from foedus.data import client_key
from foedus.errors import TracingError
from foedus.runtime import _program, _stages
from foedus.runtime._program import Program, compile_program, computes_a_trifle, without_waste

THREE = np.arange(3, dtype=np.float32)


def compiled(
    function: Callable[..., Any], *arguments: Any, donated: tuple[int, ...] = (), soon: bool = False
) -> Program:
    return compile_program(
        function,
        arguments,
        suit=core.jaxpr_as_fun,
        on_cpu=True,
        donated=donated,
        soon=soon,
        on_traced=lambda _: None,
    )


def used(function: Callable[..., Any], *arguments: Any) -> list[bool]:
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return without_waste(jaxpr, [True] * len(jaxpr.outvars))[1]


def test_what_is_returned_as_it_was_given_is_the_very_same():
    program = compiled(lambda a, b: {"same": a, "twice": 2 * b["x"], "one": 1.0}, THREE, {"x": THREE, "y": 5})
    given = np.array([3, 4, 5], np.float32)
    found = program(given, {"x": given, "y": 6})
    assert found["same"] is given
    assert found["twice"].tolist() == [6, 8, 10]
    assert float(found["one"]) == 1
    assert program.used == (True, {"x": True, "y": False})


def test_an_argument_that_is_returned_is_not_written_over():
    program = compiled(lambda a, b: (a, a + b), jnp.asarray(THREE), jnp.asarray(THREE), donated=(0, 1))
    one, other = jnp.asarray(THREE), jnp.asarray(THREE)
    same, total = program(one, other)
    assert same.tolist() == THREE.tolist()
    assert total.tolist() == (2 * THREE).tolist()
    assert not one.is_deleted()
    assert other.is_deleted()


def test_what_results_depend_on():
    def looped(x: Any, unused: Any, limit: Any, start: Any) -> Any:
        def body(carry: Any) -> Any:
            jnp.sum(unused)
            return carry[0] + 1, carry[1] * x

        return lax.while_loop(lambda carry: carry[0] < limit, body, (0, start))[1]

    assert used(looped, 2.0, THREE, 3, 1.0) == [True, False, True, True]

    def scanned(x: Any, key: Any, rows: Any) -> Any:
        def body(total: Any, row: Any) -> Any:
            jax.random.uniform(jax.random.wrap_key_data(key))  # drawn and not used
            return total + x * row, None

        return lax.scan(body, 0.0, rows)[0]

    assert used(scanned, 2.0, np.zeros(2, np.uint32), THREE) == [True, False, True]
    assert used(jax.jit(lambda a, b, c: a + c), 1.0, 2.0, 3.0) == [True, False, True]
    assert used(lambda a, b: jax.jit(lambda x, y: (x, y))(a, b)[0], 1.0, 2.0) == [True, False]
    assert used(lambda a, b: lax.cond(a > 0, lambda: b, lambda: b + 1), 1.0, 2.0) == [True, True]


def test_loops_have_no_steps_that_nothing_depends_on():
    def nested(key: Any, x: Any) -> Any:
        noise, other = jax.random.split(key)

        def inner(i: Any, y: Any) -> Any:
            jax.random.uniform(jax.random.fold_in(noise, i))  # drawn and not used
            return y * 2

        return lax.fori_loop(
            0, x.astype(int), lambda _, y: lax.fori_loop(0, y.astype(int), inner, y), x
        ), other[0]

    traced = jax.make_jaxpr(nested)(np.zeros(2, np.uint32), np.float32(2))
    lean, needed = without_waste(traced.jaxpr, [True, False])
    assert needed == [False, True]
    assert "random" in str(traced)
    assert "random" not in str(lean)
    assert (
        float(core.jaxpr_as_fun(core.ClosedJaxpr(lean, traced.consts))(np.float32(2))[0]) == 2 * 2**2 * 2**8
    )


def test_a_trifle():
    key = np.zeros(2, np.uint32)
    assert computes_a_trifle(lambda k, n: (jax.random.fold_in(k, n), n + 1), key, np.int32(3))
    assert computes_a_trifle(lambda weights: weights, THREE)
    assert not computes_a_trifle(lambda x: x + 1, THREE)
    assert not computes_a_trifle(lambda n: jnp.arange(100) + n, np.int32(1))
    assert not computes_a_trifle(lambda n: lax.fori_loop(0, n, lambda i, c: c + i, 0), np.int32(9))
    assert not computes_a_trifle(jax.jit(lambda n: n.astype(jnp.float32) > 2), np.int32(3))


def test_what_fails_while_it_is_traced_is_located():
    def fails(x: Any) -> Any:
        return x.no_such_thing

    with pytest.raises(TracingError) as caught:
        compiled(fails, THREE)
    assert caught.value.headline == "Local code failed while it was compiled"
    assert "no_such_thing" in str(caught.value.found)
    assert "return x.no_such_thing" in str(caught.value.at)


# ---------------------------------------------------------------- in rounds


@fd.computation(fd.at_server(fd.types.KEY), fd.at_server(fd.int32), fd.at_clients(fd.float32))
def a_round(key: Any, number: Any, values: Any) -> Any:
    """As in learning: the round's key is derived, its number counted, and clients have keys of their own."""
    of_round = fd.federated_apply(jax.random.fold_in, (key, number))
    keys = fd.federated_key(of_round, "noise")
    drawn = fd.federated_map(lambda x, k: (x, jax.random.bits(k, (), jnp.uint32)), (values, keys))
    doubled = fd.federated_map(lambda pair: pair[0] * 2, drawn)
    again = fd.federated_apply(lambda n: n + 1, number)
    return fd.federated_sum(doubled), again, of_round


@fd.computation(fd.at_server(fd.types.KEY), fd.at_clients(fd.float32))
def first_words(key: Any, values: Any) -> Any:
    return fd.federated_sum(fd.federated_map(lambda x, k: k[0], (values, fd.federated_key(key, "noise"))))


def test_keys_that_nobody_uses_are_not_derived(monkeypatch: pytest.MonkeyPatch):
    derived: list[str] = []
    real = _stages.client_keys

    def noted(key: Any, ids: Any, purpose: str) -> Any:
        derived.append(purpose)
        return real(key, ids, purpose)

    monkeypatch.setattr(_stages, "client_keys", noted)
    key = np.array([1, 2], np.uint32)
    runtime = fd.runtime.local()
    with fd.use(runtime):
        total, number, of_round = a_round(key, 4, [1.0, 2.5])
        assert (float(total), int(number), derived) == (7.0, 5, [])
        assert np.array_equal(of_round, jax.random.fold_in(key, 4))
        found = first_words(key, [1.0, 2.5])
    assert derived == ["noise"]
    words = [int(client_key(key, client, "noise")[0]) for client in (0, 1)]
    assert int(found) == sum(words) % 2**32


def test_a_trifle_at_the_server_takes_no_call_of_its_own():
    runtime = fd.runtime.local(workers=1)
    with fd.use(runtime):
        a_round(np.array([1, 2], np.uint32), 4, [1.0, 2.5])
    assert runtime.statistics.calls == 1
    with fd.use(fd.runtime.reference()):
        expected = a_round(np.array([1, 2], np.uint32), 4, [1.0, 2.5])
    with fd.use(runtime):
        found = a_round(np.array([1, 2], np.uint32), 4, [1.0, 2.5])
    assert [np.asarray(x).tolist() for x in found] == [np.asarray(x).tolist() for x in expected]


def options_of(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *, soon: bool) -> list[Any]:
    """What XLA was told when it compiled a function."""
    told: list[Any] = []
    compile_ = jax.stages.Lowered.compile

    def noting(self: Any, options: Any = None) -> Any:
        told.append(options)
        return compile_(self, options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", noting)
    compiled(function, THREE, soon=soon)
    return told


def test_less_time_is_spent_where_it_changes_no_bit(monkeypatch: pytest.MonkeyPatch):
    usual = {"xla_backend_optimization_level": 1}
    quick = {**usual, "xla_cpu_use_fusion_emitters": False}
    assert options_of(lambda x: jnp.sqrt(x * x + 1) / 3, monkeypatch, soon=True) == [quick]
    assert options_of(lambda x: x + 1, monkeypatch, soon=False) == [usual]
    assert options_of(lambda x: jnp.float32(2) ** x, monkeypatch, soon=True) == [usual]
    finite = options_of(lambda x: jnp.where(jnp.isfinite(x @ x), x, 0), monkeypatch, soon=True)
    assert finite == [quick], "whether a product is finite does not depend on its last bits"
    product = options_of(lambda x: jnp.where(jnp.isfinite(x @ x), x @ x, 0), monkeypatch, soon=True)
    assert product == [usual]
    looped = options_of(lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y + i, x), monkeypatch, soon=True)
    assert looped == [usual]


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_program, "_ON_CPU", {"xla_cpu_of_tomorrow": True})
    assert compiled(lambda x: x + 1, THREE, soon=True)(THREE).tolist() == [1, 2, 3]
