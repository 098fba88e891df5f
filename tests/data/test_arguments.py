# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of computations taken apart, and results put together."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from foedus.data import Cohort, Tiers, argument_type, cohort_of, from_result, members_of, to_argument
from foedus.errors import DataError, FoedusError, StructureError, TypeMismatchError
from foedus.types import CLIENTS, PlacementLiteral, float32, int32, parse, tier, to_type

REGIONS = tier("REGIONS")
TOWNS = tier("TOWNS", above=REGIONS)


class Holder:
    """A source: anything with a method that gives a cohort."""

    def cohort(self) -> Cohort:
        return cohort_of({"ada": 1, "bea": 2}, int32)


def argument(value: Any, type_: str) -> Any:
    return to_argument(value, parse(type_), "the argument")


@pytest.mark.parametrize(
    "value", [[1, 2], (1, 2), {"ada": 1, "bea": 2}, np.array([1, 2], np.int32), Holder(), Holder().cohort()]
)
def test_values_at_clients_become_a_cohort(value: Any):
    cohort = argument(value, "{int32}@CLIENTS")
    assert isinstance(cohort, Cohort)
    assert cohort.value.tolist() == [1, 2]


def test_a_cohort_is_passed_on_as_it_is():
    cohort = Holder().cohort()
    assert argument(cohort, "{int32}@CLIENTS") is cohort


def test_structs_may_come_in_other_containers():
    type_ = "<a={int32}@CLIENTS,b=int32@SERVER>"
    for value in [{"b": 3, "a": [1]}, OrderedDict(b=3, a=[1]), ([1], 3), [[1], 3]]:
        cohort, number = argument(value, type_)
        assert cohort.value.tolist() == [1]
        assert number == 3


def test_one_value_for_all_is_one_value():
    assert argument(5, "int32@CLIENTS") == 5
    assert argument(5, "int32@SERVER") == 5
    assert argument(5, "int32") == 5


@pytest.mark.parametrize(
    ("value", "type_", "sort", "message"),
    [
        (
            5,
            "{int32}@CLIENTS",
            DataError,
            """
            One value a client is needed in the argument
              found     int: 5
              expected  a list, a mapping from ids, or a cohort, of int32
              at        HERE
            """,
        ),
        (
            {"x": "text"},
            "<x={str}@CLIENTS>",
            DataError,
            """
            One value a client is needed in x of the argument
              found     str: 'text'
              expected  a list, a mapping from ids, or a cohort, of str
              at        HERE
            """,
        ),
        (
            Holder(),
            "{float32}@CLIENTS",
            TypeMismatchError,
            """
            Wrong dtype in the clients' values in the argument
              found     int32
              expected  float32
              at        the clients' values in the argument, HERE
            """,
        ),
        (
            ([1],),
            "<a={int32}@CLIENTS,b=int32@SERVER>",
            StructureError,
            """
            A struct of 2 fields is needed
              found     1 fields
              expected  <a={int32}@CLIENTS,b=int32@SERVER>
              at        the argument, HERE
            """,
        ),
        (
            5,
            "<a={int32}@CLIENTS,b=int32@SERVER>",
            StructureError,
            """
            A struct of 2 fields is needed
              found     int
              expected  <a={int32}@CLIENTS,b=int32@SERVER>
              at        the argument, HERE
            """,
        ),
        (
            abs,
            "(int32 -> int32)",
            DataError,
            """
            A computation cannot take a function when it is run
              found     (int32 -> int32)
              at        the argument, HERE
            """,
        ),
        (
            {"a": [1], "b": {"w": np.zeros(2)}},
            "<a={int32}@CLIENTS,b=<w=float32[2]>@SERVER>",
            TypeMismatchError,
            """
            Wrong dtype in b of the argument
              found     float64[2]
              expected  float32[2]
              at        .w of b of the argument, HERE
            """,
        ),
    ],
)
def test_what_does_not_match_is_refused(
    refused, value: Any, type_: str, sort: type[FoedusError], message: str
):
    with refused(sort, message):
        to_argument(value, parse(type_), "the argument")


def test_results_come_in_the_containers_of_their_type():
    member = to_type({"w": (float32, [2])})
    result = from_result((np.zeros(2, np.float32),), member)
    assert result.keys() == {"w"}
    assert from_result([np.int32(1), np.int32(2)], parse("{int32}@CLIENTS")) == [1, 2]
    assert from_result(np.int32(1), parse("int32@CLIENTS")) == 1
    assert from_result((np.array("a"), ()), parse("<str@SERVER,<>>")) == ("a", ())
    assert from_result([np.int32(1)], parse("int32*@SERVER")) == [1]


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1, "int32"),
        ([1, 2], "<int32,int32>"),
        (Holder(), "{int32}@CLIENTS"),
        (Holder().cohort(), "{int32}@CLIENTS"),
        ({"data": Holder(), "rate": 0.5}, "<data={int32}@CLIENTS,rate=float32>"),
    ],
)
def test_the_type_of_an_argument(value: Any, type_: str):
    assert argument_type(value) == parse(type_)


def test_a_function_is_no_result(refused):
    message = """
    A computation returned what is no value
      found     (int32 -> int32)
      at        HERE
    """
    with refused(DataError, message):
        from_result((np.int32(1), None), parse("<int32,(int32 -> int32)>"))


@pytest.mark.parametrize(
    ("lower", "message"),
    [
        (CLIENTS, "Client 'cid' belongs to no member of REGIONS\n  at        HERE"),
        (TOWNS, "The member of TOWNS 'lost' belongs to no member of REGIONS\n  at        HERE"),
    ],
)
def test_who_belongs_to_no_member_of_a_tier(refused, lower: PlacementLiteral, message: str):
    tiers: Tiers = {REGIONS: {"north": ["ada"]}, TOWNS: {"n": ["ada"], "lost": ["cid"]}}
    members = members_of(None, None, ("ada", "cid"), tiers)
    with refused(DataError, message):
        members.above(lower, REGIONS)


def test_a_member_of_a_tier_belongs_where_its_clients_do():
    tiers: Tiers = {REGIONS: {"north": ["ada"], "south": ["cid"]}, TOWNS: {"n": ["ada"], "s": ["cid"]}}
    members = members_of(None, None, ("ada", "cid"), tiers)
    assert members.above(TOWNS, REGIONS) == {"n": "north", "s": "south"}
    assert members.above(CLIENTS, TOWNS) == {"ada": "n", "cid": "s"}
