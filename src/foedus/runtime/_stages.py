# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Running the stages of a plan: each as one compiled call, or natively where it cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from foedus.data import ClientId, Cohort, client_keys
from foedus.data import Members as Participants
from foedus.errors import ClientError, ExecutionError, FoedusError, failing_line, place
from foedus.ir import Call, Node, Record, Reference, Selection
from foedus.runtime._columns import Placed, bucket, padded, place_cohort, reason_against_columns
from foedus.runtime._evaluate import evaluate, monoid_of
from foedus.runtime._fused import Compiler, Members, Schedule, run_fused
from foedus.runtime._lasting import (
    Late,
    Listed,
    all_numbers,
    at_last,
    fits,
    joined,
    numbers_only,
    one_of,
    settle,
)
from foedus.runtime._leaves import Native, settled
from foedus.runtime._member import given_and_kept, merged_argument, stage_at_server
from foedus.runtime._pass import reduce_natively
from foedus.runtime._plan import KeyRequest, Plan, Stage, at_server, fields_of, operator_of, reduced_value
from foedus.runtime._program import computes_a_trifle
from foedus.runtime._secure import RANGED, SECURE, SELECTS, check_bounds, check_range, in_dtype
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral, Struct, Type, field_path, is_above

_NEEDS_MEMBERS = ("federated_mean", "federated_weighted_mean", "federated_min", "federated_max")
_CHECKED = (*RANGED, *SELECTS)
_BOUNDED = frozenset((*SECURE, *SELECTS))
"""Operators whose bounds the host has to know, before or after the stage."""
_NATIVE = Native()


class Run:
    """One run of a plan.

    Args:
        compiler: The runtime.
        shelf: Where columns are kept.
        cut: The plan.
        given: The argument, as ``to_argument`` took it apart.
        members: Who takes part.
    """

    def __init__(self, compiler: Compiler, cut: Plan, given: Any, members: Participants) -> None:
        self.compiler = compiler
        self.plan = cut
        self.given = given
        self.members = members
        self.simulated: set[str] = set()
        self.server: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        self.odd: set[str] = set()
        self.stored: dict[str, tuple[PlacementLiteral, Any]] = {}
        self.cohorts: dict[str, tuple[PlacementLiteral, Cohort]] = {}
        self.placed: dict[str, Placed] = {}
        self.reasons: dict[str, str | None] = {}
        """Why compiled code cannot take a cohort, None if it can."""
        self.orders: dict[PlacementLiteral, list[ClientId]] = {}
        self.schedules: list[Schedule] = []
        self.waiting: int | None = None
        """A stage at the server that is done in the programs that need it."""
        if cut.parameter is not None and cut.parameter_type is not None:
            self._keep_native(cut.parameter, self._split(given, cut.parameter_type, ""), cut.parameter_type)

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
        done = 0
        while done < len(self.plan.stages):
            stage = self.plan.stages[done]
            for request in stage.keys:
                keys = Late((len(self.ids(CLIENTS)), 2), np.uint32, partial(self._keys, request))
                self.stored[request.name] = (CLIENTS, keys)
            if stage.placement == SERVER and self._can_wait(done, stage):
                self.waiting = done
                done += 1
            elif stage.placement == SERVER:
                self._run_server(done, stage)
                done += 1
            else:
                done += self._run_members(done, stage) if stage.is_needed else 1
        return self._collect(self.plan.result)

    def _can_wait(self, number: int, stage: Stage) -> bool:
        """Whether a stage at the server may be done in the programs of the next one, wherever its values are
        needed: if it computes next to nothing, and exactly, and nobody else asks for its values before.
        """
        after = self.plan.stages[number + 1] if number + 1 < len(self.plan.stages) else None
        if after is None or after.placement == SERVER or not after.is_needed or not self.ids(after.placement):
            return False
        if stage.native is not None or after.native is not None or not self._all_fit(stage):
            return False
        if not (self._all_fit(after) and after.reduces_to_server and _BOUNDED.isdisjoint(after.operators)):
            return False
        if number not in self.plan.trifles:
            self.plan.trifles[number] = computes_a_trifle(stage_at_server(stage), self._read(stage))
        return self.plan.trifles[number]

    def _no_longer_wait(self) -> None:
        if self.waiting is not None:
            number, self.waiting = self.waiting, None
            self._run_server(number, self.plan.stages[number])

    def _keys(self, request: KeyRequest) -> Any:
        self._no_longer_wait()
        key = np.asarray(evaluate(request.key, self.server, _NATIVE))
        return client_keys(key, self.ids(CLIENTS), request.purpose)

    def _keep_native(self, name: str, value: Any, type_: Type) -> None:
        """Notes a value at the server that did not come from compiled code."""
        if all_numbers(type_):
            self._keep_compiled({name: value})
            return
        self.server[name], self.numbers[name] = value, numbers_only(value)
        if not fits(value):
            self.odd.add(name)

    def _keep_compiled(self, values: Mapping[str, Any]) -> None:
        """Notes values at the server that came from compiled code."""
        self.server |= values
        self.numbers |= values

    def _read(self, *stages: Stage) -> dict[str, Any]:
        """What of the values at the server some stages read, as far as compiled code can take it."""
        read = frozenset[str]().union(*(stage.reads for stage in stages))
        return {name: value for name, value in self.numbers.items() if name in read}

    # ------------------------------------------------------------ the server

    def _run_server(self, number: int, stage: Stage) -> None:
        if stage.native is not None or not self._all_fit(stage):
            self._note_native(stage)
            for name, node in stage.calls:
                headline = f"The server failed in {operator_of(node) or 'local code'}"
                value = _located(headline, ExecutionError, lambda n=node: evaluate(n, self.server, _NATIVE))
                self._keep_native(name, settle(value, node.type), node.type)
            return

        scope = self._read(stage)
        program = self.compiler.program(
            (self.plan, number), lambda _: stage_at_server(stage), [], (scope,), soon=True
        )
        self._keep_compiled(self.compiler.run(program, scope))

    # ------------------------------------------------------------ a placement below

    def _run_members(self, number: int, stage: Stage) -> int:
        """Runs a stage, and in the same program the server's next one if it can; says how many that were."""
        limits = {} if _BOUNDED.isdisjoint(stage.operators) else self._limits(stage)
        count, stages = len(self.ids(stage.placement)), 1
        for _, node in stage.reductions:
            if at_server(node):
                self._require_members(node, count)
        then = self._next_at_server(number, stage)
        if not count:
            results, kept = self._of_nobody(stage)
        elif stage.native is not None or not self._all_fit(stage):
            results, kept = self._natively(stage, limits)
        else:
            results, kept = self._compiled(number, stage, limits, then)
            reduced = {name for name, _ in stage.reductions}
            self._keep_compiled({name: value for name, value in results.items() if name not in reduced})
            stages = 1 if then is None else 2
        if count and limits:
            self._check_ranges(stage, limits, kept)
        for name, node in stage.reductions:
            target = node.type
            assert isinstance(target, Federated)
            if target.placement != SERVER:
                self.stored[name] = (
                    target.placement,
                    self._reduced_by_group(name, node, kept.pop(f"given/{name}")),
                )
            elif name in results:
                total = in_dtype(node, results[name], target.member) if name in limits else results[name]
                self._keep_native(name, total, target)
        self.stored |= {name: (stage.placement, kept[name]) for name in stage.outputs}
        return stages

    def _next_at_server(self, number: int, stage: Stage) -> Stage | None:
        """The server's stage after one at members, if nothing has to be done on the host between them."""
        then = self.plan.stages[number + 1] if number + 1 < len(self.plan.stages) else None
        if then is None or then.placement != SERVER or then.native is not None:
            return None
        fused = stage.reduces_to_server and _BOUNDED.isdisjoint(stage.operators)
        return then if fused and self._all_fit(then) else None

    def _of_nobody(self, stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
        results = {
            name: settled(reduce_natively(monoid_of(node, self.server, _NATIVE), []))
            for name, node in stage.reductions
            if at_server(node)
        }
        given = [f"given/{name}" for name, _ in stage.reductions]
        return results, dict.fromkeys([*stage.outputs, *given], Listed([]))

    def _limits(self, stage: Stage) -> dict[str, Any]:
        """The bounds of secure sums and of selections."""
        limits = {name: self._limit(n, stage) for name, n in stage.reductions if operator_of(n) in SECURE}
        return limits | {name: self._most_key(n) for name, n in stage.calls if operator_of(n) in SELECTS}

    def _check_ranges(self, stage: Stage, limits: Mapping[str, Any], kept: dict[str, Any]) -> None:
        ids = self.ids(stage.placement)
        for name, node in stage.calls + stage.reductions:
            if operator_of(node) in _CHECKED:
                check_range(node, np.asarray(kept.pop(f"range/{name}"))[: len(ids)], limits[name], ids)

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
        return self._reason_against_values(stage) is None

    def _reason_against_values(self, stage: Stage) -> str | None:
        """Why compiled code cannot take the values that a stage reads, or None if it can."""
        stored = [value for name, (_, value) in self.stored.items() if name in stage.reads]
        if any(isinstance(value, Listed) for value in stored):
            return "it reads values that no array holds: strings, sequences, or arrays of different shapes"
        if stage.placement == SERVER:
            odd = (stage.reads - {self.plan.parameter}) & self.odd
            return "it reads strings or sequences at the server" if odd else None
        for path, (placement, cohort) in self.cohorts.items():
            if placement != stage.placement and not is_above(placement, stage.placement):
                continue
            if path not in self.reasons:
                self.reasons[path] = reason_against_columns(cohort)
            reason = self.reasons[path]
            if reason is not None:
                return f"{reason}, in {_named(path, self.plan.parameter_type)}"
        return None

    def _note_native(self, stage: Stage) -> None:
        why = stage.native or self._reason_against_values(stage)
        assert why is not None, "a stage ran natively without a reason; please report"
        self.compiler.note_native(stage.placement.name, why)

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

    def _compiled(
        self, number: int, stage: Stage, limits: Mapping[str, Any], then: Stage | None
    ) -> tuple[Any, dict[str, Any]]:
        above, count = self._above(stage.placement), len(self.ids(stage.placement))
        seen = {path: p for path, (p, _) in self.cohorts.items() if p in above}
        for path in seen:
            self._place(path)
        below = {name: value for name, (p, value) in self.stored.items() if p in above}
        late = {name: value for name, value in below.items() if isinstance(value, Late)}
        stored = {name: value for name, value in below.items() if not isinstance(value, Listed)}
        stored |= {name: value.stands_for_it for name, value in late.items()}
        first = None if self.waiting is None else self.plan.stages[self.waiting]
        last = number if then is None else number + 1
        made = [
            *(() if first is None else first.outputs),
            *(name for name, node in stage.reductions if at_server(node)),
        ]
        wanted = self.plan.needed_after[last].intersection(made)
        given = Members(
            server=self._read(stage, *(s for s in (first, then) if s is not None)),
            placed={path: self.placed[path] for path in seen},
            seen=seen,
            stored=stored,
            late=late,
            where={name: p for name, (p, _) in self.stored.items()},
            above={p.name: padded(own, bucket(count)) for p, own in above.items() if p != stage.placement},
            limits={name: jax.tree.map(np.asarray, limit) for name, limit in limits.items()},
            count=count,
            first=first,
            then=then,
            wanted=tuple(sorted(wanted)),
        )
        results, kept, schedule = run_fused(self.compiler, self.plan, number, given)
        self.waiting = None
        self.schedules.append(schedule)
        return results, kept

    def _place(self, path: str) -> None:
        if path not in self.placed:
            placement, cohort = self.cohorts[path]
            where = {member: i for i, member in enumerate(cohort.ids)}
            order = [where[member] for member in self.ids(placement)]
            self.placed[path] = place_cohort(cohort, order, self.compiler.shelf)

    def _natively(self, stage: Stage, limits: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """One member after another, leaves as their framework runs them."""
        self._note_native(stage)
        above = self._above(stage.placement)
        given: dict[str, list[Any]] = {name: [] for name, _ in stage.reductions}
        kept: dict[str, list[Any]] = {}
        for index, who in enumerate(self.ids(stage.placement)):
            scope = self._native_scope(stage, above, index)
            self._call_natively(stage, scope, who)
            own, values = given_and_kept(stage, scope, limits, _NATIVE)
            for name, node in stage.reductions:
                given[name].append(own[name] if at_server(node) else values[f"given/{name}"])
            for name, value in values.items():
                kept.setdefault(name, []).append(settle(value, _type_in(stage, name)))
        results = {
            name: settled(reduce_natively(monoid_of(node, self.server, _NATIVE), given[name]))
            for name, node in stage.reductions
            if at_server(node)
        }
        return results, {name: joined(values) for name, values in kept.items()}

    def _native_scope(
        self, stage: Stage, above: Mapping[PlacementLiteral, Any], index: int
    ) -> dict[str, Any]:
        scope = dict(self.server)
        for name, (placement, value) in self.stored.items():
            if placement in above:
                scope[name] = one_of(at_last(value), int(above[placement][index]))
        parameter, type_ = self.plan.parameter, self.plan.parameter_type
        if parameter is not None and type_ is not None:
            views = {}
            for path, (placement, cohort) in self.cohorts.items():
                if placement in above:
                    who = self.ids(placement)[int(above[placement][index])]
                    views[path] = cohort.client(cohort.ids.index(who))
            scope[parameter] = merged_argument(self.server[parameter], type_, views, "")
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
            total = settled(reduce_natively(monoid, [one_of(given, i) for i in own]))
            results.append(in_dtype(node, total, target.member) if operator_of(node) in SECURE else total)
        return joined(results)

    # ------------------------------------------------------------ the result

    def _collect(self, node: Node) -> Any:
        """The result, with one value for each member, as given, where it is below the server."""
        if id(node) in self.plan.of_server:
            return evaluate(node, self.server, _NATIVE)
        type_ = node.type
        if isinstance(node, Record):
            return tuple(self._collect(child) for _, child in node.fields)
        if isinstance(node, Reference) and node.name in self.stored:
            assert isinstance(type_, Federated)
            placement, value = self.stored[node.name][0], at_last(self.stored[node.name][1])
            position = {member: i for i, member in enumerate(self.ids(placement))}
            host = value if isinstance(value, Listed) else jax.tree.map(np.asarray, value)
            each = [one_of(host, position[m]) for m in self.members.in_given_order(placement)]
            if type_.all_equal:
                return each[0] if each else None
            return each
        return _of_argument(_select(node, self.given), type_)


def _type_in(stage: Stage, name: str) -> Type | None:
    found = next((node.type for known, node in stage.calls if known == name), None)
    return found.member if isinstance(found, Federated) else found


def _select(node: Node, argument: Any) -> Any:
    """A part of the argument of a program, which is what remains of a value that was passed through."""
    return _select(node.source, argument)[node.index] if isinstance(node, Selection) else argument


def _of_argument(given: Any, type_: Type) -> Any:
    if isinstance(type_, Struct):
        return tuple(_of_argument(item, t) for (_, t), item in zip(type_.fields, given, strict=True))
    return [given.client(i) for i in range(len(given))] if isinstance(given, Cohort) else given


def _located(headline: str, sort: type[ExecutionError], run: Callable[[], Any]) -> Any:
    try:
        return run()
    except FoedusError:
        raise
    except Exception as error:
        raise sort(
            headline, found=f"{type(error).__name__}: {error}", at=failing_line(error) or place()
        ) from error


def _named(path: str, type_: Type | None) -> str:
    """A part of the argument as its author knows it."""
    found = ""
    for number in map(int, path.split("/")[1:]):
        assert isinstance(type_, Struct)
        name, type_ = type_.fields[number]
        found += field_path(number, name)
    return f"{found} of the argument" if found else "the argument"
