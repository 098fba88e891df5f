# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs as functions that JAX traces: how the local runtime evaluates nodes inside its compiled calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import jax
import jax.numpy as jnp
import numpy as np

from foedus.errors import UnsupportedError, place
from foedus.foreign import NoJax, kind
from foedus.ir import (
    Block,
    Call,
    Foreign,
    Intrinsic,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
    value_of,
)
from foedus.types import STRING, Federated, Struct, Tensor, Type


def evaluate(node: Node, scope: Mapping[str, Any]) -> Any:
    """The value of a node while JAX traces: arrays, tuples, and Python functions.

    Args:
        node: A node in which every operator keeps values where they are.
        scope: The values of its names.

    Returns:
        The value in plain form.
    """
    match node:
        case Reference(name):
            return scope[name]
        case Literal(type=type_):
            return str(value_of(node)[()]) if type_.dtype == STRING else jnp.asarray(value_of(node))
        case Record(fields):
            return tuple(evaluate(child, scope) for _, child in fields)
        case Selection(source, index):
            return evaluate(source, scope)[index]
        case Lambda(parameter, _, body):
            return lambda argument: evaluate(body, {**scope, parameter or "": argument})
        case Block(bindings, result):
            inner = dict(scope)
            for name, child in bindings:
                inner[name] = evaluate(child, inner)
            return evaluate(result, inner)
        case Call(function, argument):
            given = None if argument is None else evaluate(argument, scope)
            if isinstance(function, Intrinsic):
                return _stays(function.name, given)
            return evaluate(function, scope)(given)
        case Foreign():
            return _leaf(node)
        case Intrinsic(name):
            return lambda argument: _stays(name, argument)
        case _:
            assert_never(node)


def _stays(name: str, argument: Any) -> Any:
    """An operator that moves nothing, at one member of the placement."""
    match name:
        case "federated_map":
            function, value = argument
            return function(value)
        case "federated_eval":
            return argument(None)
        case "federated_value" | "federated_zip" | "federated_broadcast":
            return argument
        case _:
            raise AssertionError(f"{name} moves values; please report")


def _leaf(node: Foreign) -> Callable[[Any], Any]:
    traceable = kind(node.kind).as_jax(node.payload)
    if isinstance(traceable, NoJax):
        raise UnsupportedError(
            f"The local runtime cannot compile local code of the kind {node.kind!r}",
            found=traceable.reason,
            at=place(),
            hint="run it in foedus.runtime.reference()",
        )
    return traceable


@dataclass(frozen=True)
class Monoid:
    """How a reduction folds, on values in plain form."""

    zero: Any
    accumulate: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    report: Callable[[Any], Any]


def _filled(type_: Type, fill: Callable[[Tensor], Any]) -> Any:
    match type_:
        case Struct(fields):
            return tuple(_filled(t, fill) for _, t in fields)
        case Tensor(dtype, shape):
            return jnp.full([size or 0 for size in shape or ()], fill(type_), dtype=dtype)
        case _:
            raise AssertionError(f"{type_} cannot be reduced; please report")


def _add(one: Any, other: Any) -> Any:
    return jax.tree.map(jnp.add, one, other)


def _divide(value: Any, by: Any) -> Any:
    return jax.tree.map(lambda x: x / by.astype(x.dtype), value)


def monoid_of(node: Call, scope: Mapping[str, Any]) -> Monoid:
    """The monoid of a reduction.

    Args:
        node: The call of the operator.
        scope: The values of the server's names, for ``zero``.

    Returns:
        The monoid; ``accumulate`` takes a client's value, and for a weighted mean its value and weight.
    """
    assert isinstance(node.function, Intrinsic)
    name, parameter = node.function.name, node.function.type.parameter
    if name == "federated_aggregate":
        assert node.argument is not None
        rest = [evaluate(child, scope) for child in _fields(node.argument)[1:]]
        zero, accumulate, merge, report = rest
        return Monoid(
            zero, lambda one, value: accumulate((one, value)), lambda one, other: merge((one, other)), report
        )
    first = (
        parameter.fields[0][1]
        if name == "federated_weighted_mean" and isinstance(parameter, Struct)
        else parameter
    )
    assert isinstance(first, Federated)
    member = first.member
    match name:
        case "federated_sum":
            return Monoid(_filled(member, lambda _: 0), _add, _add, lambda total: total)
        case "federated_mean":
            start = (_filled(member, lambda _: 0), jnp.int64(0))
            return Monoid(
                start,
                lambda one, value: _add(one, (value, jnp.int64(1))),
                _add,
                lambda total: _divide(total[0], total[1]),
            )
        case "federated_weighted_mean":
            return _weighted(member, parameter)
        case "federated_min" | "federated_max":
            return _extremum(member, least=name == "federated_min")
        case _:
            raise AssertionError(f"{name} is not a reduction; please report")


def _fields(argument: Node) -> list[Node]:
    if isinstance(argument, Record):
        return [child for _, child in argument.fields]
    assert isinstance(argument.type, Struct)
    return [Selection(argument, i) for i in range(len(argument.type.fields))]


def _weighted(member: Type, parameter: Type | None) -> Monoid:
    assert isinstance(parameter, Struct)
    weight = parameter.fields[1][1]
    assert isinstance(weight, Federated)
    assert isinstance(weight.member, Tensor)
    total_dtype = np.dtype(np.int64) if weight.member.dtype.kind in "iu" else weight.member.dtype

    def accumulate(one: Any, given: Any) -> Any:
        value, w = given
        scaled = jax.tree.map(lambda x: x * w.astype(x.dtype), value)
        return _add(one, (scaled, w.astype(total_dtype)))

    start = (_filled(member, lambda _: 0), jnp.zeros((), total_dtype))
    return Monoid(start, accumulate, _add, lambda total: _divide(total[0], total[1]))


def _extremum(member: Type, *, least: bool) -> Monoid:
    def neutral(tensor: Tensor) -> Any:
        if tensor.dtype.kind in "iu":
            limits = np.iinfo(tensor.dtype)
            return limits.max if least else limits.min
        return np.inf if least else -np.inf

    def better(one: Any, other: Any) -> Any:
        return jax.tree.map(jnp.minimum if least else jnp.maximum, one, other)

    return Monoid(_filled(member, neutral), better, better, lambda found: found)
