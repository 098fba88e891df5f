# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for programs: computations built with the operators out of a pool of local functions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from foedus.lang import (
    Computation,
    Value,
    computation,
    federated_aggregate,
    federated_apply,
    federated_broadcast,
    federated_eval,
    federated_key,
    federated_map,
    federated_max,
    federated_mean,
    federated_min,
    federated_sum,
    federated_value,
    federated_zip,
)
from foedus.testing import _local_functions as local
from foedus.types import (
    CLIENTS,
    KEY,
    SERVER,
    Federated,
    PythonValue,
    Sequence,
    Struct,
    Tensor,
    Type,
    at_clients,
    at_server,
    float32,
    float64,
    int32,
    int64,
    pack,
    tensor,
    uint8,
    walk,
)

Step: TypeAlias = Callable[[], Value]

_TENSORS = (float32, int32, float64, int64, uint8, tensor(float32, (2,)), tensor(int32, (2, 1)), KEY)
_CLIENTS = (1, 2, 3, 5, 40)
"""How many clients: one, a few, and more than a reduction has strands."""
_MOST_STEPS = 6


@dataclass(frozen=True)
class Program:
    """A computation and arguments for it.

    Args:
        computation: The computation; closed and well typed.
        arguments: One value for each of its parameters.
    """

    computation: Computation
    arguments: tuple[PythonValue, ...]

    def __call__(self) -> PythonValue:
        """Runs the computation in the current runtime."""
        return self.computation(*self.arguments)

    def __str__(self) -> str:
        return f"{self.computation}\narguments: {self.arguments}"


def _member(value: Value) -> Type:
    assert isinstance(value.type, Federated)
    return value.type.member


def _is_at_clients(value: Value) -> bool:
    return isinstance(value.type, Federated) and value.type.placement == CLIENTS


def _kinds(value: Value) -> set[str]:
    """The kinds of dtype in a placed value, ``*`` for sequences."""
    parts = [t for t in walk(_member(value)) if not isinstance(t, Struct)]
    return {t.dtype.kind if isinstance(t, Tensor) else "*" for t in parts}


@computation
def _described(value: Any) -> Any:
    """A computation that computations call."""
    return federated_map(local.described, value)


@computation
def _summarized(value: Any) -> Any:
    """Local code that functions of the language call."""
    return {"total": local.total(value)}


def _in_the_language(value: Any) -> Any:
    return [_summarized(value), 7]


def _everywhere(value: Value, other: Value) -> list[Step]:
    functions = (local.total, local.masked_total, local.number_of_batches, local.described, _in_the_language)
    steps: list[Step] = [partial(federated_map, function, value) for function in functions]
    together = _is_at_clients(value) == _is_at_clients(other)
    if together:
        steps += [lambda: federated_map(lambda a, b: local.total((a, b)), (value, other))]
    if "*" not in _kinds(value):
        steps += [partial(federated_map, function, value) for function in (local.doubled, lambda x: (x, x))]
    if together and "*" not in _kinds(value) | _kinds(other):
        steps += [lambda: federated_zip({"a": value, "b": (other, value)})]
    member = _member(value)
    return [*steps, lambda: next(iter(value))] if isinstance(member, Struct) and member.fields else steps


def _at_clients(value: Value, other: Value) -> list[Step]:
    zero = {"count": 0, "sum": 0.0}
    steps: list[Step] = [
        lambda: _described(value),
        lambda: federated_value({"c": 1.5, "d": [1, 2]}, CLIENTS),
        lambda: federated_eval(local.three, CLIENTS),
        lambda: federated_aggregate(value, zero, local.accumulate, local.merge, local.report),
    ]
    if _kinds(value) <= set("iuf"):
        steps += [partial(reduce, value) for reduce in (federated_sum, federated_min, federated_max)]
    if _kinds(value) <= {"f"}:
        weight = other if _is_at_clients(other) else value
        steps += [lambda: federated_mean(value)]
        steps += [lambda: federated_mean(value, federated_map(local.positive, weight))]
    return steps


def _at_server(value: Value, _other: Value) -> list[Step]:
    return [
        lambda: federated_broadcast(value),
        lambda: federated_apply(local.described, value),
        lambda: federated_value([True, 2], SERVER),
        lambda: federated_eval(local.three, SERVER),
    ]


def _with_key(key: Value, _other: Value) -> list[Step]:
    return [partial(federated_key, key, purpose) for purpose in ("noise", "order")]


def _step(draw: st.DrawFn, pool: list[Value]) -> Value:
    """Does one thing to a value drawn from those that there are."""
    value, other = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    sorts = [_everywhere, _at_clients if _is_at_clients(value) else _at_server]
    if value.type == at_server(KEY):
        sorts += [_with_key, _with_key]
    return draw(st.sampled_from(draw(st.sampled_from(sorts))(value, other)))()


def _body(draw: st.DrawFn, *parameters: Value) -> PythonValue:
    pool = list(parameters)
    for _ in range(draw(st.integers(1, _MOST_STEPS))):
        pool.append(_step(draw, pool))
    chosen = draw(st.lists(st.sampled_from(pool[len(parameters) - 1 :]), max_size=2))
    shape = draw(st.sampled_from([lambda *x: x[-1], lambda *x: x, lambda *x: [*x], lambda *x: {"r": x[-1]}]))
    return shape(*chosen, pool[-1])


def _members(*, sequences: bool) -> st.SearchStrategy[Type]:
    tensors: st.SearchStrategy[Type] = st.sampled_from(_TENSORS)
    containers = st.sampled_from([dict, OrderedDict])
    structs = st.builds(lambda a, b, c: Struct((("a", a), ("b", b)), c), tensors, tensors, containers)
    plain = st.one_of(tensors, structs, st.just(Struct(())))
    return plain | st.builds(Sequence, tensors | structs) if sequences else plain


def _small(draw: st.DrawFn, type_: Type) -> PythonValue:
    """A value of numbers so small that their sums are exact, in floating point too."""
    match type_:
        case Struct(fields):
            return pack(type_, [_small(draw, t) for _, t in fields])
        case Sequence(element):
            return [_small(draw, element) for _ in range(draw(st.integers(0, 3)))]
        case Tensor(dtype, shape):
            number = draw(st.integers(0 if dtype.kind == "u" else -8, 8))
            step = 4 if dtype.kind == "f" else 1
            return np.full([size or 0 for size in shape or ()], number / step, dtype)[()]
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Computations built with all operators, and arguments for them.

    They take one to three values, the first of them at clients, and use local functions, functions of the
    language, other computations, folds over sequences and random keys. There is at least one client, and no
    strings, so that every runtime can run them; sums of floats are exact, so that results can be compared.

    Returns:
        The strategy.
    """
    clients = draw(st.sampled_from(_CLIENTS))
    anywhere = [_members(sequences=True).map(at_clients), _members(sequences=False).map(at_server)]
    more = st.sampled_from([*anywhere, st.just(at_server(KEY))])
    types = [draw(anywhere[0]), *(draw(draw(more)) for _ in range(draw(st.integers(0, 2))))]
    bodies = (
        lambda a: _body(draw, a),
        lambda a, b: _body(draw, a, b),
        lambda a, b, c: _body(draw, a, b, c),
    )
    arguments = tuple(
        [_small(draw, t.member) for _ in range(clients)] if t.placement == CLIENTS else _small(draw, t.member)
        for t in types
    )
    return Program(computation(*types)(bodies[len(types) - 1]), arguments)
