# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which local code runs where, and which way the local runtime runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foedus.foreign import Nature, NoJax, Running, Way, kind
from foedus.intrinsics import TABLE, Flow
from foedus.ir import Block, Call, Foreign, Intrinsic, Lambda, Node, free_names, walk
from foedus.types import (
    SERVER,
    STRING,
    Federated,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
    field_path,
    is_above,
)
from foedus.types import walk as walk_type

_DIGITS = 8
"""Of a leaf's digest: enough to tell the leaves of one program apart."""


_FILTERED = "a data set is filtered after it is shuffled, or is a map of code that is not compiled"
"""What sequences may have been through that no compiled code can do; their type does not say it."""


@dataclass(frozen=True, slots=True)
class LocalCode:
    """The functions of one kind of local code that run at one placement.

    Args:
        where: The placement's name; None for code that is called on values that are not placed.
        kind: The name of the kind, such as ``jax``.
        functions: How many different functions there are; equal code counts once.
    """

    where: str | None
    kind: str
    functions: int

    @property
    def is_host_code(self) -> bool:
        """Whether it runs as plain Python, for one client after another."""
        return kind(self.kind).nature is Nature.HOST

    @property
    def is_loaded(self) -> bool:
        """Whether it was loaded from bytes, so that its source is not here."""
        return kind(self.kind).nature is Nature.LOADED


@dataclass(frozen=True, slots=True)
class CodeWay:
    """Which way the local runtime runs a leaf, or a piece of another framework's code in it.

    Args:
        where: The placement's name; None for code that is called on values that are not placed.
        kind: The name of the leaf's kind.
        digest: The first digits of its digest.
        running: What it is called, which way it runs, and why.
        unless: What data would make it run natively all the same; None where no data does.
    """

    where: str | None
    kind: str
    digest: str
    running: Running
    unless: str | None = None


def local_code(flat: Lambda, order: tuple[str, ...]) -> tuple[LocalCode, ...]:
    """Counts the local code of a program.

    Args:
        flat: A program in flat form.
        order: The names of placements in the order in which to list them; what is not placed comes last.

    Returns:
        One entry a placement and kind.
    """
    digests: dict[tuple[str | None, str], set[str]] = {}
    for where, leaf in _leaves(flat):
        digests.setdefault((where, leaf.kind), set()).add(leaf.digest)

    def rank(key: tuple[str | None, str]) -> tuple[int, str]:
        return (len(order) if key[0] is None else order.index(key[0]), key[1])

    return tuple(LocalCode(*key, len(digests[key])) for key in sorted(digests, key=rank))


def code_ways(flat: Lambda, order: tuple[str, ...]) -> tuple[CodeWay, ...]:
    """Which way the local runtime runs the local code of a program, where there is something to tell.

    Between two reductions, all code at a placement is compiled as one, or none of it: one leaf that runs
    natively takes the others with it, and so does data that compiled code cannot take.

    Args:
        flat: A program in flat form.
        order: The names of placements in the order in which to list them; what is not placed comes last.

    Returns:
        One entry for each leaf, or piece in it, that is neither plain host code nor compiled like any other.
    """
    found: list[CodeWay] = []
    placements = {t.placement.name: t.placement for t in _types_in(flat) if isinstance(t, Federated)}
    for stage_at, nodes in _stages(flat):
        data = list(_data_at(flat.parameter_type, placements.get(stage_at or "")))
        against = _because(nodes, data)
        unless = (
            _FILTERED if any(isinstance(t, Sequence) for _, one in data for t in walk_type(one)) else None
        )
        for node in nodes:
            leaves = {leaf.digest: leaf for leaf in walk(node) if isinstance(leaf, Foreign)}
            for leaf in leaves.values():
                found += _ways_of_leaf(leaf, _where(node), against, unless)

    def rank(one: CodeWay) -> int:
        return len(order) if one.where is None else order.index(one.where)

    return tuple(sorted(dict.fromkeys(found), key=rank))


def _types_in(flat: Lambda) -> Iterator[Type]:
    for node in walk(flat):
        yield from walk_type(node.type)


def _stages(flat: Lambda) -> list[tuple[str | None, list[Node]]]:
    """The calls that run together: those at one placement between two reductions."""
    assert isinstance(flat.body, Block)
    levels: dict[str, int] = {}
    stages: dict[tuple[int, str], list[Node]] = {}
    for name, node in flat.body.bindings:
        if _is_key(node):
            continue  # Keys are derived on the way, whatever their purpose is called.
        level = max((levels.get(n, 0) for n in free_names(node)), default=0)
        read = _reads_at(node)
        levels[name] = level if read is None else level + 1
        stages.setdefault((level, read or _where(node) or SERVER.name), []).append(node)
    return [*((where, nodes) for (_, where), nodes in stages.items()), (None, [flat.body.result])]


def _is_key(node: Node) -> bool:
    if not isinstance(node, Call) or not isinstance(node.function, Intrinsic):
        return False
    return node.function.name == "federated_key"


def _reads_at(node: Node) -> str | None:
    """The placement of the values that a reduction reads; None for any other call."""
    if not isinstance(node, Call) or not isinstance(node.function, Intrinsic) or node.argument is None:
        return None
    if TABLE[node.function.name].flow is not Flow.UP:
        return None
    type_ = node.argument.type
    first = type_.fields[0][1] if isinstance(type_, Struct) else type_
    return first.placement.name if isinstance(first, Federated) else None


def _data_at(
    type_: Type | None, where: PlacementLiteral | None, path: str = ""
) -> Iterator[tuple[str, Type]]:
    """What of an argument members have who run together at a placement: where it is, and its type."""
    match type_:
        case Struct(fields):
            for i, (name, t) in enumerate(fields):
                yield from _data_at(t, where, path + field_path(i, name))
        case Federated(member, placement, all_equal) if where is not None and placement != SERVER:
            if not all_equal and (placement == where or is_above(placement, where)):
                yield path, member
        case _:
            return


def _because(nodes: list[Node], data: list[tuple[str, Type]]) -> str | None:
    """Why calls that run together cannot be compiled, as what is said of code that could be; or None."""
    own = next((reason for node in nodes if (reason := _against(node)) is not None), None)
    if own is not None:
        return f"it runs between the same reductions as code that is not compiled: {own}"
    found = ((path, reason) for path, t in data if (reason := _against_data(t)) is not None)
    return next((f"{reason}, in {_named(path)}" for path, reason in found), None)


def _named(path: str) -> str:
    return f"{path} of the argument" if path else "the argument"


def _against_data(type_: Type) -> str | None:
    """Why compiled code cannot take values of a type that members have, or None."""
    if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk_type(type_)):
        return "there are strings"
    open_ones = (t for t in _outside_sequences(type_) if t.shape is None or None in t.shape)
    return None if next(open_ones, None) is None else "there are values of unknown shape outside sequences"


def _outside_sequences(type_: Type) -> Iterator[Tensor]:
    match type_:
        case Tensor():
            yield type_
        case Struct(fields):
            for _, t in fields:
                yield from _outside_sequences(t)
        case _:
            return


def _against(node: Node) -> str | None:
    """Why a call cannot be compiled, or None."""
    for part in walk(node):
        if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk_type(part.type)):
            return "there are strings"
        if isinstance(part, Foreign):
            found = kind(part.kind).as_jax(part.payload)
            if isinstance(found, NoJax):
                return found.reason
    return None


def _ways_of_leaf(
    leaf: Foreign, where: str | None, against: str | None, unless: str | None
) -> Iterator[CodeWay]:
    of_kind = kind(leaf.kind)
    if of_kind.nature is Nature.HOST:
        return
    digest = leaf.digest[:_DIGITS]
    told = of_kind.running(leaf.payload)
    if isinstance(of_kind.as_jax(leaf.payload), NoJax):
        yield from (CodeWay(where, leaf.kind, digest, running) for running in told)
        return
    if against is None:
        for running in told:
            yield CodeWay(where, leaf.kind, digest, running, unless if running.way is Way.LOWERED else None)
        return
    for running in told or (Running("", None, Way.NATIVE, ""),):
        yield CodeWay(where, leaf.kind, digest, Running(running.name, running.line, Way.NATIVE, against))


def _leaves(flat: Lambda) -> Iterator[tuple[str | None, Foreign]]:
    """Every leaf, with the name of the placement where it runs."""
    assert isinstance(flat.body, Block)
    for node in (*(bound for _, bound in flat.body.bindings), flat.body.result):
        where = _where(node)
        yield from ((where, leaf) for leaf in walk(node) if isinstance(leaf, Foreign))


def _where(node: Node) -> str | None:
    if not isinstance(node, Call) or not isinstance(node.function, Intrinsic):
        return None
    if node.function.name in ("federated_select", "federated_secure_select"):
        return SERVER.name
    return node.type.placement.name if isinstance(node.type, Federated) else None
