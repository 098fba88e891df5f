# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What the operators refuse, and the whole text that the user sees."""

from __future__ import annotations

import pytest

from foedus.errors import FoedusError, PlacementError, TypeMismatchError
from foedus.intrinsics import result_type
from foedus.types import CLIENTS, SERVER, PlacementLiteral, parse, tier

REGIONS = tier("REGIONS")
TOWNS = tier("TOWNS", above=REGIONS)

SELECTED = "server_value=int32@SERVER,select_fn=(<int32,int32> -> int32)"

CASES: list[tuple[str, PlacementLiteral | None, str, type[FoedusError], str]] = [
    (
        "federated_value",
        CLIENTS,
        "<int32@SERVER>",
        TypeMismatchError,
        """
        federated_value needs a plain value
          found     <int32@SERVER>
          expected  tensors, sequences and structs of them
          at        the argument, HERE
        """,
    ),
    (
        "federated_value",
        None,
        "int32",
        PlacementError,
        """
        federated_value needs a placement
          found     int32
          expected  CLIENTS or SERVER
          at        the argument, HERE
        """,
    ),
    (
        "federated_eval",
        SERVER,
        "(int32 -> int32)",
        TypeMismatchError,
        """
        federated_eval needs a function without argument
          found     (int32 -> int32)
          expected  ( -> T)
          at        the argument, HERE
        """,
    ),
    (
        "federated_eval",
        SERVER,
        "int32",
        TypeMismatchError,
        """
        federated_eval needs a function
          found     int32
          expected  (T -> U)
          at        the argument, HERE
        """,
    ),
    (
        "federated_broadcast",
        None,
        "{int32}@CLIENTS",
        PlacementError,
        """
        federated_broadcast needs a value at SERVER
          found     {int32}@CLIENTS
          expected  T@SERVER
          at        the argument, HERE
          hint      aggregate it first, for example with federated_sum or federated_mean
        """,
    ),
    (
        "federated_broadcast",
        None,
        "int32",
        PlacementError,
        """
        federated_broadcast needs a value at SERVER
          found     int32
          expected  T@SERVER
          at        the argument, HERE
          hint      place it with federated_value(..., SERVER)
        """,
    ),
    (
        "federated_key",
        None,
        "<key=uint32[2]@CLIENTS,purpose=str>",
        PlacementError,
        """
        federated_key needs a value at SERVER
          found     uint32[2]@CLIENTS
          expected  T@SERVER
          at        .key of the argument, HERE
          hint      aggregate it first, for example with federated_sum or federated_mean
        """,
    ),
    (
        "federated_key",
        None,
        "<key=uint32@SERVER,purpose=str>",
        TypeMismatchError,
        """
        federated_key needs a key
          found     uint32@SERVER
          expected  uint32[2]@SERVER
          at        .key of the argument, HERE
        """,
    ),
    (
        "federated_key",
        None,
        "<key=uint32[2]@SERVER,purpose=int32>",
        TypeMismatchError,
        """
        federated_key needs a purpose
          found     int32
          expected  str
          at        .purpose of the argument, HERE
        """,
    ),
    (
        "federated_map",
        None,
        "<fn=(int32 -> int32),value=int32>",
        PlacementError,
        """
        federated_map needs a placed value
          found     int32
          expected  {T}@CLIENTS or T@SERVER
          at        .value of the argument, HERE
        """,
    ),
    (
        "federated_map",
        None,
        "<fn=(int32 -> int32),value=<int32@SERVER,int32@SERVER>>",
        PlacementError,
        """
        federated_map needs a placed value
          found     <int32@SERVER,int32@SERVER>
          expected  {T}@CLIENTS or T@SERVER
          at        .value of the argument, HERE
          hint      zip the parts into one value with federated_zip
        """,
    ),
    (
        "federated_map",
        None,
        "<fn=int32,value=int32@SERVER>",
        TypeMismatchError,
        """
        federated_map needs a function
          found     int32
          expected  (T -> U)
          at        .fn of the argument, HERE
        """,
    ),
    (
        "federated_map",
        None,
        "<fn=( -> int32),value=int32@SERVER>",
        TypeMismatchError,
        """
        federated_map needs a function of one argument
          found     ( -> int32)
          expected  (int32 -> U)
          at        .fn of the argument, HERE
        """,
    ),
    (
        "federated_map",
        None,
        "<fn=(<w=float32[10]> -> int32),value={<w=float64[10]>}@CLIENTS>",
        TypeMismatchError,
        """
        federated_map needs a function that takes <w=float64[10]>
          found     (<w=float32[10]> -> int32)
                    which differs at .w: float32[10] is not float64[10]
          expected  (<w=float64[10]> -> U)
          at        .fn of the argument, HERE
        """,
    ),
    (
        "federated_map",
        None,
        "int32",
        TypeMismatchError,
        """
        federated_map needs 2 arguments
          found     int32
          expected  fn, value
          at        the argument, HERE
        """,
    ),
    (
        "federated_zip",
        None,
        "<{int32}@CLIENTS,int32@SERVER>",
        PlacementError,
        """
        federated_zip needs values at one placement
          found     <{int32}@CLIENTS,int32@SERVER>
          expected  all of them at CLIENTS
          at        the argument, HERE
          hint      broadcast the server's value first
        """,
    ),
    (
        "federated_zip",
        None,
        "<int32@SERVER,<a=int32>>",
        PlacementError,
        """
        federated_zip needs a struct of placed values
          found     int32
          expected  {T}@P
          at        [1].a of the argument, HERE
          hint      place it with federated_value
        """,
    ),
    (
        "federated_zip",
        None,
        "{int32}@CLIENTS",
        PlacementError,
        """
        federated_zip needs a struct of placed values
          found     {int32}@CLIENTS
          expected  <{A}@P,{B}@P,...>
          at        the argument, HERE
        """,
    ),
    (
        "federated_zip",
        None,
        "<>",
        PlacementError,
        """
        federated_zip needs a struct of placed values
          found     <>
          expected  <{A}@P,{B}@P,...>
          at        the argument, HERE
        """,
    ),
    (
        "federated_eval",
        None,
        "( -> int32)",
        PlacementError,
        """
        federated_eval needs a placement
          found     ( -> int32)
          expected  CLIENTS or SERVER
          at        the argument, HERE
        """,
    ),
    (
        "federated_broadcast",
        None,
        "(int32 -> int32)",
        PlacementError,
        """
        federated_broadcast needs a value at SERVER
          found     (int32 -> int32)
          expected  T@SERVER
          at        the argument, HERE
        """,
    ),
    (
        "federated_select",
        None,
        f"<keys={{float32[3]}}@CLIENTS,max_key=int32@SERVER,{SELECTED}>",
        TypeMismatchError,
        """
        federated_select needs keys of known number
          found     float32[3]
          expected  int32[N]
          at        .keys of the argument, HERE
        """,
    ),
    (
        "federated_select",
        None,
        f"<keys={{int32[?]}}@CLIENTS,max_key=int32@SERVER,{SELECTED}>",
        TypeMismatchError,
        """
        federated_select needs keys of known number
          found     int32[?]
          expected  int32[N]
          at        .keys of the argument, HERE
        """,
    ),
    (
        "federated_secure_select",
        None,
        f"<keys={{int32[3]}}@CLIENTS,max_key=int64@SERVER,{SELECTED}>",
        TypeMismatchError,
        """
        federated_secure_select needs a bound of the keys
          found     int64@SERVER
          expected  int32@SERVER
          at        .max_key of the argument, HERE
        """,
    ),
    (
        "sequence_sum",
        None,
        "int32",
        TypeMismatchError,
        """
        sequence_sum needs a sequence
          found     int32
          expected  T*
          at        the argument, HERE
        """,
    ),
    (
        "generic_plus",
        None,
        "<int32,int64>",
        TypeMismatchError,
        """
        generic_plus needs two values of one type
          found     <int32,int64>
          expected  <T,T>
          at        the argument, HERE
        """,
    ),
    (
        "generic_divide",
        None,
        "<int32,int32[2]>",
        TypeMismatchError,
        """
        generic_divide needs one number
          found     int32[2]
          expected  a scalar number
          at        [1] of the argument, HERE
        """,
    ),
]


@pytest.mark.parametrize(
    ("name", "placement", "argument", "sort", "message"), CASES, ids=[f"{c[0]} {c[2]}" for c in CASES]
)
def test_the_user_sees_what_was_found_and_what_to_do(
    refused,
    name: str,
    placement: PlacementLiteral | None,
    argument: str,
    sort: type[FoedusError],
    message: str,
):
    with refused(sort, message):
        result_type(name, parse(argument), placement)


@pytest.mark.parametrize(
    ("name", "placement", "argument", "message"),
    [
        (
            "federated_broadcast",
            REGIONS,
            "{int32}@TOWNS",
            """
            federated_broadcast needs a value above REGIONS
              found     {int32}@TOWNS
              expected  T@P, for P above REGIONS
              at        the argument, HERE
            """,
        ),
        (
            "federated_sum",
            TOWNS,
            "{int32}@REGIONS",
            """
            federated_sum needs a value below TOWNS
              found     {int32}@REGIONS
              expected  {T}@P, for P below TOWNS
              at        the argument, HERE
            """,
        ),
        (
            "federated_sum",
            CLIENTS,
            "{int32}@CLIENTS",
            """
            federated_sum needs a target above CLIENTS
              found     {int32}@CLIENTS
              expected  SERVER or a tier
              at        the argument, HERE
            """,
        ),
        (
            "federated_weighted_mean",
            SERVER,
            "<value={float32}@CLIENTS,weight={float32}@REGIONS>",
            """
            federated_weighted_mean needs weights where the values are
              found     {float32}@REGIONS
              expected  {W}@CLIENTS
              at        .weight of the argument, HERE
            """,
        ),
    ],
)
def test_values_move_along_the_tiers(
    refused, name: str, placement: PlacementLiteral, argument: str, message: str
):
    with refused(PlacementError, message):
        result_type(name, parse(argument, (CLIENTS, TOWNS, REGIONS, SERVER)), placement)


def test_values_move_over_several_tiers():
    argument = parse("{int32}@TOWNS", (TOWNS,))
    assert str(result_type("federated_sum", argument, REGIONS)) == "{int32}@REGIONS"
    assert str(result_type("federated_sum", argument)) == "int32@SERVER"
    assert str(result_type("federated_broadcast", argument)) == "{int32}@CLIENTS"
