# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""JAX functions as local code: their types, what they are called with, when two are the same, and errors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus.errors import TracingError
from foedus.foreign import NoJax, kind
from foedus.ir import Foreign
from foedus.types import Struct, from_plain, parse, to_plain, to_type


class Point(NamedTuple):
    x: Any
    y: Any


def leaf(fn: Callable[..., Any], parameter: str | None) -> Foreign:
    return kind("jax").trace(fn, None if parameter is None else parse(parameter))


def run(node: Foreign, argument: object = None) -> Any:
    """Runs a leaf natively, and as JAX code, and expects the same."""
    parameter = node.type.parameter
    plain = None if parameter is None else to_plain(argument, parameter, "the argument")
    native = kind("jax").run(node.payload, plain)
    traced = kind("jax").as_jax(node.payload)
    assert not isinstance(traced, NoJax)
    with jax.enable_x64(True):
        compiled = jax.jit(traced)(plain)
    assert jax.tree.structure(native) == jax.tree.structure(compiled)
    for one, other in zip(jax.tree.leaves(native), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    return from_plain(native, node.type.result)


@pytest.mark.parametrize(
    ("fn", "parameter", "result"),
    [
        (lambda: 1, None, "int64"),
        (lambda: jnp.float32(1), None, "float32"),
        (lambda x: x, "int32", "int32"),
        (lambda x: x + 1, "int8", "int8"),
        (lambda x: x + 1, "int64", "int64"),
        (lambda x: x * 0.5, "bfloat16", "bfloat16"),
        (lambda x: x * 0.5, "float64", "float64"),
        (lambda x: x.sum(), "int32[3]", "int64"),
        (lambda x: (x, {"a": x > 0}), "float32", "<float32,<a=bool>>"),
        (lambda x: {"b": x, "a": 1.5}, "int32", "<a=float64,b=int32>"),
        (lambda x: OrderedDict(b=x, a=None), "int32", "<b=int32,a=<>>"),
        (lambda x: Point(x, [x]), "int32", "<x=int32,y=<int32>>"),
        (lambda x: np.ones(2, np.float32), "int32", "float32[2]"),
        (lambda x: None, "int32", "<>"),
        (lambda x: x, "float32[?,2]", "float32[?,2]"),
        (lambda x: x.sum(axis=0), "float32[?,2]", "float32[2]"),
        (lambda x: (x, len(x)), "float32[?]", "<float32[?],int64>"),
        (lambda a, b: a + b, "<a=int32,b=int32>", "int32"),
        (lambda a, b: a + b, "<int32,int32>", "int32"),
        (lambda pair: pair["a"], "<a=int32,b=int32>", "int32"),
        (lambda pair: pair[0], "<int32,int32>", "int32"),
        (lambda a, b=2: a["x"] * b, "<x=int32>", "int32"),
        (partial(lambda n, x: n * x, 2), "int32", "int32"),
        (jax.jit(lambda x: x + 1), "int32", "int32"),
        (abs, "int32", "int32"),
    ],
)  # fmt: skip
def test_the_type_of_a_leaf(fn: Callable[..., Any], parameter: str | None, result: str):
    node = leaf(fn, parameter)
    assert node.kind == "jax"
    assert node.type.parameter == (None if parameter is None else parse(parameter))
    assert node.type.result == parse(result)


def test_sixty_four_bits_are_sixty_four_bits():
    assert run(leaf(lambda x: x + 1, "int64"), 2**40) == 2**40 + 1
    assert run(leaf(lambda x: x + 2**-40, "float64"), 1.0) == 1 + 2**-40
    assert jnp.asarray(1.5).dtype == np.float32, "outside of local code nothing has changed"


def test_arguments_come_in_the_containers_of_their_type():
    seen: list[type] = []

    def function(value: Any) -> Any:
        seen.extend([type(value), type(value["p"]), type(value["l"])])
        return value

    node = kind("jax").trace(function, to_type({"p": Point(*[float, int]), "l": [int]}))
    assert seen == [dict, Point, list]
    assert isinstance(node.type.result, Struct)
    assert node.type.result.container is dict
    assert run(node, {"p": Point(1.5, 2), "l": [3]}) == {"p": Point(1.5, 2), "l": [3]}


def test_results_remember_their_containers():
    assert run(leaf(lambda x: OrderedDict(b=[x], a=(None, Point(x, x))), "int32"), 1) == OrderedDict(
        b=[1], a=(None, Point(1, 1))
    )


def nested(constant: Any) -> Callable[[Any], Any]:
    inner = jax.jit(lambda x: x + constant)
    return lambda x: inner(x)


def looped(constant: Any) -> Callable[[Any], Any]:
    return lambda x: jax.lax.fori_loop(0, 3, lambda _, carry: carry + constant, x)


def chosen(constant: Any) -> Callable[[Any], Any]:
    return lambda x: jax.lax.cond(x.sum() > 0, lambda a: a + constant, lambda a: a, x)


def differentiated(constant: Any) -> Callable[[Any], Any]:
    @jax.custom_jvp
    def function(x: Any) -> Any:
        return x * constant

    function.defjvp(lambda primals, tangents: (function(*primals), tangents[0] * constant))
    return function


def with_noise(constant: Any) -> Callable[[Any], Any]:
    key = jax.random.key(int(constant[0]))
    return lambda x: x + jax.random.uniform(key, dtype=x.dtype)


def called_back(constant: Any) -> Callable[[Any], Any]:
    shape = jax.ShapeDtypeStruct((3,), np.float64)
    return lambda x: jax.pure_callback(lambda a: np.asarray(a) * constant, shape, x)


MAKERS = [nested, looped, chosen, differentiated, with_noise]


@pytest.mark.parametrize("make", MAKERS)
def test_equal_code_has_equal_digests(make: Callable[[Any], Callable[[Any], Any]]):
    one, other = (leaf(make(np.arange(3.0)), "float64[3]") for _ in range(2))
    assert one.digest == other.digest


@pytest.mark.parametrize("make", [*MAKERS, called_back])
def test_code_with_another_constant_has_another_digest(make: Callable[[Any], Callable[[Any], Any]]):
    one, other = (leaf(make(np.arange(3.0) + k), "float64[3]") for k in (1, 2))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("one", "other", "parameter"),
    [
        (lambda x: x * 1.0000000001, lambda x: x * 1.0000000002, "float64"),
        (lambda x: x.mean(), lambda x: x.sum() / 3, "float32[?]"),
        (lambda x: x[:3].sum(), lambda x: x.sum(), "float32[?]"),
        (lambda x: {"a": x}, lambda x: {"b": x}, "float32"),
        (lambda x: x, lambda x: x + 0, "float32"),
        (
            lambda s: s.batch(4).fold(lambda c, b: c + b.sum(), jnp.float32(0)),
            lambda s: s.batch(5).fold(lambda c, b: c + b.sum(), jnp.float32(0)),
            "float32*",
        ),
    ],
)
def test_other_code_has_another_digest(one: Callable[..., Any], other: Callable[..., Any], parameter: str):
    assert leaf(one, parameter).digest != leaf(other, parameter).digest


def test_captured_arrays_are_those_of_the_time_of_tracing():
    captured = np.zeros(2, np.float32)
    node = leaf(lambda x: x + captured, "float32[2]")
    captured[:] = 5
    assert run(node, np.ones(2, np.float32)).tolist() == [1, 1]


def one_argument(a: Any) -> Any:
    return a


def two_arguments(a: Any, b: Any) -> Any:
    return a + b


@pytest.mark.parametrize(
    ("fn", "parameter", "message"),
    [
        (
            two_arguments,
            "<int32,int32,int32>",
            """
            The function 'two_arguments' takes 2 arguments
              found     a, b
              expected  one argument, or one for each of the 3 fields of <int32,int32,int32>
              at        HERE
            """,
        ),
        (
            one_argument,
            "<text=str>",
            """
            JAX has no strings
              found     <text=str>
              at        HERE
            """,
        ),
        (
            one_argument,
            "float32[...]",
            """
            JAX needs to know the rank of an array
              found     float32[...]
              at        HERE
            """,
        ),
        (
            lambda x: {"a": ["text"]},
            "int32",
            """
            Local code in JAX returns what is no array
              found     str: 'text'
              at        .a[0] of the result, HERE
            """,
        ),
        (
            lambda x: x.reshape(-1) if x.shape[0] > 4 else x,
            "int32[?,1]",
            """
            The rank of a result depends on the length of an argument
              at        HERE
            """,
        ),
        (
            lambda x: int("three"),
            "int32",
            """
            JAX cannot trace '<lambda>'
              found     ValueError: invalid literal for int() with base 10: 'three'
              expected  a function of int32
              at        HERE
            """,
        ),
    ],
)  # fmt: skip
def test_what_is_no_local_code(refused, fn: Callable[..., Any], parameter: str, message: str):
    with refused(TracingError, message):
        leaf(fn, parameter)


def test_what_jax_says_is_cut_where_it_speaks_of_foedus():
    with pytest.raises(TracingError) as caught:
        leaf(lambda x: x if x > 0 else -x, "int32")
    assert caught.value.found is not None
    assert caught.value.found.startswith("TracerBoolConversionError: ")
    assert "foedus" not in caught.value.found
