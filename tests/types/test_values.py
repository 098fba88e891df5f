# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values taken apart by a type and put together again: what is converted, and what is refused."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus import testing
from foedus.data import to_member
from foedus.errors import DataError, FoedusError, StructureError, TypeMismatchError
from foedus.types import from_plain, parse, parts_of, to_plain


def plain(value: object, type_: str) -> Any:
    return to_plain(value, parse(type_), "a value")


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1, "int8"),
        (255, "uint8"),
        (2**63, "uint64"),
        (-(2**63), "int64"),
        (2**40, "int64"),
        (True, "bool"),
        (0, "bool"),
        (1, "float32"),
        (True, "float32"),
        (2**24, "float32"),
        (0.1, "float32"),
        (float("inf"), "float16"),
        (float("nan"), "float32"),
        (1.5, "bfloat16"),
        (1.5, "complex64"),
        (1, "complex128"),
        (1j, "complex64"),
        ([1, 2], "int8[2]"),
        ([[1.5], [2.5]], "float64[2,1]"),
        ([], "float32[0]"),
        ("text", "str"),
        (np.int8(1), "int8"),
        (np.zeros((2, 3), np.float32), "float32[?,3]"),
        (np.zeros((2, 3), np.float32), "float32[...]"),
        (jnp.zeros(3, jnp.bfloat16), "bfloat16[3]"),
        (ml_dtypes.bfloat16(1.5), "bfloat16"),
        (np.array([1, 2], ">i4"), "int32[2]"),
    ],
)
def test_what_loses_nothing_is_converted(value: object, type_: str):
    array = plain(value, type_)
    wanted = parse(type_)
    assert isinstance(array, np.ndarray)
    assert same(array, np.asarray(value, array.dtype))
    assert str(wanted).startswith("str") or str(wanted).startswith(array.dtype.name)


@pytest.mark.parametrize(
    ("value", "type_", "found"),
    [
        (128, "int8", "int: 128"),
        (-1, "uint8", "int: -1"),
        (2, "bool", "int: 2"),
        (2**31, "int32", "int: 2147483648"),
        (2**64, "uint64", "int: 18446744073709551616"),
        (2**24 + 1, "float32", "int: 16777217"),
        (2**63 - 1, "float64", "int: 9223372036854775807"),
        (70000, "float16", "int: 70000"),
        (1.0, "int32", "float: 1.0"),
        (1.5, "bool", "float: 1.5"),
        (1e300, "float32", "float: 1e+300"),
        (-1e39, "bfloat16", "float: -1e+39"),
        (1e300j, "complex64", "complex: 1e+300j"),
        (1j, "float32", "complex: 1j"),
        ("1", "int32", "str: '1'"),
        (1, "str", "int: 1"),
        (None, "int32", "NoneType: None"),
        (None, "str", "NoneType: None"),
        ([1, 300], "int8[2]", "int64[2]"),
        (["a", 1], "str[2]", "an array of object"),
        (["a", "b"], "int32[2]", "str[2]"),
        # An array is converted to no other dtype, even where nothing would be lost.
        (np.float64(1), "float32", "float64"),
        (np.int64(1), "int32", "int64"),
        (np.int32(1), "int64", "int32"),
        (np.zeros(2, np.float32), "float64[2]", "float32[2]"),
        (np.zeros(2, bool), "int32[2]", "bool[2]"),
        (ml_dtypes.bfloat16(1), "float32", "bfloat16"),
        (np.float32(1), "bfloat16", "float32"),
    ],
)
def test_no_value_is_narrowed_silently(refused, value: object, type_: str, found: str):
    message = f"""
    Wrong dtype in a value
      found     {found}
      expected  {type_}
      at        a value, HERE
    """
    with refused(TypeMismatchError, message):
        to_plain(value, parse(type_), "a value")


@pytest.mark.parametrize(
    ("value", "type_", "found"),
    [
        ([1, 2], "int32", "int64[2]"),
        (1, "int32[1]", "int: 1"),
        (np.zeros((2, 3), np.int32), "int32[2,2]", "int32[2,3]"),
        (np.zeros((2, 3), np.int32), "int32[?]", "int32[2,3]"),
        ("a", "str[1]", "str: 'a'"),
    ],
)
def test_no_value_is_reshaped_silently(refused, value: object, type_: str, found: str):
    message = f"""
    Wrong shape in a value
      found     {found}
      expected  {type_}
      at        a value, HERE
    """
    with refused(TypeMismatchError, message):
        to_plain(value, parse(type_), "a value")


def test_the_path_leads_to_the_leaf(refused):
    message = """
    Wrong dtype in the weights
      found     float64[2]
      expected  float32[2]
      at        .layers[1].w of the weights, HERE
    """
    weights = {"layers": [{"w": np.zeros(2, np.float32)}, {"w": np.zeros(2)}]}
    with refused(TypeMismatchError, message):
        to_plain(weights, parse("<layers=<<w=float32[2]>,<w=float32[2]>>>"), "the weights")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"w": 1},
            """
            The field 'b' is missing in the weights
              found     fields w
              expected  fields w, b
              at        .model of the weights, HERE
            """,
        ),
        (
            {"w": 1, "b": 2, "c": 3},
            """
            There is no field 'c' in the weights
              found     fields b, c, w
              expected  fields w, b
              at        .model of the weights, HERE
            """,
        ),
        (
            [1, 2, 3],
            """
            The fields of the weights differ in number
              found     3 fields
              expected  2 fields: w, b
              at        .model of the weights, HERE
            """,
        ),
        (
            5,
            """
            A struct is needed in the weights
              found     int
              expected  <w=int32,b=int32>
              at        .model of the weights, HERE
            """,
        ),
        (
            None,
            """
            The field 'w' is missing in the weights
              found     fields none
              expected  fields w, b
              at        .model of the weights, HERE
            """,
        ),
    ],
)
def test_a_struct_of_other_fields_is_refused(refused, value: object, message: str):
    with refused(StructureError, message):
        to_plain({"model": value}, parse("<model=<w=int32,b=int32>>"), "the weights")


def test_lists_of_uneven_length_are_no_array(refused):
    message = """
    An array is needed in a value
      found     list
      at        a value, HERE
    """
    with refused(DataError, message):
        to_plain([[1], [2, 3]], parse("int32[...]"), "a value")


def test_fields_are_found_by_name_or_by_place():
    assert plain({"b": 1, "a": 2}, "<a=int32,b=int32>") == (2, 1)
    assert plain(OrderedDict(b=1, a=2), "<a=int32,b=int32>") == (2, 1)
    assert plain([1, 2], "<a=int32,b=int32>") == (1, 2)
    assert plain({"b": 1, "a": 2}, "<int32,int32>") == (2, 1)


@pytest.mark.parametrize("text", ["", "größe", "a\0", "\0\0", "\ud800", "\U0001f600"])
def test_strings_keep_every_character(text: str):
    type_ = parse("str")
    assert from_plain(to_plain(text, type_, "a value"), type_) == text
    pair = parse("str[2]")
    assert from_plain(to_plain([text, "b"], pair, "a value"), pair).tolist() == [text, "b"]


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff\xfe", b"ends in zeros\0\0"])
def test_bytes_become_strings_from_which_they_come_back(data: bytes):
    type_ = parse("str")
    assert from_plain(to_plain(data, type_, "a value"), type_).encode("utf-8", "surrogateescape") == data


def test_numbers_come_back_as_numpy_scalars_and_arrays_as_arrays():
    back = from_plain(plain([1, [2, 3]], "<int8,int64[2]>"), parse("<int8,int64[2]>"))
    assert type(back[0]) is np.int8
    assert back[1].dtype == np.int64


def same(one: object, other: object) -> bool:
    """Whether two values are the same, NaN included, whatever their containers."""
    parts, others = parts_of(one), parts_of(other)
    if isinstance(one, np.ndarray) or parts is None or others is None:
        arrays = np.asarray(one), np.asarray(other)
        return bool(np.array_equal(*arrays, equal_nan=arrays[0].dtype.kind not in "OSU"))
    return len(parts) == len(others) and all(same(a, b) for (_, a), (_, b) in zip(parts, others, strict=True))


@given(st.data())
def test_values_survive_being_taken_apart(data: st.DataObject):
    type_ = data.draw(testing.plain_types(unknown=True))
    value = data.draw(testing.values(type_))
    once = from_plain(to_member(value, type_, "a value"), type_)
    again = from_plain(to_member(once, type_, "a value"), type_)
    assert str(once) == str(again)


@given(st.data())
def test_a_value_of_another_type_is_refused_or_converted_never_broken(data: st.DataObject):
    value = data.draw(testing.plain_types().flatmap(testing.values))
    type_ = data.draw(testing.plain_types())
    with contextlib.suppress(FoedusError):
        from_plain(to_member(value, type_, "a value"), type_)


def test_sequences_come_back_as_lists():
    type_ = parse("<a=int32*,b=<float32>*>")
    found = from_plain(([np.int32(1), np.int32(2)], [(np.float32(0.5),)]), type_)
    assert found == {"a": [1, 2], "b": [(0.5,)]}


@pytest.mark.parametrize(
    "use", [lambda type_: to_plain(1, type_, "a value"), lambda type_: from_plain(1, type_)]
)
def test_a_type_of_no_plain_value_is_our_own_mistake(use: Any):
    with pytest.raises(AssertionError, match="please report"):
        use(parse("(int32 -> int32)"))
