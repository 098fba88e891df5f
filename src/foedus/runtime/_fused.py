# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A stage at the members of a placement as compiled code: all their calls and reductions in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np

from foedus.runtime._columns import Borrowed, Lengths, Placed, Shelf, bucket, padded, view
from foedus.runtime._crew import Crew, Deal, Pace, deal, group_size
from foedus.runtime._evaluate import Monoid, evaluate, monoid_of
from foedus.runtime._lasting import Late
from foedus.runtime._leaves import Traced
from foedus.runtime._member import (
    given_and_kept,
    keeps_something,
    merged_argument,
    stage_at_server,
)
from foedus.runtime._merging import Order, merge
from foedus.runtime._pass import empty_room, fold, strands_of
from foedus.runtime._plan import Plan, Stage, at_server
from foedus.runtime._program import Program
from foedus.runtime._rows import row
from foedus.types import PlacementLiteral

_TRACED = Traced()
_STORED = 4
"""Where stored values are among the arguments of the compiled programs that fold."""
_PIECE_BYTES = 2**28
"""How much of what is not in memory as a whole is read at a time."""


class Compiler(Protocol):
    """What a run needs of its runtime."""

    shelf: Shelf

    @property
    def crew(self) -> Crew:
        """The workers."""
        ...

    @property
    def together(self) -> int:
        """How many runs of members a worker folds as one batch."""
        ...

    def program(
        self,
        key: Any,
        build: Callable[[list[Lengths]], Callable[..., Any]],
        lengths: list[Lengths],
        arguments: tuple[Any, ...],
        *,
        donated: tuple[int, ...] = (),
        soon: bool = False,
        on_traced: Callable[[Any], None] = ...,
    ) -> Program:
        """A compiled program, compiled now if none fits."""
        ...

    def call(self, program: Program, *arguments: Any) -> Any:
        """Calls a compiled program."""
        ...

    def run(self, program: Program, *arguments: Any) -> Any:
        """Calls a compiled program, and waits until its results are computed."""
        ...

    def note_native(self, where: str, reason: str) -> None:
        """Counts a stage that ran natively, and keeps why."""
        ...


@dataclass(frozen=True)
class Members:
    """What a stage at the members of a placement reads.

    Args:
        server: What is at the server, by name.
        placed: The values of arguments, by their path.
        seen: The placement of each of them.
        stored: Values of earlier stages ``[members of their placement, ...]``, by name.
        where: The placement of each of them.
        late: Of the stored values those that are made when compiled code turns out to use them; what is
            stored only has their shape.
        above: For each placement above the stage's, which of its members each member of the stage belongs
            to, by name.
        limits: The greatest integers of secure sums, by the name of the reduction.
        count: How many members there are.
        first: The server's stage before, if it computes so little that it is done where it is needed.
        then: The server's next stage, if it is to be run with this one.
        wanted: What of ``first`` and of the reductions is needed afterwards, by name.
    """

    server: dict[str, Any]
    placed: dict[str, Placed]
    seen: dict[str, PlacementLiteral]
    stored: dict[str, Any]
    late: dict[str, Late]
    where: dict[str, PlacementLiteral]
    above: dict[str, np.ndarray[Any, Any]]
    limits: dict[str, Any]
    count: int
    first: Stage | None
    then: Stage | None
    wanted: tuple[str, ...]

    def at_server(self, server: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is at the server once ``first`` is done."""
        return server if self.first is None else {**server, **stage_at_server(self.first)(server)}

    def work(self) -> np.ndarray[Any, Any]:
        """How much there is to do at each member, in elements of sequences, and one for itself."""
        total = np.ones(self.count)
        for path, placed in self.placed.items():
            at = self.seen_at(path)
            for own in placed.work:
                total += own[at]
        return total

    def seen_at(self, path: str) -> np.ndarray[Any, Any]:
        """Of each member of the stage, whose value of an argument it sees."""
        above = self.above.get(self.seen[path].name)
        return np.arange(self.count) if above is None else above[: self.count]


@dataclass(frozen=True)
class Schedule:
    """How a stage was run.

    Args:
        placement: Whose stage it is.
        members: How many members there are.
        workers: How many workers shared them.
        together: How many runs of members a worker folded as one batch.
        pieces: In how many pieces their data were read; 1 if all were in memory.
        reason: Why.
    """

    placement: str
    members: int
    workers: int
    together: int
    pieces: int
    reason: str

    def __str__(self) -> str:
        workers = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        batch = "one after another" if self.together == 1 else f"{self.together} runs at a time"
        pieces = f", data read in {self.pieces} pieces" if self.pieces > 1 else ""
        return f"{self.members} members of {self.placement}: {workers}, {batch}{pieces} ({self.reason})"


def run_fused(
    compiler: Compiler, plan: Plan, number: int, given: Members
) -> tuple[dict[str, Any], dict[str, Any], Schedule]:
    """Runs a stage at the members of a placement.

    Args:
        compiler: The runtime.
        plan: The plan.
        number: Which of its stages.
        given: What it reads; at least one member.

    Returns:
        What is wanted, with the outputs of the server's next stage; what of every member is kept (``[at least
        members, ...]``); and how it was run.
    """
    stage = plan.stages[number]
    bounds = strands_of(given.count)
    runs = len(bounds) - 1
    schedule = _choose(compiler, stage, given, runs)
    size = 1 if schedule.pieces > 1 else group_size(runs, schedule.workers)
    slots = bucket(-(-runs // (size * schedule.workers)))
    slots += -slots % schedule.together
    pace = plan.paces.setdefault((number, schedule.workers), Pace(schedule.workers))
    dealt = deal(bounds, given.work(), behind=pace.behind(), slots=slots, size=size)
    longest = bucket(int(np.max(np.diff(bounds))))
    traceable = _Traceable(plan, stage, given, schedule.together, longest)
    key = (plan, number, traceable.fixed, schedule.together, longest, given.first is None, given.then is None)
    order = _order(dealt, bounds, given.count if keeps_something(stage) else None)
    if schedule.workers == schedule.pieces == 1:
        rooms = Borrowed(compiler.shelf.rooms)
        arrays = _loader(given, dealt, pieces=1)(0, rooms)
        arguments = (_part(dealt.spans[0], 0, 1), order, *traceable.shared(arrays))
        program = compiler.program(key, traceable.whole, traceable.lengths, arguments)
        arguments = _with_late(arguments, given.late, program)
        task = partial(compiler.call, program, *arguments)
        (done,), took = compiler.crew.do([task], soon=pace.is_short(dealt.loads))
        pace.note(dealt.loads, took)
        rooms.give_back()
        return *done, schedule

    def merging(folded: list[Any]) -> tuple[Program, tuple[Any, ...]]:
        arguments = (given.server, folded, order)
        program = compiler.program((*key, "merge"), traceable.merging, [], arguments, soon=True)
        return program, arguments

    def soon(folded: Any) -> None:
        """Compiles the end of the pass while its beginning is compiled."""
        compiler.crew.soon(partial(merging, [folded] * schedule.workers))

    is_short = schedule.pieces == 1 and pace.is_short(dealt.loads)
    folded, took, give_back = _fold_pieces(
        compiler, key, traceable, dealt, schedule.pieces, is_short=is_short, on_traced=soon
    )
    pace.note(dealt.loads, took)
    device = compiler.crew.device(0)
    program, arguments = merging(folded if device is None else jax.device_put(folded, device))
    done = compiler.run(program, *arguments)
    give_back()
    return *done, schedule


def _choose(compiler: Compiler, stage: Stage, given: Members, runs: int) -> Schedule:
    """How to run a stage: shared among workers if its members have sequences to walk through."""
    bytes_ = sum(placed.bytes_to_read for placed in given.placed.values())
    pieces = -(-bytes_ // _PIECE_BYTES) if bytes_ else 1
    workers, together = min(compiler.crew.size, runs), min(compiler.together, runs)
    if not any(placed.work for placed in given.placed.values()):
        workers, reason = 1, "no member has a sequence to walk through"
    elif workers == 1:
        reason = "there is one worker" if compiler.crew.size == 1 else "there is one run of members"
    else:
        reason = f"runs are dealt out by the number of elements, {runs} in all"
    if together == 1 and compiler.crew.on_cpu:
        reason += "; a CPU does one member after another faster than several at once"
    return Schedule(stage.placement.name, given.count, workers, together, pieces, reason)


@dataclass(frozen=True)
class _Traceable:
    """The stage as functions for the compiler."""

    plan: Plan
    stage: Stage
    given: Members
    together: int
    longest: int

    @property
    def lengths(self) -> list[Lengths]:
        return [length for one in self.given.placed.values() for length in one.lengths]

    @property
    def fixed(self) -> tuple[Any, ...]:
        return tuple((path, one.fixed) for path, one in self.given.placed.items())

    def shared(self, arrays: Any) -> tuple[Any, ...]:
        """The arguments that are the same for all workers."""
        return self.given.server, arrays, self.given.stored, self.given.above, self.given.limits

    def monoids(self, server: Mapping[str, Any]) -> dict[str, Monoid]:
        return {
            name: monoid_of(node, server, _TRACED) for name, node in self.stage.reductions if at_server(node)
        }

    def member_of(self, answers: list[Lengths]) -> Callable[..., Any]:
        """From the arguments that are shared to what is done at one member."""
        plan, stage, seen, where = self.plan, self.stage, self.given.seen, self.given.where
        templates = {path: one.template for path, one in self.given.placed.items()}
        names = tuple(self.given.stored)

        def of(server: Any, arrays: Any, stored: Any, above: Any, limits: Any) -> Callable[..., Any]:
            def member(index: Any) -> tuple[dict[str, Any], dict[str, Any]]:
                places = {p.name for p in seen.values()} | {where[name].name for name in names}
                at = {name: row(above[name], index) if name in above else index for name in places}
                supply = list(answers)
                views = {
                    path: view(arrays[path], template, supply, at[seen[path].name])
                    for path, template in templates.items()
                }
                scope = dict(server)
                for name, value in stored.items():
                    own = at[where[name].name]
                    scope[name] = row(value, own)
                if plan.parameter in server and plan.parameter_type is not None:
                    scope[plan.parameter] = merged_argument(
                        server[plan.parameter], plan.parameter_type, views, ""
                    )
                for name, node in stage.calls:
                    scope[name] = evaluate(node, scope, _TRACED)
                return given_and_kept(stage, scope, limits, _TRACED)

            return member

        return of

    def folding(self, answers: list[Lengths]) -> Callable[..., Any]:
        """The first call of a pass, or one that goes on where another ended."""
        member_of = self.member_of(answers)

        def run(work: Any, so_far: Any, server: Any, *shared: Any) -> Any:
            known = self.given.at_server(server)
            member, monoids = member_of(known, *shared), self.monoids(known)
            return fold(
                member,
                monoids,
                work,
                so_far,
                keeps=keeps_something(self.stage),
                longest=self.longest,
                together=self.together,
            )

        return run

    def room(self, server: Any, work: Any) -> Any:
        """Room for the partial results of a worker."""
        monoids = self.monoids(self.given.at_server(server))
        return empty_room(monoids, *work.shape[:2], together=self.together)

    def fresh_room(self, work: Any) -> Any:
        """The same, made without compiling anything."""
        shapes = jax.eval_shape(self.room, self.given.server, work)
        return jax.tree.map(lambda s: jax.device_put(np.zeros(s.shape, s.dtype)), shapes)

    def merging(self, _: list[Lengths]) -> Callable[..., Any]:
        """The end of a pass."""

        def run(server: Any, folded: Any, order: Order) -> Any:
            known = self.given.at_server(server)
            results, kept = merge(self.monoids(known), folded, order)
            then = {} if self.given.then is None else stage_at_server(self.given.then)({**known, **results})
            made = {**known, **results}
            return {**then, **{name: made[name] for name in self.given.wanted}}, kept

        return run

    def whole(self, answers: list[Lengths]) -> Callable[..., Any]:
        """A pass of one call."""
        folding, merging = self.folding(answers), self.merging(answers)

        def run(work: Any, order: Order, *shared: Any) -> Any:
            return merging(shared[0], [folding(work, (self.room(shared[0], work), None), *shared)], order)

        return run


def _fold_pieces(
    compiler: Compiler,
    key: Any,
    stage: _Traceable,
    dealt: Deal,
    pieces: int,
    *,
    is_short: bool,
    on_traced: Callable[[Any], None],
) -> tuple[list[tuple[Any, Any]], list[float], Callable[[], None]]:
    """Folds the runs of all workers, reading the data of the next piece meanwhile.

    Returns:
        What comes of it, how many seconds each worker took for the last piece, and what is to be called when
        nobody needs the results any more.
    """
    crew = compiler.crew
    devices = [crew.device(worker) for worker in range(len(dealt.spans))]
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves((dealt.spans[0], stage.given.server))]
    purposes = [(*key, *shapes, device) for device in devices]
    spare = compiler.shelf.spare
    fresh = partial(stage.fresh_room, dealt.spans[0])
    taken = [spare.take(purpose, fresh) for purpose in purposes]
    folded: list[Any] = [(room, None) for room, _ in taken]
    took: list[float] = []
    load = _loader(stage.given, dealt, pieces)
    rooms = [Borrowed(compiler.shelf.rooms) for _ in range(pieces)]
    loading = crew.soon(partial(load, 0, rooms[0])) if pieces > 1 else None
    for piece in range(pieces):
        arrays = load(piece, rooms[piece]) if loading is None else loading.result()
        if piece + 1 < pieces:
            loading = crew.soon(partial(load, piece + 1, rooms[piece + 1]))
        shared = stage.shared(arrays)

        tasks, programs = [], dict[Any, Program]()
        for worker, (device, so_far) in enumerate(zip(devices, folded, strict=True)):
            arguments = (_part(dealt.spans[worker], piece, pieces), so_far, *shared)
            if device is not None:
                arguments = jax.device_put(arguments, device)
            if device not in programs:
                lengths = stage.lengths
                programs[device] = compiler.program(
                    (*key, device), stage.folding, lengths, arguments, donated=(1,), on_traced=on_traced
                )
            arguments = _with_late(arguments, stage.given.late, programs[device])
            tasks.append(partial(compiler.call, programs[device], *arguments))
        folded, took = crew.do(tasks, soon=is_short)
        rooms[piece].give_back()

    def give_back() -> None:
        for purpose, (room, _), (_, size) in zip(purposes, folded, taken, strict=True):
            spare.give_back(purpose, room, size)

    return folded, took, give_back


def _with_late(arguments: tuple[Any, ...], late: Mapping[str, Late], program: Program) -> tuple[Any, ...]:
    """The arguments with what is only now known to be used in place of what stood for it."""
    needed = {name: value for name, value in late.items() if program.used[_STORED][name]}
    if not needed:
        return arguments
    stored = {**arguments[_STORED], **{name: value.get() for name, value in needed.items()}}
    return (*arguments[:_STORED], stored, *arguments[_STORED + 1 :])


def _part(spans: np.ndarray[Any, Any], piece: int, pieces: int) -> np.ndarray[Any, Any]:
    """The members of each run that belong to a piece."""
    if pieces == 1:
        return spans
    first, begin, end = np.moveaxis(spans, -1, 0)
    own = [begin + (end - begin) * k // pieces for k in (piece, piece + 1)]
    return np.stack([first, *own], -1)


def _loader(given: Members, dealt: Deal, pieces: int) -> Callable[[int, Borrowed], dict[str, Any]]:
    """A function that gives the arrays of a piece, read into rooms."""
    if not any(placed.bytes_to_read for placed in given.placed.values()):
        return lambda *_: {path: placed.arrays for path, placed in given.placed.items()}

    def members(piece: int) -> np.ndarray[Any, Any]:
        chosen = np.zeros(given.count, bool)
        for spans in dealt.spans:
            for _, begin, end in _part(spans, piece, pieces).reshape(-1, 3):
                chosen[begin:end] = True
        return chosen

    chosen = [members(piece) for piece in range(pieces)]

    def load(piece: int, rooms: Borrowed) -> dict[str, Any]:
        arrays = {}
        for path, one in given.placed.items():
            at = given.seen_at(path)
            arrays[path] = one.load([np.unique(at[own]) for own in chosen], piece, rooms)
        return arrays

    return load


def _order(dealt: Deal, bounds: np.ndarray[Any, Any], keeping: int | None) -> Order:
    """Where everything is after the folds, what so many members keep included; padded, so that the shapes
    are few.
    """
    runs, groups = len(bounds) - 1, len(dealt.groups)
    where = padded(dealt.groups, bucket(groups)), np.int32(groups)
    if keeping is None:
        return Order(*where, None)
    of_member = np.repeat(np.arange(runs), np.diff(bounds))
    worker, slot = dealt.groups[of_member // dealt.size].T
    place = np.arange(keeping) - bounds[of_member]
    members = np.stack([worker, slot * dealt.size + of_member % dealt.size, place], 1).astype(np.int32)
    return Order(*where, padded(members, bucket(keeping)))
