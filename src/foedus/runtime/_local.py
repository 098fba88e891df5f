# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The local runtime: a round over all clients as a few compiled programs."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.data import ClientId, Cohort, client_keys, from_result, to_argument
from foedus.errors import ExecutionError, FoedusError, TracingError, UnsupportedError, failing_line, place
from foedus.ir import Call, Node, Record, Reference, Selection
from foedus.runtime._columns import Lengths, Placed, Shelf, place_cohort, view
from foedus.runtime._plan import Level, Plan, fields_of, operator_of, plan
from foedus.runtime._traced import Monoid, evaluate, monoid_of
from foedus.types import CLIENTS, STRING, Federated, Function, Struct, Tensor, Type, walk

STRANDS = 32
"""Into how many runs of clients, at most, a reduction is cut (spec, section "Reduction")."""
_MOST_PLANS = 64
_MOST_COMPILED = 64
_NEEDS_CLIENTS = ("federated_mean", "federated_weighted_mean", "federated_min", "federated_max")


@dataclass(frozen=True)
class Statistics:
    """What a runtime has done since it was made.

    Args:
        compiled: How many programs it compiled.
        calls: How many compiled programs it called.
    """

    compiled: int = 0
    calls: int = 0


@dataclass(frozen=True)
class _Compiled:
    call: Callable[..., Any]
    lengths: list[Lengths]


@dataclass(frozen=True)
class _Clients:
    """The clients of a run: their ids as given, and in the order in which they are reduced."""

    ids: tuple[ClientId, ...] | None
    order: list[int]

    @property
    def sorted(self) -> list[ClientId]:
        if self.ids is None:
            raise ExecutionError(
                "Nothing says which clients there are",
                at=place(),
                hint="give the runtime its clients, for example local(clients=3)",
            )
        return [self.ids[i] for i in self.order]


@final
class LocalRuntime:
    """Compiles computations with JAX and runs all clients of a round in one process.

    Args:
        clients: The clients for computations that have no argument at clients.
    """

    def __init__(self, clients: tuple[ClientId, ...] | None = None) -> None:
        self._clients = clients
        self._plans: OrderedDict[int, tuple[Node, Plan]] = OrderedDict()
        self._compiled: OrderedDict[Any, list[_Compiled]] = OrderedDict()
        self._shelf = Shelf()
        self.statistics = Statistics()

    def apply(self, function: Node, argument: Any) -> Any:
        """Runs a program; see ``foedus.lang.Interpreter``."""
        type_ = function.type
        assert isinstance(type_, Function)
        parameter = type_.parameter
        given = None if parameter is None else to_argument(argument, parameter, "the argument")
        with jax.enable_x64(True):
            return from_result(_Run(self, self._plan(function), given).result(), type_.result)

    def _plan(self, function: Node) -> Plan:
        found = self._plans.get(id(function))
        if found is None:
            found = (function, plan(function))
            self._plans[id(function)] = found
            if len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(id(function))
        return found[1]

    def run_compiled(
        self,
        key: Any,
        build: Callable[[list[Lengths]], Callable[..., Any]],
        lengths: list[Lengths],
        arguments: Any,
    ) -> Any:
        """Calls a compiled program, compiled now if none fits.

        Args:
            key: What it computes.
            build: Makes the function to compile, given what its sequences answer.
            lengths: What the sequences of this call need answered.
            arguments: Its arguments.

        Returns:
            Its results.
        """
        leaves, structure = jax.tree.flatten(arguments)
        shapes = tuple((np.shape(leaf), leaf.dtype) for leaf in leaves)
        entries = self._compiled.setdefault((key, structure, shapes), [])
        self._compiled.move_to_end((key, structure, shapes))
        fitting = next((e for e in entries if _cover(e.lengths, lengths)), None)
        if fitting is None:
            for entry in entries:
                lengths = [one.joined(other) for one, other in zip(lengths, entry.lengths, strict=True)]
            fresh = [replace(one, asked=set()) for one in lengths]
            fitting = _Compiled(_compile(build(fresh), arguments), fresh)
            entries[:] = [fitting]
            self.statistics = replace(self.statistics, compiled=self.statistics.compiled + 1)
            if len(self._compiled) > _MOST_COMPILED:
                self._compiled.popitem(last=False)
        self.statistics = replace(self.statistics, calls=self.statistics.calls + 1)
        return _wait(fitting.call(*arguments))


def _cover(known: list[Lengths], needed: list[Lengths]) -> bool:
    return all(one.covers(other) for one, other in zip(known, needed, strict=True))


def _compile(function: Callable[..., Any], arguments: Any) -> Callable[..., Any]:
    try:
        return jax.jit(function).lower(*arguments).compile()
    except FoedusError:
        raise
    except (TypeError, ValueError) as error:
        raise TracingError(
            "Local code failed while it was compiled",
            found=f"{type(error).__name__}: {error}",
            at=failing_line(error) or place(),
        ) from error


def _wait(results: Any) -> Any:
    """Waits for a call in small steps, so that an interrupt reaches Python while it runs."""
    leaves = jax.tree.leaves(results)
    start = time.perf_counter()
    while not all(leaf.is_ready() for leaf in leaves):
        time.sleep(min(0.05, (time.perf_counter() - start) / 20))
    return results


class _Run:
    """One run of a plan."""

    def __init__(self, runtime: LocalRuntime, cut: Plan, given: Any) -> None:
        self.runtime = runtime
        self.plan = cut
        self.given = given
        ids = _ids_of(given)
        ids = ids if ids is not None else runtime._clients
        order = [] if ids is None else sorted(range(len(ids)), key=ids.__getitem__)
        self.clients = _Clients(ids, order)
        self.server: dict[str, Any] = {}
        self.stored: dict[str, Any] = {}
        self.placed: dict[str, Placed] = {}
        if cut.parameter is not None and cut.parameter_type is not None:
            self.server[cut.parameter] = self._split(given, cut.parameter_type, "")

    def _split(self, given: Any, type_: Type, path: str) -> Any:
        """Puts cohorts on the device under their path, and leaves the server's part of an argument."""
        match type_:
            case Federated(_, placement, all_equal) if placement == CLIENTS and not all_equal:
                ids = self.clients.sorted
                where = {client: i for i, client in enumerate(given.ids)}
                self.placed[path] = place_cohort(given, [where[i] for i in ids], self.runtime._shelf)
                return ()
            case Struct(fields):
                parts = enumerate(zip(fields, given, strict=True))
                return tuple(self._split(item, t, f"{path}/{i}") for i, ((_, t), item) in parts)
            case _:
                return _without_strings(given, type_)

    def result(self) -> Any:
        for i, level in enumerate(self.plan.levels):
            self._run_server(i, level)
            keys = {
                r.name: client_keys(np.asarray(evaluate(r.key, self.server)), self.clients.sorted, r.purpose)
                for r in level.keys
            }
            self.stored |= keys
            if level.has_pass:
                self._run_clients(i, level)
        return self._collect(self.plan.result)

    def _run_server(self, i: int, level: Level) -> None:
        if not level.server:
            return
        scope = self.server

        def build(_: list[Lengths]) -> Callable[..., Any]:
            def run(scope: Mapping[str, Any]) -> Any:
                inner = dict(scope)
                for name, node in level.server:
                    inner[name] = evaluate(node, inner)
                return {name: inner[name] for name in level.server_outputs}

            return run

        self.server |= self.runtime.run_compiled((self.plan, "server", i), build, [], (scope,))

    def _run_clients(self, i: int, level: Level) -> None:
        """One pass over all clients."""
        count = len(self.clients.sorted)
        needing = [operator_of(node) for _, node in level.reductions if operator_of(node) in _NEEDS_CLIENTS]
        if count == 0 and needing:
            raise ExecutionError(f"{needing[0]} of no clients", expected="at least one client", at=place())
        lengths = [length for placed in self.placed.values() for length in placed.lengths]
        arrays = {path: placed.arrays for path, placed in self.placed.items()}
        templates = {path: placed.template for path, placed in self.placed.items()}
        cut = self.plan

        def build(answers: list[Lengths]) -> Callable[..., Any]:
            def run(server: Mapping[str, Any], arrays: Any, stored: Mapping[str, Any]) -> Any:
                def client(index: Any) -> Mapping[str, Any]:
                    supply = list(answers)
                    views = {path: view(arrays[path], templates[path], supply, index) for path in templates}
                    scope = dict(server)
                    scope |= {
                        name: jax.tree.map(lambda x: jnp.asarray(x)[index], v) for name, v in stored.items()
                    }
                    if cut.parameter is not None and cut.parameter_type is not None:
                        scope[cut.parameter] = _merge(server[cut.parameter], cut.parameter_type, views, "")
                    for name, node in level.clients:
                        scope[name] = evaluate(node, scope)
                    return scope

                return _pass(level, client, server, count)

            return run

        results, outputs = self.runtime.run_compiled(
            (self.plan, "clients", i, count), build, lengths, (self.server, arrays, self.stored)
        )
        self.server |= results
        self.stored |= outputs

    def _collect(self, node: Node) -> Any:
        """The result, with one value for each client, as given, where it is at clients."""
        type_ = node.type
        if isinstance(node, Record):
            return tuple(self._collect(child) for _, child in node.fields)
        if isinstance(node, Reference) and node.name in self.stored:
            assert isinstance(type_, Federated)
            return self._unsorted(self.stored[node.name], all_equal=type_.all_equal)
        if any(isinstance(t, Federated) and t.placement == CLIENTS for t in walk(type_)):
            return _of_argument(_select(node, self.given), type_)
        return evaluate(node, self.server)

    def _unsorted(self, stacked: Any, *, all_equal: bool) -> Any:
        """Values of all clients in the order in which the clients were given."""
        host = jax.tree.map(np.asarray, stacked)
        position = {k: i for i, k in enumerate(self.clients.order)}
        each = [jax.tree.map(lambda x, i=position[k]: x[i], host) for k in range(len(position))]
        if all_equal:
            return each[0] if each else None
        return each


def _select(node: Node, argument: Any) -> Any:
    """A part of the argument of a program, which is what remains of a value that was passed through."""
    return _select(node.source, argument)[node.index] if isinstance(node, Selection) else argument


def _of_argument(given: Any, type_: Type) -> Any:
    if isinstance(type_, Struct):
        return tuple(_of_argument(item, t) for (_, t), item in zip(type_.fields, given, strict=True))
    return [given.client(i) for i in range(len(given))] if isinstance(given, Cohort) else given


def _merge(server: Any, type_: Type, views: Mapping[str, Any], path: str) -> Any:
    """An argument as one client sees it: its own values, and what is the same for all."""
    match type_:
        case Federated() if path in views:
            return views[path]
        case Struct(fields):
            parts = enumerate(zip(fields, server, strict=True))
            return tuple(_merge(item, t, views, f"{path}/{i}") for i, ((_, t), item) in parts)
        case _:
            return server


def _without_strings(given: Any, type_: Type) -> Any:
    """Refuses strings, which no compiled program can take."""
    if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(type_)):
        raise UnsupportedError(
            "The local runtime cannot compile strings",
            found=type_,
            at=place(),
            hint="run it in foedus.runtime.reference()",
        )
    return given


def _contribution(node: Call, scope: Mapping[str, Any]) -> Any:
    """What one client gives to a reduction."""
    name = operator_of(node)
    if name == "federated_aggregate":
        return evaluate(fields_of(node.argument)[0], scope)
    assert node.argument is not None
    return evaluate(node.argument, scope)


def _pass(
    level: Level, client: Callable[[Any], Mapping[str, Any]], server: Mapping[str, Any], count: int
) -> tuple[Any, Any]:
    """Runs all clients of a level, reduces what they send and keeps what later levels need.

    Runs of clients are folded one client after another, and the partial results merged pairwise, so that the
    result depends on the clients alone.

    Args:
        level: The level.
        client: The values at one client, by its place in the order.
        server: The values at the server.
        count: How many clients there are.

    Returns:
        The results of the reductions by name, and the kept values ``[clients, ...]`` by name.
    """
    monoids = {name: monoid_of(node, server) for name, node in level.reductions}
    zero = {name: monoid.zero for name, monoid in monoids.items()}
    shapes = jax.eval_shape(lambda: {name: client(jnp.int32(0))[name] for name in level.client_outputs})
    kept = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), shapes)
    if count == 0:
        return {name: monoid.report(monoid.zero) for name, monoid in monoids.items()}, kept

    def one(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        partial, kept = carry
        scope = client(index)
        partial = {
            name: monoids[name].accumulate(partial[name], _contribution(node, scope))
            for name, node in level.reductions
        }
        values = {name: scope[name] for name in level.client_outputs}
        return partial, jax.tree.map(
            lambda buffer, value: lax.dynamic_update_index_in_dim(buffer, value, index, 0), kept, values
        )

    strands = min(count, STRANDS)
    bounds = jnp.asarray([s * count // strands for s in range(strands + 1)], jnp.int32)

    def strand(kept: Any, s: Any) -> tuple[Any, Any]:
        if strands == count:
            partial, kept = one(s, (zero, kept))
        else:
            partial, kept = lax.fori_loop(bounds[s], bounds[s + 1], one, (zero, kept))
        return kept, partial

    kept, partials = lax.scan(strand, kept, jnp.arange(strands, dtype=jnp.int32))
    totals = {name: _merged(monoid, partials[name], strands) for name, monoid in monoids.items()}
    return {name: monoid.report(totals[name]) for name, monoid in monoids.items()}, kept


def _merged(monoid: Monoid, partials: Any, length: int) -> Any:
    """Merges neighbours until one of the stacked partial results is left."""
    while length > 1:
        pairs = length // 2
        one = jax.tree.map(lambda x, n=pairs: x[: 2 * n : 2], partials)
        other = jax.tree.map(lambda x, n=pairs: x[1 : 2 * n : 2], partials)
        merged = jax.vmap(monoid.merge, axis_size=pairs)(one, other)
        if length % 2:
            merged = jax.tree.map(lambda x, rest: jnp.concatenate([x, rest[-1:]]), merged, partials)
        partials, length = merged, pairs + length % 2
    return jax.tree.map(lambda x: x[0], partials)


def _ids_of(given: Any) -> tuple[ClientId, ...] | None:
    """The clients of all cohorts in an argument, which must be the same."""
    if isinstance(given, Cohort):
        return given.ids
    if not isinstance(given, tuple):
        return None
    found = [ids for ids in map(_ids_of, given) if ids is not None]
    for other in found[1:]:
        if set(other) != set(found[0]):
            raise ExecutionError(
                "The arguments at clients are of different clients",
                found=f"{len(other)} clients: {str(sorted(other)[:5])[1:-1]}",
                expected=f"{len(found[0])} clients: {str(sorted(found[0])[:5])[1:-1]}",
                at=place(),
            )
    return found[0] if found else None
