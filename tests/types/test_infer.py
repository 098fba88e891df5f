# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types of specifications and of values."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.errors import DataError
from foedus.types import Struct, Type, at_clients, float32, int32, sequence, to_type, type_of, walk


class Point(NamedTuple):
    x: float
    y: np.int32


@dataclass
class Weights:
    scale: ClassVar[int] = 1
    w: np.float32
    b: Point
    count: int = field(init=False, default=0)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (int32, "int32"),
        (at_clients(int32), "{int32}@CLIENTS"),
        (bool, "bool"),
        (int, "int32"),
        (float, "float32"),
        (complex, "complex128"),
        (str, "str"),
        (bytes, "str"),
        ("bfloat16", "bfloat16"),
        (np.float64, "float64"),
        (np.dtype("int8"), "int8"),
        (np.dtype("U7"), "str"),
        (ml_dtypes.bfloat16, "bfloat16"),
        (jnp.float32, "float32"),
        (jnp.bfloat16, "bfloat16"),
        ((float, (2, None)), "float32[2,?]"),
        ((np.int8, [3]), "int8[3]"),
        (("float32", None), "float32[...]"),
        (("float32", ()), "float32"),
        (np.zeros((2, 3)), "float64[2,3]"),
        (np.int64(5), "int64"),
        (jax.ShapeDtypeStruct((4,), jnp.int32), "int32[4]"),
        ({"b": int, "a": float}, "<a=float32,b=int32>"),
        (OrderedDict(b=int, a=float), "<b=int32,a=float32>"),
        ([int, (float, [2])], "<int32,float32[2]>"),
        ((int, float, bool), "<int32,float32,bool>"),
        ((int, float), "<int32,float32>"),
        (("float32", "int32"), "<float32,int32>"),
        ([("a", int), ("b", (float, [2]))], "<a=int32,b=float32[2]>"),
        ((int, ("b", float)), "<int32,b=float32>"),
        (Point, "<x=float32,y=int32>"),
        (Point(*[float, int32]), "<x=float32,y=int32>"),
        (Weights, "<w=float32,b=<x=float32,y=int32>>"),
        ([], "<>"),
        ({}, "<>"),
        ([sequence({"x": float})], "<<x=float32>*>"),
    ],
)
def test_a_specification_gives_a_type(spec: object, text: str):
    assert str(to_type(spec)) == text


@pytest.mark.parametrize("spec", [None, 3, 1.5, "float128", object(), object, {"a": None}])
def test_what_specifies_no_type_is_refused(spec: object):
    with pytest.raises(DataError, match=r"^This does not specify a type\n"):
        to_type(spec)


def test_a_type_remembers_the_container_of_its_specification():
    def container(spec: object) -> type | None:
        type_ = to_type(spec)
        assert isinstance(type_, Struct)
        return type_.container

    assert container({"a": int}) is dict
    assert container(OrderedDict(a=int)) is OrderedDict
    assert container([int, int]) is list
    assert container((int, float)) is tuple
    assert container([("a", int)]) is OrderedDict
    assert container(Point) is Point
    assert container(Weights) is Weights


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "bool"),
        (2**31 - 1, "int32"),
        (-(2**31), "int32"),
        (2**31, "int64"),
        (-(2**31) - 1, "int64"),
        (1.5, "float32"),
        (1j, "complex128"),
        ("a", "str"),
        (b"a", "str"),
        (np.float64(1), "float64"),
        (np.int64(1), "int64"),
        (np.bool_(True), "bool"),
        (np.str_("a"), "str"),
        (ml_dtypes.bfloat16(1), "bfloat16"),
        (np.zeros((2, 0), np.uint8), "uint8[2,0]"),
        (np.zeros(2, ">f4"), "float32[2]"),
        (np.array(["a", "bc"]), "str[2]"),
        (np.array(["a", "bc"], dtype=object), "str[2]"),
        (jnp.zeros(3, jnp.bfloat16), "bfloat16[3]"),
        (None, "<>"),
        ([1, 2.0], "<int32,float32>"),
        ((), "<>"),
        ({"b": 1, "a": [True]}, "<a=<bool>,b=int32>"),
        (OrderedDict(b=1, a="x"), "<b=int32,a=str>"),
        (Point(1.0, np.int32(2)), "<x=float32,y=int32>"),
        (Weights(np.float32(2), Point(1.0, np.int32(2))), "<w=float32,b=<x=float32,y=int32>>"),
    ],
)
def test_a_value_has_a_type(value: object, text: str):
    assert str(type_of(value)) == text


def test_a_value_without_a_type_is_refused(refused):
    message = """
    A value of this Python type has no type in the language
      found     set: {1}
      expected  numbers, strings, arrays, and lists, tuples, mappings, named tuples or dataclasses of them
      at        HERE
    """
    with refused(DataError, message):
        type_of({1})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, np.zeros(2, "datetime64[s]"), {"a": object()}])
def test_what_no_dtype_holds_is_refused(value: object):
    with pytest.raises(DataError):
        type_of(value)


def test_a_key_that_is_no_string_is_refused(refused):
    message = """
    A mapping's keys must be strings to become a struct
      found     the key 3 of type int
      at        HERE
    """
    with refused(DataError, message):
        type_of({"a": 1, 3: 2})


@given(st.data())
def test_a_value_has_the_type_it_was_made_for(data: st.DataObject):
    """But for Python's own numbers, which are int32, float32 and complex128 until a type says otherwise."""
    type_ = data.draw(testing.plain_types().filter(lambda t: "*" not in str(t)))
    value = data.draw(testing.values(type_))
    shapes = [getattr(t, "shape", None) for t in walk(type_)]
    assert [getattr(t, "shape", None) for t in walk(type_of(value))] == shapes


def same_containers(one: Type, other: Type) -> bool:
    pairs = zip(walk(one), walk(other), strict=True)
    return all(getattr(a, "container", None) == getattr(b, "container", None) for a, b in pairs)


@given(st.data())
def test_a_value_remembers_its_containers(data: st.DataObject):
    type_ = data.draw(testing.plain_types().filter(lambda t: "*" not in str(t)))
    if all(not isinstance(t, Struct) or t.container is not None for t in walk(type_)):
        assert same_containers(type_of(data.draw(testing.values(type_))), type_)


def test_floats_are_float32():
    assert type_of(1e300) == float32
