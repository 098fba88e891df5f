# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Running the stages of a plan: each as one compiled call, or natively where it cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from foedus.data import ClientId, Cohort, Elements, Members, client_keys, to_member
from foedus.errors import ClientError, ExecutionError, FoedusError, failing_line, place
from foedus.ir import Call, Node, Record, Reference, Selection
from foedus.runtime._columns import (
    Lengths,
    Placed,
    Shelf,
    place_cohort,
    reason_against_columns,
    view,
)
from foedus.runtime._evaluate import contribution, evaluate, monoid_of
from foedus.runtime._leaves import Native, Traced, settled
from foedus.runtime._pass import reduce_natively, run_pass
from foedus.runtime._plan import Plan, Stage, fields_of, operator_of, reduced_value
from foedus.runtime._secure import RANGED, SECURE, SELECTS, check_bounds, check_range, in_dtype, out_of_range
from foedus.types import (
    CLIENTS,
    SERVER,
    Federated,
    PlacementLiteral,
    Sequence,
    Struct,
    Type,
    is_above,
    walk,
)

_NEEDS_MEMBERS = ("federated_mean", "federated_weighted_mean", "federated_min", "federated_max")
_CHECKED = (*RANGED, *SELECTS)
_TRACED, _NATIVE = Traced(), Native()


class Compiler(Protocol):
    """What a run needs of its runtime."""

    shelf: Shelf

    def run_compiled(
        self,
        key: Any,
        build: Callable[[list[Lengths]], Callable[..., Any]],
        lengths: list[Lengths],
        arguments: tuple[Any, ...],
    ) -> Any:
        """Calls a compiled program, compiled now if none fits."""
        ...

    def note_native(self) -> None:
        """Counts a stage that ran natively."""
        ...


class Run:
    """One run of a plan.

    Args:
        compiler: The runtime.
        cut: The plan.
        given: The argument, as ``to_argument`` took it apart.
        members: Who takes part.
    """

    def __init__(self, compiler: Compiler, cut: Plan, given: Any, members: Members) -> None:
        self.compiler = compiler
        self.plan = cut
        self.given = given
        self.members = members
        self.simulated: set[str] = set()
        self.server: dict[str, Any] = {}
        self.stored: dict[str, tuple[PlacementLiteral, Any]] = {}
        self.cohorts: dict[str, tuple[PlacementLiteral, Cohort]] = {}
        self.placed: dict[str, Placed] = {}
        self.orders: dict[PlacementLiteral, list[ClientId]] = {}
        if cut.parameter is not None and cut.parameter_type is not None:
            self.server[cut.parameter] = self._split(given, cut.parameter_type, "")

    def _split(self, given: Any, type_: Type, path: str) -> Any:
        """Files cohorts under their path, and leaves the server's part of an argument."""
        match type_:
            case Federated(_, placement, all_equal) if placement != SERVER and not all_equal:
                self.cohorts[path] = (placement, given)
                return ()
            case Struct(fields):
                parts = enumerate(zip(fields, given, strict=True))
                return tuple(self._split(item, t, f"{path}/{i}") for i, ((_, t), item) in parts)
            case _:
                return given

    def ids(self, placement: PlacementLiteral) -> list[ClientId]:
        """The members of a placement in order."""
        if placement not in self.orders:
            self.orders[placement] = self.members.ids(placement)
        return self.orders[placement]

    def result(self) -> Any:
        """Runs all stages, and gives the result in plain form."""
        for number, stage in enumerate(self.plan.stages):
            for request in stage.keys:
                key = np.asarray(evaluate(request.key, self.server, _NATIVE))
                keys = client_keys(key, self.ids(CLIENTS), request.purpose)
                self.stored[request.name] = (CLIENTS, keys)
            if stage.placement == SERVER:
                self._run_server(number, stage)
            elif stage.is_needed:
                self._run_members(number, stage)
        return self._collect(self.plan.result)

    def _numbers(self) -> dict[str, Any]:
        return {name: _numbers_only(value) for name, value in self.server.items()}

    # ------------------------------------------------------------ the server

    def _run_server(self, number: int, stage: Stage) -> None:
        if stage.native is not None or not self._all_fit(stage):
            self.compiler.note_native()
            for name, node in stage.calls:
                headline = f"The server failed in {operator_of(node) or 'local code'}"
                value = _located(headline, ExecutionError, lambda n=node: evaluate(n, self.server, _NATIVE))
                self.server[name] = _settle(value, node.type)
            return

        def build(_: list[Lengths]) -> Callable[..., Any]:
            def run(scope: Mapping[str, Any]) -> Any:
                inner = dict(scope)
                for name, node in stage.calls:
                    inner[name] = evaluate(node, inner, _TRACED)
                return {name: inner[name] for name in stage.outputs}

            return run

        scope = self._numbers()
        self.server |= self.compiler.run_compiled((self.plan, number), build, [], (scope,))

    # ------------------------------------------------------------ a placement below

    def _run_members(self, number: int, stage: Stage) -> None:
        limits = {
            name: self._limit(node, stage) for name, node in stage.reductions if operator_of(node) in SECURE
        }
        limits |= {name: self._most_key(node) for name, node in stage.calls if operator_of(node) in SELECTS}
        count = len(self.ids(stage.placement))
        for _, node in stage.reductions:
            self._require_members(node, count)
        if stage.native is not None or not self._all_fit(stage):
            results, kept = self._natively(stage, limits)
        else:
            results, kept = self._compiled(number, stage, limits)
        if not count:
            given = [f"given/{name}" for name, _ in stage.reductions]
            kept = dict.fromkeys([*stage.outputs, *given], _Listed([]))
        for name, node in stage.calls + stage.reductions:
            if count and operator_of(node) in _CHECKED:
                check_range(node, kept.pop(f"range/{name}"), limits[name], self.ids(stage.placement))
        for name, node in stage.reductions:
            target = node.type
            assert isinstance(target, Federated)
            if target.placement != SERVER:
                self.stored[name] = (
                    target.placement,
                    self._reduced_by_group(name, node, kept.pop(f"given/{name}")),
                )
            else:
                self.server[name] = (
                    in_dtype(node, results[name], target.member) if name in limits else results[name]
                )
        self.stored |= {name: (stage.placement, kept[name]) for name in stage.outputs}

    def _limit(self, node: Call, stage: Stage) -> Any:
        name = operator_of(node)
        assert name is not None
        self.simulated.add(name)
        bound = settled(evaluate(fields_of(node.argument)[1], self.server, _NATIVE))
        return check_bounds(node, bound, len(self.ids(stage.placement)))

    def _most_key(self, node: Call) -> Any:
        """The greatest key that a selection allows."""
        name = operator_of(node)
        self.simulated |= {name} if name == "federated_secure_select" else set()
        return settled(evaluate(fields_of(node.argument)[1], self.server, _NATIVE)) - np.int64(1)

    def _require_members(self, node: Call, count: int) -> None:
        if count == 0 and operator_of(node) in _NEEDS_MEMBERS:
            source = reduced_value(node).placement
            of_whom = "clients" if source == CLIENTS else f"members of {source}"
            headline = f"{operator_of(node)} of no {of_whom}"
            raise ExecutionError(headline, expected="at least one", at=place())

    def _all_fit(self, stage: Stage) -> bool:
        """Whether compiled code can take everything that a stage reads."""
        stored = [value for name, (_, value) in self.stored.items() if name in stage.reads]
        if any(isinstance(value, _Listed) for value in stored):
            return False
        if stage.placement == SERVER:
            own = stage.reads - {self.plan.parameter}
            return all(_fits(self.server[name]) for name in own if name in self.server)
        return all(
            reason_against_columns(cohort) is None
            for placement, cohort in self.cohorts.values()
            if placement == stage.placement or is_above(placement, stage.placement)
        )

    def _above(self, placement: PlacementLiteral) -> dict[PlacementLiteral, np.ndarray[Any, Any]]:
        """For each placement whose values a stage can see, which of its members each member of the stage
        belongs to.
        """
        seen = {p for p, _ in self.stored.values()} | {p for p, _ in self.cohorts.values()} | {placement}
        found: dict[PlacementLiteral, np.ndarray[Any, Any]] = {}
        for upper in seen:
            if upper == placement:
                found[upper] = np.arange(len(self.ids(placement)), dtype=np.int32)
            elif is_above(upper, placement):
                position = {member: i for i, member in enumerate(self.ids(upper))}
                parents = self.members.above(placement, upper)
                own = [position[parents[i]] for i in self.ids(placement)]
                found[upper] = np.array(own, dtype=np.int32)
        return found

    def _compiled(self, number: int, stage: Stage, limits: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        above = self._above(stage.placement)
        seen = {path: p for path, (p, _) in self.cohorts.items() if p in above}
        for path in seen:
            self._place(path)
        placed = {path: self.placed[path] for path in seen}
        stored = {
            name: value
            for name, (p, value) in self.stored.items()
            if p in above and not isinstance(value, _Listed)
        }
        where = {name: p for name, (p, _) in self.stored.items()}
        lengths = [length for one in placed.values() for length in one.lengths]
        templates = {path: one.template for path, one in placed.items()}
        count, cut = len(self.ids(stage.placement)), self.plan

        def build(answers: list[Lengths]) -> Callable[..., Any]:
            def run(server: Any, arrays: Any, stored: Any, above: Any, limits: Any) -> Any:
                def member(index: Any) -> tuple[dict[str, Any], dict[str, Any]]:
                    at = {p: above[p.name][index] for p in set(seen.values()) | {where[n] for n in stored}}
                    supply = list(answers)
                    views = {
                        path: view(arrays[path], templates[path], supply, at[seen[path]])
                        for path in templates
                    }
                    scope = dict(server)
                    for name, value in stored.items():
                        scope[name] = jax.tree.map(lambda x, i=at[where[name]]: jnp.asarray(x)[i], value)
                    if cut.parameter is not None and cut.parameter_type is not None:
                        scope[cut.parameter] = _merge(server[cut.parameter], cut.parameter_type, views, "")
                    for name, node in stage.calls:
                        scope[name] = evaluate(node, scope, _TRACED)
                    return _given_and_kept(stage, scope, limits, _TRACED)

                monoids = {
                    name: monoid_of(node, server, _TRACED)
                    for name, node in stage.reductions
                    if _at_server(node)
                }
                return run_pass(member, monoids, count)

            return run

        fixed = tuple((path, one.fixed) for path, one in placed.items())
        arrays = {path: one.arrays for path, one in placed.items()}
        arguments = (
            self._numbers(),
            arrays,
            stored,
            {p.name: own for p, own in above.items()},
            {name: jax.tree.map(np.asarray, limit) for name, limit in limits.items()},
        )
        return self.compiler.run_compiled((self.plan, number, count, fixed), build, lengths, arguments)

    def _place(self, path: str) -> None:
        if path not in self.placed:
            placement, cohort = self.cohorts[path]
            where = {member: i for i, member in enumerate(cohort.ids)}
            order = [where[member] for member in self.ids(placement)]
            self.placed[path] = place_cohort(cohort, order, self.compiler.shelf)

    def _natively(self, stage: Stage, limits: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """One member after another, leaves as their framework runs them."""
        self.compiler.note_native()
        above = self._above(stage.placement)
        given: dict[str, list[Any]] = {name: [] for name, _ in stage.reductions}
        kept: dict[str, list[Any]] = {}
        for index, who in enumerate(self.ids(stage.placement)):
            scope = self._native_scope(stage, above, index)
            self._call_natively(stage, scope, who)
            own, values = _given_and_kept(stage, scope, limits, _NATIVE)
            for name, node in stage.reductions:
                given[name].append(own[name] if _at_server(node) else values[f"given/{name}"])
            for name, value in values.items():
                kept.setdefault(name, []).append(_settle(value, _type_in(stage, name)))
        results = {
            name: settled(reduce_natively(monoid_of(node, self.server, _NATIVE), given[name]))
            for name, node in stage.reductions
            if _at_server(node)
        }
        return results, {name: _joined(values) for name, values in kept.items()}

    def _native_scope(
        self, stage: Stage, above: Mapping[PlacementLiteral, Any], index: int
    ) -> dict[str, Any]:
        scope = dict(self.server)
        for name, (placement, value) in self.stored.items():
            if placement in above:
                scope[name] = _one_of(value, int(above[placement][index]))
        parameter, type_ = self.plan.parameter, self.plan.parameter_type
        if parameter is not None and type_ is not None:
            views = {}
            for path, (placement, cohort) in self.cohorts.items():
                if placement in above:
                    who = self.ids(placement)[int(above[placement][index])]
                    views[path] = cohort.client(cohort.ids.index(who))
            scope[parameter] = _merge(self.server[parameter], type_, views, "")
        return scope

    def _call_natively(self, stage: Stage, scope: dict[str, Any], who: ClientId) -> None:
        kind_of = "Client" if stage.placement == CLIENTS else f"The member of {stage.placement}"
        for name, node in stage.calls:
            headline = f"{kind_of} {who!r} failed in {operator_of(node) or 'local code'}"
            scope[name] = _located(headline, ClientError, lambda n=node: evaluate(n, scope, _NATIVE))

    def _reduced_by_group(self, name: str, node: Call, given: Any) -> Any:
        """A reduction to a tier: each of its members folds what those below it give."""
        target = node.type
        assert isinstance(target, Federated)
        source = reduced_value(node).placement
        parents = self.members.above(source, target.placement)
        positions: dict[ClientId, list[int]] = {member: [] for member in self.ids(target.placement)}
        for i, member in enumerate(self.ids(source)):
            positions[parents[member]].append(i)
        monoid = monoid_of(node, self.server, _NATIVE)
        results = []
        for own in positions.values():
            self._require_members(node, len(own))
            total = settled(reduce_natively(monoid, [_one_of(given, i) for i in own]))
            results.append(in_dtype(node, total, target.member) if operator_of(node) in SECURE else total)
        return _joined(results)

    # ------------------------------------------------------------ the result

    def _collect(self, node: Node) -> Any:
        """The result, with one value for each member, as given, where it is below the server."""
        type_ = node.type
        if isinstance(node, Record):
            return tuple(self._collect(child) for _, child in node.fields)
        if isinstance(node, Reference) and node.name in self.stored:
            assert isinstance(type_, Federated)
            placement, value = self.stored[node.name]
            position = {member: i for i, member in enumerate(self.ids(placement))}
            host = value if isinstance(value, _Listed) else jax.tree.map(np.asarray, value)
            each = [_one_of(host, position[m]) for m in self.members.in_given_order(placement)]
            if type_.all_equal:
                return each[0] if each else None
            return each
        if any(isinstance(t, Federated) and t.placement != SERVER for t in walk(type_)):
            return _of_argument(_select(node, self.given), type_)
        return evaluate(node, self.server, _NATIVE)


class _Listed:
    """One value for each member that no array can hold: strings, sequences, arrays of different shapes."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values


def _joined(values: list[Any]) -> Any:
    """One value for each member, as arrays ``[members, ...]`` if it can be."""
    if not values or not all(map(_fits, values)):
        return _Listed(values)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(value)] for value in values]
    if any(own != shapes[0] for own in shapes):
        return _Listed(values)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *values)


def _one_of(value: Any, index: int) -> Any:
    return (
        value.values[index]
        if isinstance(value, _Listed)
        else jax.tree.map(lambda x: np.asarray(x)[index], value)
    )


def _at_server(node: Call) -> bool:
    return isinstance(node.type, Federated) and node.type.placement == SERVER


def _given_and_kept(
    stage: Stage, scope: Mapping[str, Any], limits: Mapping[str, Any], leaves: Traced | Native
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one member gives to the reductions at the server, and what of it is kept."""
    given: dict[str, Any] = {}
    kept = {name: scope[name] for name in stage.outputs}
    for name, node in stage.reductions:
        own = contribution(node, scope, leaves)
        if _at_server(node):
            given[name] = own
        else:
            kept[f"given/{name}"] = own
        if operator_of(node) in RANGED:
            kept[f"range/{name}"] = out_of_range(own, limits[name])
    for name, node in stage.calls:
        if operator_of(node) in SELECTS:
            keys = evaluate(fields_of(node.argument)[0], scope, leaves)
            kept[f"range/{name}"] = out_of_range(keys, limits[name])
    return given, kept


def _type_in(stage: Stage, name: str) -> Type | None:
    found = next((node.type for known, node in stage.calls if known == name), None)
    return found.member if isinstance(found, Federated) else found


def _settle(value: Any, type_: Type | None) -> Any:
    """A native value in a form that outlives its stage: sequences as ``Elements``."""
    member = type_.member if isinstance(type_, Federated) else type_
    if isinstance(member, Struct) and isinstance(value, tuple):
        return tuple(_settle(item, t) for (_, t), item in zip(member.fields, value, strict=True))
    if isinstance(member, Sequence) and not isinstance(value, Elements):
        return to_member([settled(element) for element in value], member, "a sequence")
    return settled(value)


def _fits(value: Any) -> bool:
    """Whether a plain value can be an argument of compiled code."""
    if isinstance(value, tuple):
        return all(_fits(item) for item in value)
    return hasattr(value, "dtype") and np.dtype(value.dtype).kind not in "OUS"


def _numbers_only(value: Any) -> Any:
    """What of a plain value compiled code can take; what it cannot, it does not use."""
    if isinstance(value, tuple):
        return tuple(_numbers_only(item) for item in value)
    return value if _fits(value) else ()


def _select(node: Node, argument: Any) -> Any:
    """A part of the argument of a program, which is what remains of a value that was passed through."""
    return _select(node.source, argument)[node.index] if isinstance(node, Selection) else argument


def _of_argument(given: Any, type_: Type) -> Any:
    if isinstance(type_, Struct):
        return tuple(_of_argument(item, t) for (_, t), item in zip(type_.fields, given, strict=True))
    return [given.client(i) for i in range(len(given))] if isinstance(given, Cohort) else given


def _merge(server: Any, type_: Type, views: Mapping[str, Any], path: str) -> Any:
    """An argument as one member sees it: its own values, and what is the same for all."""
    match type_:
        case Federated() if path in views:
            return views[path]
        case Struct(fields) if isinstance(server, tuple) and len(server) == len(fields):
            parts = enumerate(zip(fields, server, strict=True))
            return tuple(_merge(item, t, views, f"{path}/{i}") for i, ((_, t), item) in parts)
        case _:
            return server


def _located(headline: str, sort: type[ExecutionError], run: Callable[[], Any]) -> Any:
    try:
        return run()
    except FoedusError:
        raise
    except Exception as error:
        raise sort(
            headline, found=f"{type(error).__name__}: {error}", at=failing_line(error) or place()
        ) from error
