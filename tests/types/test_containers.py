# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Python's containers: what comes back is what went in."""

from __future__ import annotations

from collections import ChainMap, OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.types import (
    Struct,
    Type,
    container_of,
    from_plain,
    int32,
    pack,
    parts_of,
    to_plain,
    type_of,
    walk,
)


class Point(NamedTuple):
    x: object
    y: object


@dataclass(frozen=True)
class Weights:
    w: object
    b: object
    norm: float = field(init=False, default=0.0)


class Pair(tuple):
    """A tuple of a class of its own."""


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": 2},
        {},
        OrderedDict(b=1, a=2),
        OrderedDict(),
        [1, 2],
        [],
        (1,),
        (),
        Pair([1, 2]),
        Point(1, 2),
        Weights(1, 2),
        None,
        {"a": [Point(None, (1, {"b": Weights([], OrderedDict(c=1))}))]},
    ],
)
def test_what_comes_back_is_what_went_in(value: object):
    type_ = type_of(value)
    back = from_plain(to_plain(value, type_, "a value"), type_)
    assert back == value
    assert type(back) is type(value)


def test_the_fields_of_a_dict_are_in_the_order_of_their_names():
    assert parts_of({"b": 1, "a": 2}) == [("a", 2), ("b", 1)]
    assert parts_of(MappingProxyType({"b": 1, "a": 2})) == [("a", 2), ("b", 1)]


def test_the_fields_of_other_containers_are_in_their_own_order():
    assert parts_of(OrderedDict(b=1, a=2)) == [("b", 1), ("a", 2)]
    assert parts_of(Point(1, 2)) == [("x", 1), ("y", 2)]
    assert parts_of(Weights(1, 2)) == [("w", 1), ("b", 2)]
    assert parts_of([1, 2]) == [(None, 1), (None, 2)]


@pytest.mark.parametrize("value", [1, "text", 1.5, {1}, object(), Weights, Point, iter([])])
def test_what_is_no_container_has_no_parts(value: object):
    assert parts_of(value) is None


def test_mappings_come_back_as_dicts():
    assert container_of(ChainMap({"a": 1})) is dict
    assert container_of(OrderedDict()) is OrderedDict


def test_without_a_container_named_fields_become_a_dict_and_others_a_tuple():
    assert pack(Struct((("b", int32), ("a", int32))), [1, 2]) == {"b": 1, "a": 2}
    assert pack(Struct((("a", int32), (None, int32))), [1, 2]) == (1, 2)
    assert pack(Struct(()), []) == ()


@given(testing.plain_types())
def test_packing_undoes_taking_apart(type_: Type):
    for struct in (t for t in walk(type_) if isinstance(t, Struct)):
        items = list(range(len(struct.fields)))
        packed = pack(struct, items)
        assert [item for _, item in parts_of(packed) or []] == items
        if struct.container is not None:
            assert container_of(packed) is struct.container


@given(st.dictionaries(st.text(), st.integers()))
def test_a_dict_of_any_names_is_a_struct(value: dict[str, int]):
    assert pack(Struct(tuple((name, int32) for name in sorted(value)), dict), sorted_items(value)) == value


def sorted_items(value: dict[str, int]) -> list[int]:
    return [value[name] for name in sorted(value)]
