# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The local runtime: a round over all clients as a few compiled programs."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any, final

import jax
from jax.extend import core

from foedus.data import ClientId, Tiers, from_result, members_of, to_argument
from foedus.ir import Node
from foedus.runtime._columns import Lengths, Shelf
from foedus.runtime._crew import SOON, Crew
from foedus.runtime._fused import Schedule
from foedus.runtime._leaves import reason_against_jax
from foedus.runtime._plan import Plan, plan
from foedus.runtime._program import Program, compile_program
from foedus.runtime._rewrite import in_other_forms
from foedus.runtime._stages import Run
from foedus.types import Function

_MOST_PLANS = 64
_MOST_COMPILED = 64
_TOGETHER = 32
"""How many runs of clients an accelerator folds as one batch: all."""


@dataclass(frozen=True)
class Statistics:
    """What a runtime has done since it was made.

    Args:
        compiled: How many programs it compiled.
        calls: How many compiled programs it called.
        native: How many stages it ran natively, one member after another, because they cannot be compiled.
    """

    compiled: int = 0
    calls: int = 0
    native: int = 0


class _Slot:
    """A place for a compiled program; whoever holds the lock may fill it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.program: Program | None = None
        self.lengths: list[Lengths] = []


@final
class LocalRuntime:
    """Compiles computations with JAX and runs all clients of a round in one process.

    Args:
        clients: The clients for computations that have no argument at clients.
        tiers: The members of declared tiers, and the clients below each.
        workers: How many clients run at the same time; None for as many as there are cores or accelerators.
        together: How many runs of clients a worker folds as one batch; None for what suits the device.
    """

    def __init__(
        self,
        clients: tuple[ClientId, ...] | None,
        tiers: Tiers,
        *,
        workers: int | None = None,
        together: int | None = None,
    ) -> None:
        self._clients = clients
        self._tiers = tiers
        self._plans: OrderedDict[int, tuple[Node, Plan]] = OrderedDict()
        self._compiled: OrderedDict[Any, _Slot] = OrderedDict()
        self._lock = Lock()
        self.crew = Crew(workers)
        self.together = together or (1 if self.crew.on_cpu else _TOGETHER)
        self.shelf = Shelf()
        self._done = Counter[str]()
        self.simulated: frozenset[str] = frozenset()
        """The operators of the last run whose protection was only simulated."""
        self.schedules: tuple[Schedule, ...] = ()
        """How each stage at clients, or at a tier, of the last run was run, and why."""
        self.native: tuple[str, ...] = ()
        """Where the last run was not compiled, and why."""

    @property
    def statistics(self) -> Statistics:
        """What it has done since it was made."""
        return Statistics(**self._done)

    def apply(self, function: Node, argument: Any) -> Any:
        """Runs a program; see ``foedus.lang.Interpreter``."""
        type_ = function.type
        assert isinstance(type_, Function)
        parameter = type_.parameter
        given = None if parameter is None else to_argument(argument, parameter, "the argument")
        members = members_of(given, parameter, self._clients, self._tiers)
        self.native = ()
        with jax.enable_x64(True):
            run = Run(self, self._plan(function), given, members)
            result = from_result(run.result(), type_.result)
        self.simulated, self.schedules = frozenset(run.simulated), tuple(run.schedules)
        return result

    def _plan(self, function: Node) -> Plan:
        found = self._plans.get(id(function))
        if found is None:
            found = (function, plan(function, reason_against_jax))
            self._plans[id(function)] = found
            if len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(id(function))
        return found[1]

    def program(
        self,
        key: Any,
        build: Callable[[list[Lengths]], Callable[..., Any]],
        lengths: list[Lengths],
        arguments: tuple[Any, ...],
        *,
        donated: tuple[int, ...] = (),
        soon: bool = False,
        on_traced: Callable[[Any], None] = lambda _: None,
    ) -> Program:
        """A compiled program, compiled now if none fits; several threads may ask at the same time.

        Args:
            key: What it computes.
            build: Makes the function to compile, given what its sequences answer.
            lengths: What the sequences of this call need answered.
            arguments: What it is to be called with, or the shapes of that.
            donated: Which arguments it may write its results over.
            soon: Whether to spend less time on compiling it, since it does little.
            on_traced: Told the shapes of the results, just before the program is compiled.

        Returns:
            The program.
        """
        leaves, structure = jax.tree.flatten(arguments)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        with self._lock:
            slot = self._compiled.setdefault((key, structure, shapes), _Slot())
            self._compiled.move_to_end((key, structure, shapes))
            if len(self._compiled) > _MOST_COMPILED:
                self._compiled.popitem(last=False)
        with slot.lock:
            if slot.program is None or not _cover(slot.lengths, lengths):
                if slot.program is not None:
                    pairs = zip(lengths, slot.lengths, strict=True)
                    lengths = [one.joined(other) for one, other in pairs]
                fresh = [replace(one, asked=set(), derivations=[]) for one in lengths]
                suit = in_other_forms if self.crew.on_cpu else core.jaxpr_as_fun
                slot.program = compile_program(
                    build(fresh),
                    arguments,
                    suit=suit,
                    on_cpu=self.crew.on_cpu,
                    donated=donated,
                    soon=soon,
                    on_traced=on_traced,
                )
                slot.lengths = fresh
                self._count("compiled")
            return slot.program

    def call(self, program: Program, *arguments: Any) -> Any:
        """Calls a compiled program; several threads may do so at the same time."""
        self._count("calls")
        return program(*arguments)

    def run(self, program: Program, *arguments: Any) -> Any:
        """Calls a compiled program, and waits until its results are computed; an interrupt gets through."""
        (results,), (seconds,) = self.crew.do(
            [partial(self.call, program, *arguments)], soon=program.is_short
        )
        program.is_short = seconds < SOON
        return results

    def _count(self, what: str) -> None:
        with self._lock:
            self._done[what] += 1

    def note_native(self, where: str, reason: str) -> None:
        """Counts a stage that ran natively, and keeps why."""
        self._count("native")
        self.native += (f"at {where}: {reason}",)


def _cover(known: list[Lengths], needed: list[Lengths]) -> bool:
    return all(one.covers(other) for one, other in zip(known, needed, strict=True))
