# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for types."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st

from foedus.types import (
    CLIENTS,
    DTYPES,
    SERVER,
    Abstract,
    Federated,
    Function,
    Placement,
    Sequence,
    Shape,
    Struct,
    Tensor,
    Type,
)

_ODD_NAMES = (
    "",
    "in",
    "let",
    "true",
    "float32",
    "placement",
    "größe",
    "1st",
    "a b",
    'say "hi"',
    "\\",
    "<>",
    "℘",
)
_UNNAMED = (None, list, tuple)
_NAMED = (None, dict, OrderedDict)


class Point(NamedTuple):
    """A named tuple for types to have as container."""

    x: object
    y: object


@dataclass
class Weights:
    """A dataclass for types to have as container."""

    kernel: object
    bias: object


def _names() -> st.SearchStrategy[str]:
    return st.sampled_from("abcdefgh") | st.sampled_from(_ODD_NAMES) | st.text(max_size=4)


@st.composite
def _tensors(draw: st.DrawFn, *, unknown: bool) -> Tensor:
    known = st.integers(0, 3)
    sizes: st.SearchStrategy[int | None] = st.none() | known if unknown else known
    shape: Shape | None = tuple(draw(st.lists(sizes, max_size=2)))
    if unknown and draw(st.integers(0, 4)) == 4:
        shape = None
    return Tensor(draw(st.sampled_from(list(DTYPES.values()))), shape)


@st.composite
def _structs(draw: st.DrawFn, fields: st.SearchStrategy[Type]) -> Struct:
    """Structs of all containers; the names of a dict are in order, as the names of Python's dicts become."""
    container = draw(st.sampled_from([None, tuple, list, dict, OrderedDict, Point, Weights, type(None)]))
    if container is type(None):
        return Struct((), container)
    if container in (Point, Weights):
        return Struct(tuple((name, draw(fields)) for name in container.__annotations__), container)
    count = draw(st.integers(0, 3))
    types = [draw(fields) for _ in range(count)]
    if container in (tuple, list):
        return Struct(tuple((None, t) for t in types), container)
    names = draw(st.lists(_names(), min_size=count, max_size=count, unique=True))
    if container is dict:
        names.sort()
    if container is None:
        names = [draw(st.none() | st.just(name)) for name in names]
    return Struct(tuple(zip(names, types, strict=True)), container)


def _with_rows(type_: Type, has_rows: Callable[[], bool]) -> Type:
    """An element's type, its tensors with rows before them where they are to have such."""
    match type_:
        case Tensor(dtype, shape):
            return Tensor(dtype, (None, *(shape or ()))) if has_rows() else type_
        case Struct(fields, container):
            return Struct(tuple((name, _with_rows(t, has_rows)) for name, t in fields), container)
        case _:
            return type_


@st.composite
def _sequences(draw: st.DrawFn) -> Sequence:
    """Sequences whose elements have known shapes, rows in every tensor, or rows in some."""
    tensors = _tensors(unknown=False)
    element = draw(st.one_of(tensors, _structs(tensors), _structs(_structs(tensors))))
    all_or_some = draw(st.sampled_from([st.just(False), st.just(True), st.booleans()]))
    return Sequence(_with_rows(element, lambda: draw(all_or_some)))


@st.composite
def plain_types(draw: st.DrawFn, *, unknown: bool = False, depth: int = 2) -> Type:
    """Types of values that can be placed: tensors of every dtype, structs of every container, sequences.

    Args:
        draw: Given by hypothesis.
        unknown: Whether tensors outside sequences may have unknown dimensions or an unknown rank.
        depth: How deep structs are nested at most.

    Returns:
        The strategy.
    """
    leaves = st.one_of(_tensors(unknown=unknown), _sequences())
    if depth == 0:
        return draw(leaves)
    return draw(st.one_of(leaves, _structs(plain_types(unknown=unknown, depth=depth - 1))))


@st.composite
def types(draw: st.DrawFn, *, depth: int = 2) -> Type:
    """Types of every class, nested, with names that need quotes, with unknown dimensions and ranks.

    Args:
        draw: Given by hypothesis.
        depth: How deep structs and functions are nested at most.

    Returns:
        The strategy.
    """
    variables = st.sampled_from([Abstract("T"), Abstract("U_2")])
    members = st.one_of(plain_types(unknown=True, depth=1), variables)
    placed = st.builds(Federated, members, st.sampled_from([CLIENTS, SERVER]), st.booleans())
    leaves = st.one_of(members, placed, st.just(Placement()))
    if depth == 0:
        return draw(leaves)
    parts = types(depth=depth - 1)
    return draw(st.one_of(leaves, _structs(parts), st.builds(Function, st.one_of(st.none(), parts), parts)))
