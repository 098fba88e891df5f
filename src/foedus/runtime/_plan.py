# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The local runtime's plan: which calls of a program run where, and in which order.

A value's level is the number of reductions before it. In a level, everything at the server is one stage, and
everything at
one placement below is one stage too, tiers first and clients last. So a program of ``k`` levels and two
placements takes at
most ``2k`` stages, however many clients there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from foedus.errors import UnsupportedError, place
from foedus.intrinsics import TABLE, Flow
from foedus.ir import Block, Call, Intrinsic, Literal, Node, Record, Selection, free_names, value_of
from foedus.ir import walk as walk_nodes
from foedus.passes import call_dominant, expand
from foedus.runtime._crew import Pace
from foedus.types import (
    CLIENTS,
    EMPTY,
    SERVER,
    Federated,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
    walk,
)


@dataclass(frozen=True)
class KeyRequest:
    """One ``federated_key``: the server's key and the purpose."""

    name: str
    key: Node
    purpose: str


@dataclass
class Stage:
    """What runs at one placement between two reductions.

    Args:
        placement: Where. What is placed nowhere runs at the server.
        keys: Keys to be derived for each client.
        calls: Calls at each member, in order.
        reductions: Calls that reduce what the members have; their results are of the next level.
        outputs: The names of values that something outside the stage needs.
        reads: The names that its calls and reductions refer to.
        native: Why the stage cannot be compiled, None if nothing of the program is against it.
    """

    placement: PlacementLiteral
    keys: list[KeyRequest] = field(default_factory=list)
    calls: list[tuple[str, Call]] = field(default_factory=list)
    reductions: list[tuple[str, Call]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    reads: frozenset[str] = frozenset()
    native: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether anything comes out of it."""
        return bool(self.reductions or self.outputs or self.keys)

    @cached_property
    def operators(self) -> frozenset[str | None]:
        """The names of the operators that are called, with None if there are leaves."""
        return frozenset(operator_of(node) for _, node in self.calls + self.reductions)

    @cached_property
    def reduces_to_server(self) -> bool:
        """Whether all its reductions give their results to the server."""
        return all(at_server(node) for _, node in self.reductions)


@dataclass(frozen=True, eq=False)
class Plan:
    """A program cut into stages.

    Args:
        parameter: The name of the argument, None where there is none.
        parameter_type: Its type.
        stages: The stages in order.
        result: The result, made of names.
        of_server: The ids of the nodes of the result in which nothing is below the server.
        trifles: Of stages at the server that were looked at, whether they compute next to nothing.
        paces: How fast so many workers have been at a stage.
    """

    parameter: str | None
    parameter_type: Type | None
    stages: list[Stage]
    result: Node
    of_server: frozenset[int]
    trifles: dict[int, bool] = field(default_factory=dict)
    paces: dict[tuple[int, int], Pace] = field(default_factory=dict)

    @cached_property
    def needed_after(self) -> list[frozenset[str]]:
        """After each stage the names of values that later stages, or the result, refer to."""
        needed = [frozenset(free_names(self.result))]
        for stage in reversed(self.stages[1:]):
            keys = (free_names(request.key) for request in stage.keys)
            needed.append(needed[-1].union(stage.reads, *keys))
        return needed[::-1]


def is_reduction(node: Call) -> bool:
    """Whether a call moves values up."""
    return isinstance(node.function, Intrinsic) and TABLE[node.function.name].flow is Flow.UP


def at_server(node: Call) -> bool:
    """Whether a reduction gives its result to the server."""
    return isinstance(node.type, Federated) and node.type.placement == SERVER


def operator_of(node: Call) -> str | None:
    """The name of the operator that is called, None for a leaf."""
    return node.function.name if isinstance(node.function, Intrinsic) else None


def fields_of(argument: Node | None) -> list[Node]:
    """The nodes of a struct's fields."""
    assert argument is not None
    if isinstance(argument, Record):
        return [child for _, child in argument.fields]
    assert isinstance(argument.type, Struct)
    return [Selection(argument, i) for i in range(len(argument.type.fields))]


def reduced_value(node: Call) -> Federated:
    """The type of what a reduction reads."""
    assert node.argument is not None
    type_ = node.argument.type
    first = type_.fields[0][1] if isinstance(type_, Struct) else type_
    assert isinstance(first, Federated)
    return first


def _placement_of(node: Call) -> PlacementLiteral:
    """Where a call runs."""
    if is_reduction(node):
        return reduced_value(node).placement
    return node.type.placement if isinstance(node.type, Federated) else SERVER


def _depth(placement: PlacementLiteral) -> int:
    """Tiers before clients, the server before all."""
    if placement == CLIENTS:
        return 1_000_000
    return 0 if placement.above is None else 1 + _depth(placement.above)


def plan(program: Node, against: Callable[[Node], str | None]) -> Plan:
    """Cuts a program into stages.

    Args:
        program: A closed program of function type.
        against: Why a part of a program cannot be compiled, or None.

    Returns:
        The plan.

    Raises:
        UnsupportedError: If the purpose of a key is computed.
    """
    flat = call_dominant(expand(program))
    assert isinstance(flat.body, Block)
    levels: dict[str, int] = {}
    stages: dict[tuple[int, int, str], Stage] = {}
    stage_of: dict[str, tuple[int, int, str]] = {}
    for name, node in flat.body.bindings:
        assert isinstance(node, Call)
        level = max((levels.get(n, 0) for n in free_names(node)), default=0)
        levels[name] = level + 1 if is_reduction(node) else level
        placement = _placement_of(node)
        where = (level, _depth(placement), placement.name)
        stage_of[name] = where
        _put(stages.setdefault(where, Stage(placement)), name, node)
    _find_outputs(stages, stage_of, flat.body.result)
    ordered = [stages[where] for where in sorted(stages)]
    for stage in ordered:
        stage.reads = frozenset(
            name for _, node in stage.calls + stage.reductions for name in free_names(node)
        )
        unplaced = flat.parameter in stage.reads and _has_unplaced_sequence(flat.parameter_type)
        stage.native = "there are sequences at no placement" if unplaced else _reason(stage, against)
    result = flat.body.result
    of_server = frozenset(id(node) for node in walk_nodes(result) if not _is_below(node.type))
    return Plan(flat.parameter, flat.parameter_type, ordered, result, of_server)


def _is_below(type_: Type) -> bool:
    return any(isinstance(t, Federated) and t.placement != SERVER for t in walk(type_))


def _put(stage: Stage, name: str, node: Call) -> None:
    if is_reduction(node):
        stage.reductions.append((name, node))
    elif operator_of(node) == "federated_key":
        key, purpose = fields_of(node.argument)
        if not isinstance(purpose, Literal):
            raise UnsupportedError("The purpose of a key must be a constant", at=place())
        stage.keys.append(KeyRequest(name, key, str(value_of(purpose)[()])))
    else:
        stage.calls.append((name, node))


def _reason(stage: Stage, against: Callable[[Node], str | None]) -> str | None:
    """Why a stage cannot be compiled."""
    for name, node in stage.calls + stage.reductions:
        lasting = stage.placement == SERVER or name in stage.outputs
        kept = node.type if lasting else reduced_value(node) if _is_to_tier(node) else EMPTY
        if any(isinstance(t, Sequence) for t in walk(kept)):
            return "there are sequences to keep"
        if _reads_at_server(stage, node) and any(isinstance(t, Sequence) for t in walk(_argument(node))):
            return "there are sequences at the server"
        reason = against(node) or _loose(node.type)
        if reason is not None:
            return reason
    return None


def _is_to_tier(node: Call) -> bool:
    """Whether a call reduces to a tier, whose members fold what those below them gave after the stage."""
    return is_reduction(node) and isinstance(node.type, Federated) and node.type.placement != SERVER


def _has_unplaced_sequence(type_: Type | None) -> bool:
    if isinstance(type_, Struct):
        return any(_has_unplaced_sequence(t) for _, t in type_.fields)
    return isinstance(type_, Sequence)


def _argument(node: Call) -> Type:
    return EMPTY if node.argument is None else node.argument.type


def _reads_at_server(stage: Stage, node: Call) -> bool:
    """Whether the argument of a call is at the server, or nowhere."""
    if stage.placement == SERVER or operator_of(node) == "federated_value":
        return True
    argument = _argument(node)
    return isinstance(argument, Federated) and argument.placement == SERVER


def _loose(type_: Type) -> str | None:
    """What is against values of a type, where elements of sequences may have any number of rows."""
    match type_:
        case Tensor(shape=shape):
            return "there are values of unknown shape" if shape is None or None in shape else None
        case Struct(fields):
            return next((reason for _, t in fields if (reason := _loose(t)) is not None), None)
        case Federated(member):
            return _loose(member)
        case _:
            return None


def _find_outputs(
    stages: dict[tuple[int, int, str], Stage], stage_of: dict[str, tuple[int, int, str]], result: Node
) -> None:
    """Fills in which values must outlive the stage that computes them."""
    needed = set(free_names(result))
    for where, stage in stages.items():
        for _, node in stage.calls + stage.reductions:
            needed |= {name for name in free_names(node) if stage_of.get(name) != where}
        for request in stage.keys:
            needed |= free_names(request.key)
    for stage in stages.values():
        stage.outputs = [name for name, _ in stage.calls if name in needed]
