# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Structs and functions of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest

from foedus.tff import structure
from foedus.tff.structure import Struct


class Pair(NamedTuple):
    a: int
    b: int


MIXED = Struct([("a", 1), (None, 2), ("c", Struct.unnamed(3))])


def test_fields():
    assert (len(MIXED), MIXED.a, MIXED["a"], MIXED[1], MIXED[-1][0]) == (3, 1, 1, 2, 3)
    assert (str(MIXED), list(MIXED)[:2], dir(MIXED)) == ("<a=1,2,c=<3>>", [1, 2], ["a", "c"])
    assert eval(repr(MIXED)) == MIXED
    assert len({MIXED, Struct(structure.to_elements(MIXED))}) == 1
    assert structure.name_list_with_nones(MIXED) == ["a", None, "c"]
    assert structure.has_field(MIXED, "a")
    assert not structure.has_field(MIXED, "b")
    with pytest.raises(AttributeError, match="no field 'b', only"):
        print(MIXED.b)


def test_containers():
    named = Struct.named(a=1, b=Struct.named(c=2))
    assert structure.to_odict(named, recursive=True) == OrderedDict(a=1, b=OrderedDict(c=2))
    assert structure.to_odict(named)["b"] == Struct.named(c=2)
    assert structure.to_odict_or_tuple(Struct.unnamed(1, named))[1]["b"] == {"c": 2}
    assert structure.from_container({"a": 1, "b": {"c": 2}}, recursive=True) == named
    assert structure.from_container(Pair(1, 2)) == Struct.named(a=1, b=2)
    assert structure.from_container([1, (2,)]) == Struct.unnamed(1, (2,))
    with pytest.raises(ValueError, match="Expected every field to have a name"):
        structure.to_odict(MIXED)
    with pytest.raises(ValueError, match="all fields to have names, or none"):
        structure.to_odict_or_tuple(MIXED)
    with pytest.raises(TypeError, match="Expected a container"):
        structure.from_container(3)


def test_leaves():
    assert structure.flatten(MIXED) == [1, 2, 3]
    assert structure.map_structure(lambda x, y: x + y, MIXED, MIXED).c[0] == 6
    assert structure.pack_sequence_as(MIXED, [4, 5, 6]).c == Struct.unnamed(6)
    with pytest.raises(TypeError, match="the same fields"):
        structure.map_structure(lambda x, y: x, MIXED, Struct.unnamed(1, 2, 3))


def test_other_values():
    assert structure.update_struct(MIXED, a=9)[:2] == (9, 2)
    assert structure.update_struct(Pair(1, 2), b=3) == Pair(1, 3)
    assert structure.update_struct(OrderedDict(a=1), a=3) == OrderedDict(a=3)
    assert structure.update_struct({"a": 1}, a=3) == {"a": 3}
    with pytest.raises(KeyError, match="no field 'x'"):
        structure.update_struct({"a": 1}, x=3)
    with pytest.raises(TypeError, match="Expected a struct, a mapping or a named tuple"):
        structure.update_struct(3, x=3)


def odd(value: Any) -> Any:
    """What the type checker knows to be wrong."""
    return value


def test_refusals():
    with pytest.raises(TypeError, match="a pair of a name and a value"):
        Struct(odd([1]))
    with pytest.raises(TypeError, match="a name to be a string or None"):
        Struct(odd([(1, 2)]))
    with pytest.raises(ValueError, match="'a' is there twice"):
        Struct([("a", 1), ("a", 2)])
