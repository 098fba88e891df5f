# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""From Python functions to programs: what is recorded, whose lambda it is, what cannot become a program."""

from __future__ import annotations

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus.errors import TracingError
from foedus.ir import Foreign, Intrinsic, Lambda, Node, show_program, walk
from foedus.lang import Computation, Value
from foedus.types import Function, tensor, to_type

CLIENTS = fd.at_clients(fd.float32)
SERVER = fd.at_server(fd.float32)
MIXED = "do it in a function given to federated_map, and do not mix operators and arithmetic in one body"


def shown(program: Computation) -> str:
    """The program with every leaf as ``jax#``."""
    return re.sub("#[0-9a-f]{16}", "#", show_program(program.node))


def operators(node: Node) -> list[str]:
    return [n.name for n in walk(node) if isinstance(n, Intrinsic)]


def test_the_body_is_recorded_call_by_call():
    @fd.computation(CLIENTS, SERVER)
    def above(readings: Any, threshold: Any) -> Any:
        over = fd.federated_map(lambda r, t: r > t, (readings, fd.federated_broadcast(threshold)))
        return fd.federated_mean(fd.federated_map(lambda o: o.astype("float32"), over))

    assert shown(above) == (
        "(p1:<readings={float32}@CLIENTS,threshold=float32@SERVER> -> (let "
        "v2=federated_broadcast(p1.threshold),"
        "v3=federated_zip(<p1.readings,v2>),"
        "v4=federated_map(<fn=jax#,value=v3>),"
        "v5=federated_map(<fn=jax#,value=v4>),"
        "v6=federated_mean(v5) in v6))"
    )


def test_one_parameter_is_the_argument_and_several_are_a_struct():
    one = fd.computation(CLIENTS)(lambda x: fd.federated_min(x))
    assert str(one.type) == "({float32}@CLIENTS -> float32@SERVER)"
    assert str(fd.computation(CLIENTS, SERVER)(lambda a, b: b).type.parameter) == (
        "<a={float32}@CLIENTS,b=float32@SERVER>"
    )
    assert fd.computation(lambda: fd.federated_value(1, fd.SERVER)).type.parameter is None


def test_a_value_used_twice_is_computed_once():
    @fd.computation(CLIENTS)
    def twice(x: Any) -> Any:
        total = fd.federated_sum(x)
        return total, total

    assert operators(twice.node) == ["federated_sum"]


def test_a_function_over_arrays_is_local_code():
    @fd.computation(fd.float32, fd.float32)
    def add(a: Any, b: Any) -> Any:
        return a + b

    assert isinstance(add.node, Foreign)
    assert str(add.type) == "(<a=float32,b=float32> -> float32)"
    assert add(1.5, 2) == 3.5


def test_a_function_that_calls_a_computation_is_of_the_language():
    @fd.computation(fd.float32)
    def double(x: Any) -> Any:
        return 2 * x

    @fd.computation
    def anything(x: Any) -> Any:
        return x, x

    @fd.computation(CLIENTS)
    def program(x: Any) -> Any:
        return fd.federated_map(lambda y: {"a": double(y), "b": anything(y)}, x)

    (function,) = (n for n in walk(program.node) if isinstance(n, Lambda) and n is not program.node)
    assert str(function.type) == "(float32 -> <a=float32,b=<float32,float32>>)"
    assert program([1.5]) == [{"a": 3, "b": (1.5, 1.5)}]


def test_a_function_on_placed_values_is_of_the_language_even_without_operators():
    identity = fd.computation(CLIENTS)(lambda x: x)
    assert shown(identity) == "(p1:{float32}@CLIENTS -> p1)"


def test_a_function_of_the_language_may_use_values_around_it():
    pair = (1, {"a": 2})
    one = fd.computation(lambda: 1.5)

    @fd.computation(SERVER)
    def program(x: Any) -> Any:
        return fd.federated_map(lambda y: (one(), y, pair), x)

    assert program(5) == (1.5, 5, (1, {"a": 2}))


def test_a_function_may_use_unplaced_values_of_the_program():
    @fd.computation(fd.float32, fd.float32)
    def scaled(x: Any, by: Any) -> Any:
        return x * by

    @fd.computation(fd.float32, CLIENTS)
    def program(rate: Any, x: Any) -> Any:
        return fd.federated_map(lambda y: scaled(y, rate), x)

    assert program(2.0, [1.0, 1.5]) == [2, 3]


def test_a_computation_is_closed(refused):
    message = """
    The computation 'inner' uses a value of the computation 'program'
      found     float32@SERVER
      at        HERE
      hint      give it the value as an argument, or leave out @computation
    """
    with refused(TracingError, message):

        @fd.computation(SERVER)
        def program(x: Any) -> Any:
            @fd.computation(CLIENTS)
            def inner(y: Any) -> Any:
                return fd.federated_broadcast(x), y

            return inner(fd.federated_broadcast(x))


def test_a_value_of_a_finished_trace(refused):
    kept = []

    @fd.computation(SERVER)
    def first(x: Any) -> Any:
        kept.append(x)
        return fd.federated_broadcast(x)

    message = """
    The computation 'second' uses a value of the computation 'first'
      found     float32@SERVER
      at        HERE
      hint      give it the value as an argument, or leave out @computation
    """
    with refused(TracingError, message):

        @fd.computation(SERVER)
        def second(x: Any) -> Any:
            return fd.federated_broadcast(kept[0])


def test_a_program_is_the_same_whatever_was_traced_before():
    @fd.computation
    def doubled(x: Any) -> Any:
        return fd.federated_map(lambda y: y * 2, x)

    def body(x: Any) -> Any:
        return doubled(fd.federated_map(lambda y: y + 1, x)), x

    assert str(fd.computation(SERVER)(body)) == str(fd.computation(SERVER)(body))


def test_an_array_function_of_a_value_of_the_language(refused):
    with pytest.raises(TracingError) as caught:
        fd.computation(CLIENTS)(lambda x: jnp.sum(x))
    assert caught.value.headline == "'<lambda>' gives a value of the language to a function that takes none"
    assert caught.value.at is not None
    assert caught.value.at.endswith(": fd.computation(CLIENTS)(lambda x: jnp.sum(x))")
    assert caught.value.hint == MIXED


def test_what_a_body_itself_raises_is_raised():
    def body(x: Any) -> Any:
        raise ValueError("the user's own")

    with pytest.raises(ValueError, match="the user's own"):
        fd.computation(CLIENTS)(body)


def test_computations_nest():
    @fd.computation(CLIENTS)
    def total(x: Any) -> Any:
        return fd.federated_sum(x)

    @fd.computation(CLIENTS)
    def outer(x: Any) -> Any:
        return total(total_twice(x)), total(x)

    assert outer([1.0, 2.0]) == (6, 3)


@fd.computation(CLIENTS)
def total_twice(x: Any) -> Any:
    return fd.federated_map(lambda y: y * 2, x)


def test_values_have_fields_of_structs_and_of_placed_structs():
    @fd.computation(fd.at_clients(fd.types.struct(a=fd.int32, b=(fd.int32, fd.float32))))
    def fields(x: Any) -> Any:
        first, second = x
        assert len(x) == 2
        assert isinstance(x, Value)
        assert repr(x.a) == "<a value of type {int32}@CLIENTS>"
        return x.a, x["a"], x[0], x[-2], first, second[1], x[:1], x.b[::-1]

    result = fields([{"a": 1, "b": (2, 3.5)}])
    assert result == ([1], [1], [1], [1], [1], [3.5], ([1],), ([3.5], [2]))


def test_constants_may_stand_where_values_may():
    @fd.computation
    def constants() -> Any:
        return (
            fd.federated_value({"a": 1, "b": np.arange(3)}, fd.SERVER),
            fd.federated_value("text", fd.SERVER),
            fd.federated_value(None, fd.SERVER),
            5,
        )

    with fd.use(fd.runtime.reference()):
        value, text, nothing, five = constants()
    assert value["b"].tolist() == [0, 1, 2]
    assert value["b"].dtype == np.int64
    assert (value["a"], text, nothing, five) == (1, "text", None, 5)


def test_a_polymorphic_computation_is_traced_once_per_type():
    traced = []

    @fd.computation
    def total(x: Any) -> Any:
        traced.append(x.type)
        return fd.federated_sum(x)

    ints, floats = (fd.at_clients(t) for t in (fd.int32, fd.float32))
    assert total.at_type(ints) is total.at_type(ints)
    assert total.at_type(floats) is not total.at_type(ints)
    assert traced == [ints, floats]
    assert repr(total) == "<polymorphic computation total(x)>"


def test_a_polymorphic_computation_gives_back_the_containers_of_each_call():
    @fd.computation
    def same(x: Any) -> Any:
        return x

    for value in [{"a": 1}, [1], (1,), [[1]], {"a": [1, (2,)]}]:
        assert same(value) == value
        assert type(same(value)) is type(value)


def test_a_polymorphic_computation_of_several_arguments():
    @fd.computation
    def scaled(values: Any, factor: Any) -> Any:
        return jnp.asarray(values) * factor

    assert scaled(np.arange(3), 2).tolist() == [0, 2, 4]
    assert scaled(factor=2, values=np.arange(3)).tolist() == [0, 2, 4]


def test_equal_programs_are_equal():
    def make() -> Computation:
        return fd.computation(CLIENTS)(lambda x: fd.federated_sum(fd.federated_map(lambda y: y + 1, x)))

    assert make() == make()
    assert hash(make()) == hash(make())
    assert make() != total_twice
    assert make() != 5


def test_a_computation_says_what_it_is():
    assert repr(total_twice) == ("<computation total_twice of type ({float32}@CLIENTS -> {float32}@CLIENTS)>")
    assert str(total_twice).startswith("(p1:{float32}@CLIENTS -> (let\n  v2=federated_map(")


def test_a_polymorphic_computation_forgets_the_type_it_met_first():
    @fd.computation
    def total(x: Any) -> Any:
        return fd.federated_sum(x)

    types = [fd.at_clients(tensor(int, (size,))) for size in range(129)]
    first, second = total.at_type(types[0]), total.at_type(types[1])
    for type_ in types[2:]:
        total.at_type(type_)
    assert total.at_type(types[1]) is second
    assert total.at_type(types[0]) is not first
    assert total.at_type(types[0]) == first


def test_a_function_may_be_an_argument():
    function = Function(fd.int32, fd.int32)
    pair = Function(to_type((fd.int32, fd.bool_)), fd.int32)
    once = Function(None, fd.int32)

    @fd.computation(function, pair, once, fd.int32, fd.bool_)
    def called(f: Any, g: Any, h: Any, x: Any, y: Any) -> Any:
        return f(x), g(x, y), h()

    assert shown(called) == (
        "(p1:<f=(int32 -> int32),g=(<int32,bool> -> int32),h=( -> int32),x=int32,y=bool> -> "
        "(let v2=p1.f(p1.x),v3=p1.g(<p1.x,p1.y>),v4=p1.h() in <v2,v3,v4>))"
    )


@fd.host(returns=str)
def spelled(number: Any) -> str:
    return f"{number:d}"


@fd.host(returns=str)
def repeated(text: Any, times: Any) -> str:
    return text * int(times)


@fd.host(returns=fd.int32)
def seven() -> int:
    return 7


def test_host_code_is_called_as_it_is_outside_of_computations():
    assert (spelled(12), repeated("ab", 2), seven()) == ("12", "abab", 7)


def test_host_code_is_called_inside_of_computations_too():
    @fd.computation(fd.int32)
    def program(number: Any) -> Any:
        return spelled(number), repeated(spelled(number), number), seven()

    with fd.use(fd.runtime.reference()):
        assert program(3) == ("3", "333", 7)


def test_the_bound_of_keys_may_be_a_value_of_the_program():
    @fd.computation(fd.at_clients(tensor(int, (2,))), fd.at_server(fd.int32))
    def program(keys: Any, bound: Any) -> Any:
        return fd.federated_select(keys, bound, bound, lambda whole, key: whole + key)

    with fd.use(fd.runtime.reference()):
        assert program([np.array([1, 0], np.int32)], 3) == [[4, 3]]
