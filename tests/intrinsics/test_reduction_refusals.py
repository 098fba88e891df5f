# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What reductions refuse, and the whole text that the user sees."""

from __future__ import annotations

import pytest

from foedus.errors import FoedusError, PlacementError, TypeMismatchError
from foedus.intrinsics import result_type
from foedus.types import parse

FOLD = "<value={{{value}}}@CLIENTS,zero={zero},accumulate={accumulate},merge={merge},report=(int32 -> int32)>"


def fold(
    value: str = "str",
    zero: str = "int32",
    accumulate: str = "(<int32,str> -> int32)",
    merge: str = "(<int32,int32> -> int32)",
) -> str:
    return FOLD.format(value=value, zero=zero, accumulate=accumulate, merge=merge)


CASES: list[tuple[str, str, type[FoedusError], str]] = [
    (
        "federated_aggregate",
        fold(accumulate="(<int32,int32> -> int32)"),
        TypeMismatchError,
        """
        federated_aggregate needs a function that takes <int32,str>
          found     (<int32,int32> -> int32)
                    which differs at [1]: int32 is not str
          expected  (<int32,str> -> U)
          at        .accumulate of the argument, HERE
        """,
    ),
    (
        "federated_aggregate",
        fold(accumulate="(<int32,str> -> int64)"),
        TypeMismatchError,
        """
        federated_aggregate needs a function that returns int32
          found     (<int32,str> -> int64)
          expected  (... -> int32)
          at        .accumulate of the argument, HERE
        """,
    ),
    (
        "federated_aggregate",
        fold(merge="(<int32,int32> -> <int32>)"),
        TypeMismatchError,
        """
        federated_aggregate needs a function that returns int32
          found     (<int32,int32> -> <int32>)
          expected  (... -> int32)
          at        .merge of the argument, HERE
        """,
    ),
    (
        "federated_aggregate",
        fold(zero="int64", accumulate="(<int64,str> -> int64)", merge="(<int64,int64> -> int64)"),
        TypeMismatchError,
        """
        federated_aggregate needs a function that takes int64
          found     (int32 -> int32)
                    which differs at the top: int32 is not int64
          expected  (int64 -> U)
          at        .report of the argument, HERE
        """,
    ),
    (
        "federated_sum",
        "<w=float32[10],b=float32>@SERVER",
        PlacementError,
        """
        federated_sum needs a value at CLIENTS
          found     <w=float32[10],b=float32>@SERVER
          expected  {T}@CLIENTS
          at        the argument, HERE
          hint      it is already one value at the server; use it as it is, or broadcast it first
        """,
    ),
    (
        "federated_sum",
        "{<delta=<w=bool>>}@CLIENTS",
        TypeMismatchError,
        """
        federated_sum needs numbers of known shape
          found     bool
          expected  tensors of numbers
          at        .delta.w of the argument, HERE
        """,
    ),
    (
        "federated_sum",
        "{<str>}@CLIENTS",
        TypeMismatchError,
        """
        federated_sum needs numbers of known shape
          found     str
          expected  tensors of numbers
          at        [0] of the argument, HERE
        """,
    ),
    (
        "federated_sum",
        "{float32[?]}@CLIENTS",
        TypeMismatchError,
        """
        federated_sum needs numbers of known shape
          found     float32[?]
          expected  tensors of numbers
          at        the argument, HERE
        """,
    ),
    (
        "federated_sum",
        "{float32*}@CLIENTS",
        TypeMismatchError,
        """
        federated_sum needs numbers of known shape
          found     float32*
          expected  tensors of numbers
          at        the argument, HERE
        """,
    ),
    (
        "federated_mean",
        "{<float32,int32>}@CLIENTS",
        TypeMismatchError,
        """
        federated_mean needs floating point or complex numbers of known shape
          found     int32
          expected  tensors of floating point or complex numbers
          at        [1] of the argument, HERE
        """,
    ),
    (
        "federated_weighted_mean",
        "<value={float32}@CLIENTS,weight=float32@SERVER>",
        PlacementError,
        """
        federated_weighted_mean needs a value at CLIENTS
          found     float32@SERVER
          expected  {T}@CLIENTS
          at        .weight of the argument, HERE
          hint      it is already one value at the server; use it as it is, or broadcast it first
        """,
    ),
    (
        "federated_weighted_mean",
        "<value={float32}@CLIENTS,weight={float32[1]}@CLIENTS>",
        TypeMismatchError,
        """
        federated_weighted_mean needs a weight that is one number
          found     float32[1]
          expected  a scalar number
          at        .weight of the argument, HERE
        """,
    ),
    (
        "federated_weighted_mean",
        "<value={int32}@CLIENTS,weight={float32}@CLIENTS>",
        TypeMismatchError,
        """
        federated_weighted_mean needs floating point or complex numbers of known shape
          found     int32
          expected  tensors of floating point or complex numbers
          at        .value of the argument, HERE
        """,
    ),
    (
        "federated_min",
        "{complex64}@CLIENTS",
        TypeMismatchError,
        """
        federated_min needs integers or floating point numbers of known shape
          found     complex64
          expected  tensors of integers or floating point numbers
          at        the argument, HERE
        """,
    ),
    (
        "federated_max",
        "<{int32}@CLIENTS,{int32}@CLIENTS>",
        PlacementError,
        """
        federated_max needs a value at CLIENTS
          found     <{int32}@CLIENTS,{int32}@CLIENTS>
          expected  {T}@CLIENTS
          at        the argument, HERE
          hint      zip the parts into one value with federated_zip
        """,
    ),
    (
        "federated_secure_sum",
        "<value={int32}@CLIENTS,max_input=float32>",
        TypeMismatchError,
        """
        federated_secure_sum needs an integer as bound
          found     float32
          expected  an integer
          at        .max_input of the argument, HERE
        """,
    ),
    (
        "federated_secure_sum_bitwidth",
        "<value={int32[2]}@CLIENTS,bitwidth=int32[2]>",
        TypeMismatchError,
        """
        federated_secure_sum_bitwidth needs an integer as bound
          found     int32[2]
          expected  an integer
          at        .bitwidth of the argument, HERE
        """,
    ),
    (
        "federated_secure_sum",
        "<value={int32}@CLIENTS,max_input=<int32>>",
        TypeMismatchError,
        """
        federated_secure_sum needs bounds that match the value
          found     <int32>
          expected  an integer, or a struct like int32
          at        .max_input of the argument, HERE
        """,
    ),
    (
        "federated_secure_modular_sum",
        "<value={<a=int32,b=<int32,int64>>}@CLIENTS,modulus=<a=int32,b=<int32>>>",
        TypeMismatchError,
        """
        federated_secure_modular_sum needs bounds that match the value
          found     <int32>
          expected  an integer, or a struct like <int32,int64>
          at        .modulus.b of the argument, HERE
        """,
    ),
]


@pytest.mark.parametrize(
    ("name", "argument", "sort", "message"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_the_user_sees_what_was_found_and_what_to_do(
    refused, name: str, argument: str, sort: type[FoedusError], message: str
):
    with refused(sort, message):
        result_type(name, parse(argument))
