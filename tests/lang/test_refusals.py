# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot become a program, and the whole text that the user sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus.errors import ArgumentError, PlacementError, StructureError, TracingError, TypeMismatchError
from foedus.ir import constant
from foedus.lang import Computation, apply_operator

CLIENTS = fd.at_clients(fd.float32)
SERVER = fd.at_server(fd.float32)
MIXED = "do it in a function given to federated_map, and do not mix operators and arithmetic in one body"


@fd.computation(CLIENTS)
def doubled(x: Any) -> Any:
    return fd.federated_map(lambda y: y * 2, x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: fd.computation(CLIENTS)(lambda x, y: x),
            """
            The function '<lambda>' has 2 parameters and 1 types
              found     x, y
              expected  one type a parameter
              at        HERE
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda: 1),
            """
            The function '<lambda>' has 0 parameters and 1 types
              found     no parameters
              expected  one type a parameter
              at        HERE
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x=1: x),
            """
            The parameter x=1 cannot become part of a program's type
              expected  plain parameters without defaults, *, ** or keyword-only ones
              at        the function '<lambda>', HERE
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda *x: x),
            """
            The parameter *x cannot become part of a program's type
              expected  plain parameters without defaults, *, ** or keyword-only ones
              at        the function '<lambda>', HERE
            """,
        ),
        (
            lambda: fd.computation(lambda **x: x),
            """
            The parameter **x cannot become part of a program's type
              expected  plain parameters without defaults, *, ** or keyword-only ones
              at        the function '<lambda>', HERE
            """,
        ),
        (
            lambda: fd.computation(lambda *, x: x),
            """
            The parameter x cannot become part of a program's type
              expected  plain parameters without defaults, *, ** or keyword-only ones
              at        the function '<lambda>', HERE
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x: None),
            """
            The function '<lambda>' returns nothing
              at        while it was traced, HERE
            """,
        ),
        (
            lambda: fd.federated_sum([1]),
            """
            The operators of the language are used inside a computation
              at        HERE
              hint      put them into a function with @computation(...) and call it
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x: fd.federated_map(5, x)),
            """
            federated_map needs a function
              found     int
              expected  a Python function
              at        HERE
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x: x + 1),
            f"""
            Adding or subtracting a value of the language is local code
              found     {{float32}}@CLIENTS
              expected  an operator of the language, such as federated_map
              at        HERE
              hint      {MIXED}
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x: np.asarray(x)),
            f"""
            Making an array of a value of the language is local code
              found     {{float32}}@CLIENTS
              expected  an operator of the language, such as federated_map
              at        HERE
              hint      {MIXED}
            """,
        ),
        (
            lambda: fd.computation(CLIENTS)(lambda x: fd.federated_map(lambda y: -total_local(y), x)),
            f"""
            Arithmetic on a value of the language is local code
              found     float32
              expected  an operator of the language, such as federated_map
              at        HERE
              hint      {MIXED}
            """,
        ),
        (
            lambda: fd.computation(SERVER)(lambda x: 1 if x else 2),
            f"""
            Deciding by a value of the language is local code
              found     float32@SERVER
              expected  an operator of the language, such as federated_map
              at        HERE
              hint      {MIXED}
            """,
        ),
        (
            lambda: fd.computation(SERVER)(lambda x: x.w),
            """
            Only a struct has fields: the field 'w' was asked for
              found     float32@SERVER
              at        HERE
              hint      what is not an operator of the language belongs into a function given to federated_map
            """,
        ),
        (
            lambda: fd.computation(SERVER)(lambda x: x(1)),
            """
            Only a function can be called
              found     float32@SERVER
              at        HERE
            """,
        ),
    ],
)  # fmt: skip
def test_what_cannot_become_a_program(refused, make: Callable[[], Any], message: str):
    with refused(TracingError, message):
        make()


@fd.computation(fd.float32)
def total_local(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda x: x.c,
            """
            There is no field 'c'
              found     fields a, b
              at        HERE
            """,
        ),
        (
            lambda x: x[2],
            """
            There is no field 2
              found     <a=int32@SERVER,b=int32@SERVER>
              at        HERE
            """,
        ),
    ],
)
def test_a_field_that_is_not_there(refused, use: Callable[[Any], Any], message: str):
    with refused(StructureError, message):
        fd.computation(fd.types.struct(a=fd.at_server(fd.int32), b=fd.at_server(fd.int32)))(use)


def test_an_operator_at_the_wrong_placement_points_at_its_line(refused):
    message = """
    federated_sum needs a value at CLIENTS
      found     float32@SERVER
      expected  {T}@CLIENTS
      at        the argument, HERE
      hint      it is already one value at the server; use it as it is, or broadcast it first
    """
    with refused(PlacementError, message):

        @fd.computation(SERVER)
        def program(x: Any) -> Any:
            return fd.federated_sum(x)


def test_apply_is_for_the_server(refused):
    message = """
    federated_apply needs a value at SERVER
      found     {float32}@CLIENTS
      expected  T@SERVER
      at        HERE
    """
    with refused(PlacementError, message):

        @fd.computation(CLIENTS)
        def program(x: Any) -> Any:
            return fd.federated_apply(lambda y: y, x)


def test_a_computation_called_at_another_type_inside_a_program(refused):
    message = """
    Wrong placement in the argument of a call
      found     float32@SERVER
      expected  {float32}@CLIENTS
      at        the argument of a call, HERE
    """
    with refused(PlacementError, message):
        fd.computation(SERVER)(lambda x: doubled(x))


def test_a_function_of_the_wrong_number_of_parameters(refused):
    def three(a: Any, b: Any, c: Any) -> Any:
        return a

    message = """
    The function 'three' takes 3 arguments
      found     a, b, c
      expected  one argument, or one for each of the 2 fields of <float32,float32>
      at        HERE
    """
    with refused(TracingError, message):
        fd.computation(CLIENTS)(lambda x: fd.federated_map(three, (x, x)))


def test_a_zero_of_another_type_than_the_fold(refused):
    message = """
    federated_aggregate needs a function that returns int32
      found     (<int32,float32> -> float32)
      expected  (... -> int32)
      at        .accumulate of the argument, HERE
    """
    with refused(TypeMismatchError, message):

        @fd.computation(CLIENTS)
        def program(x: Any) -> Any:
            def add(a: Any, b: Any) -> Any:
                return a.astype("float32") + b

            return fd.federated_aggregate(x, 0, add, lambda a, b: a + b, lambda a: a)


def test_a_computation_is_a_function(refused):
    message = """
    A computation is a function
      found     int32
      at        HERE
    """
    with refused(TracingError, message):
        Computation(constant(1), "one")


def test_a_polymorphic_computation_needs_each_of_its_arguments(refused):
    @fd.computation
    def scaled(values: Any, factor: Any) -> Any:
        return fd.federated_map(lambda v, f: v * f, (values, factor))

    message = """
    scaled was called with {} arguments
      expected  2: values, factor
      at        HERE
    """
    with refused(TracingError, message.format(1)):
        scaled([1.0])
    with refused(TracingError, message.format(2)):
        scaled([1.0], rate=2.0)
    with refused(
        TracingError,
        """
        The function 'scaled' takes 2 arguments
          found     values, factor
          expected  one argument of type {float32}@CLIENTS
          at        scaled, HERE
        """,
    ):
        scaled.at_type(CLIENTS)


def test_only_functions_are_called(refused):
    message = """
    Only a function can be called
      found     float32@SERVER
      at        HERE
    """
    with refused(TracingError, message):
        fd.computation(SERVER)(lambda x: x(x))


def test_operators_on_sequences_need_one(refused):
    message = """
    sequence_map needs a sequence
      found     float32
      expected  T*
      at        HERE
    """
    with refused(TypeMismatchError, message):
        fd.computation(CLIENTS)(lambda x: fd.sequence_map(lambda y: y, x))


def test_an_operator_that_is_not_there():
    with pytest.raises(
        ArgumentError,
        match=r"^There is no such operator\n"
        r"  found     federated_median\n"
        r"  expected  federated_value, .*, generic_divide\n"
        r"  at        test_refusals.py:\d+: ",
    ):
        fd.computation(CLIENTS)(lambda x: apply_operator("federated_median", x))
