# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How the local runtime evaluates programs at one member of a placement, and the monoids of reductions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

import jax
import jax.numpy as jnp
import numpy as np

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
from foedus.runtime._plan import fields_of, operator_of, reduced_value
from foedus.sequences import Sequence
from foedus.types import STRING, Federated, Struct, Tensor, Type
from foedus.types import Sequence as SequenceType


class Leaves(Protocol):
    """How leaves and sequences are run: traced by JAX, or natively, one after another."""

    def call(self, node: Foreign) -> Callable[[Any], Any]:
        """A function from the argument to the result of a leaf, in plain form."""
        ...

    def sequence(self, value: Any) -> Sequence:
        """A sequence of plain elements, of what a sequence is in this form."""
        ...

    def select(self, function: Callable[[Any], Any], whole: Any, keys: Any, element: Type) -> Any:
        """What ``federated_select`` gives to one client."""
        ...


def evaluate(node: Node, scope: Mapping[str, Any], leaves: Leaves) -> Any:
    """The value of a node at one member of a placement.

    Args:
        node: A node in which no operator reduces.
        scope: The values of its names at that member.
        leaves: How leaves are run.

    Returns:
        The value in plain form: arrays, tuples, sequences, and Python functions.
    """
    match node:
        case Reference(name):
            return scope[name]
        case Literal(type=type_):
            return value_of(node) if type_.dtype == STRING else jnp.asarray(value_of(node))
        case Record(fields):
            return tuple(evaluate(child, scope, leaves) for _, child in fields)
        case Selection(source, index):
            return evaluate(source, scope, leaves)[index]
        case Lambda(parameter, _, body):
            return lambda argument: evaluate(body, {**scope, parameter or "": argument}, leaves)
        case Block(bindings, result):
            inner = dict(scope)
            for name, child in bindings:
                inner[name] = evaluate(child, inner, leaves)
            return evaluate(result, inner, leaves)
        case Call(function, argument):
            given = None if argument is None else evaluate(argument, scope, leaves)
            return evaluate(function, scope, leaves)(given)
        case Foreign():
            return leaves.call(node)
        case Intrinsic():
            return lambda argument: _operate(node, argument, leaves)
        case _:
            assert_never(node)


def _operate(operator: Intrinsic, argument: Any, leaves: Leaves) -> Any:
    """An operator at one member of a placement."""
    result = operator.type.result
    match operator.name:
        case "federated_map":
            function, value = argument
            return function(value)
        case "federated_eval":
            return argument(None)
        case "federated_value" | "federated_zip" | "federated_broadcast":
            return argument
        case "federated_select" | "federated_secure_select":
            keys, _, whole, function = argument
            assert isinstance(result, Federated)
            assert isinstance(result.member, SequenceType)
            return leaves.select(function, whole, keys, result.member.element)
        case "sequence_map":
            function, value = argument
            return leaves.sequence(value).map(function)
        case "sequence_reduce":
            value, zero, op = argument
            return leaves.sequence(value).fold(lambda carry, element: op((carry, element)), zero)
        case "generic_zero":
            return _filled(result, lambda _: 0)
        case "generic_lowest" | "generic_highest":
            return _limits(result, highest=operator.name == "generic_highest")
        case name:
            return _ARITHMETIC[name](*argument)


def _multiply(value: Any, by: Any) -> Any:
    return jax.tree.map(lambda x: x * jnp.asarray(by).astype(x.dtype), value)


def _divide(value: Any, by: Any) -> Any:
    return jax.tree.map(lambda x: _quotient(x, jnp.asarray(by).astype(x.dtype)), value)


def _quotient(x: Any, by: Any) -> Any:
    return jnp.floor_divide(x, by) if x.dtype.kind in "iu" else x / by


def _add(one: Any, other: Any) -> Any:
    return jax.tree.map(jnp.add, one, other)


def _minimum(one: Any, other: Any) -> Any:
    return jax.tree.map(jnp.minimum, one, other)


def _maximum(one: Any, other: Any) -> Any:
    return jax.tree.map(jnp.maximum, one, other)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "generic_plus": _add,
    "generic_minimum": _minimum,
    "generic_maximum": _maximum,
    "generic_multiply": _multiply,
    "generic_divide": _divide,
}


def _filled(type_: Type, fill: Callable[[Tensor], Any]) -> Any:
    match type_:
        case Struct(fields):
            return tuple(_filled(t, fill) for _, t in fields)
        case Tensor(dtype, shape):
            return jnp.full([size or 0 for size in shape or ()], fill(type_), dtype=dtype)
        case _:
            raise AssertionError(f"{type_} has no numbers; please report")


def _limits(type_: Type, *, highest: bool) -> Any:
    def limit(tensor: Tensor) -> Any:
        if tensor.dtype.kind in "iu":
            found = np.iinfo(tensor.dtype)
            return found.max if highest else found.min
        return np.inf if highest else -np.inf

    return _filled(type_, limit)


@dataclass(frozen=True)
class Monoid:
    """How a reduction folds, on values in plain form.

    Args:
        zero: The result for nobody.
        accumulate: Takes in what one member gives, see ``contribution``.
        merge: Joins two results.
        report: Makes the result.
    """

    zero: Any
    accumulate: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    report: Callable[[Any], Any]


def contribution(node: Call, scope: Mapping[str, Any], leaves: Leaves) -> Any:
    """What one member gives to a reduction: its value, and for a weighted mean the weight."""
    assert node.argument is not None
    if isinstance(node.argument.type, Federated):
        return evaluate(node.argument, scope, leaves)
    fields = fields_of(node.argument)
    value = evaluate(fields[0], scope, leaves)
    weighted = isinstance(fields[1].type, Federated)
    return (value, evaluate(fields[1], scope, leaves)) if weighted else value


def monoid_of(node: Call, scope: Mapping[str, Any], leaves: Leaves) -> Monoid:
    """The monoid of a reduction.

    Args:
        node: The call of the operator.
        scope: The values of the names that are placed nowhere.
        leaves: How leaves are run.

    Returns:
        The monoid. Those of secure sums are of exact integers in ``int64``.
    """
    assert node.argument is not None
    unplaced = () if isinstance(node.argument.type, Federated) else fields_of(node.argument)[1:]
    others = [evaluate(n, scope, leaves) for n in unplaced if not isinstance(n.type, Federated)]
    name = operator_of(node)
    assert name is not None
    return _MONOIDS[name](node, others)


def _aggregate(_node: Call, others: list[Any]) -> Monoid:
    zero, accumulate, merge, report = others
    return Monoid(
        zero, lambda one, value: accumulate((one, value)), lambda one, other: merge((one, other)), report
    )


def _sum(node: Call, _others: list[Any]) -> Monoid:
    return Monoid(_filled(reduced_value(node).member, lambda _: 0), _add, _add, lambda total: total)


def _least(node: Call, _others: list[Any]) -> Monoid:
    worst = _limits(reduced_value(node).member, highest=True)
    return Monoid(worst, _minimum, _minimum, lambda found: found)


def _greatest(node: Call, _others: list[Any]) -> Monoid:
    worst = _limits(reduced_value(node).member, highest=False)
    return Monoid(worst, _maximum, _maximum, lambda found: found)


def _secure_sum(node: Call, _others: list[Any]) -> Monoid:
    return Monoid(_wide_zero(reduced_value(node).member), _add_wide, _add, lambda total: total)


def _mean(node: Call, _others: list[Any]) -> Monoid:
    member = reduced_value(node).member
    return Monoid(
        (_filled(member, lambda _: 0), jnp.int64(0)),
        lambda one, value: _add(one, (value, jnp.int64(1))),
        _add,
        lambda total: _divide(total[0], total[1]),
    )


def _weighted_mean(node: Call, _others: list[Any]) -> Monoid:
    member = reduced_value(node).member
    weight = fields_of(node.argument)[1].type
    assert isinstance(weight, Federated)
    assert isinstance(weight.member, Tensor)
    total_dtype = np.dtype(np.int64) if weight.member.dtype.kind in "iu" else weight.member.dtype

    def accumulate(one: Any, given: Any) -> Any:
        value, w = given
        return _add(one, (_multiply(value, w), jnp.asarray(w).astype(total_dtype)))

    start = (_filled(member, lambda _: 0), jnp.zeros((), total_dtype))
    return Monoid(start, accumulate, _add, lambda total: _divide(total[0], total[1]))


def _wide_zero(member: Type) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.int64), _filled(member, lambda _: 0))


def _add_wide(one: Any, value: Any) -> Any:
    return jax.tree.map(lambda a, b: a + jnp.asarray(b).astype(jnp.int64), one, value)


def _modular_sum(node: Call, others: list[Any]) -> Monoid:
    zero = _wide_zero(reduced_value(node).member)
    moduli = like_value(others[0], zero)

    def reduced(value: Any) -> Any:
        return jax.tree.map(lambda x, m: jnp.mod(x.astype(jnp.int64), m), value, moduli)

    def add(one: Any, other: Any) -> Any:
        return reduced(_add(one, reduced(other)))

    return Monoid(zero, add, add, lambda total: total)


def like_value(bound: Any, value: Any) -> Any:
    """Bounds as int64, one for each leaf of a value: its own, or the one for all."""
    if isinstance(value, tuple):
        own = bound if isinstance(bound, tuple) else (bound,) * len(value)
        return tuple(like_value(b, v) for b, v in zip(own, value, strict=True))
    return jnp.asarray(bound).astype(jnp.int64)


_MONOIDS: dict[str, Callable[[Call, list[Any]], Monoid]] = {
    "federated_aggregate": _aggregate,
    "federated_sum": _sum,
    "federated_mean": _mean,
    "federated_weighted_mean": _weighted_mean,
    "federated_min": _least,
    "federated_max": _greatest,
    "federated_secure_sum": _secure_sum,
    "federated_secure_sum_bitwidth": _secure_sum,
    "federated_secure_modular_sum": _modular_sum,
}
