# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values as one vector, for aggregators that have to see all elements at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp

from foedus.aggregators._aggregator import Aggregator
from foedus.errors import CompositionError, place
from foedus.lang import computation, federated_map
from foedus.process import Output, Process
from foedus.types import (
    EMPTY,
    STRING,
    Federated,
    Struct,
    Tensor,
    Type,
    at_clients,
    at_server,
    field_path,
    pack,
)


@final
@dataclass(frozen=True, slots=True)
class _Concat(Aggregator):
    inner: Aggregator

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        vector = _vector_type(value_type)
        inner = self.inner.create(vector, weight_type)
        _require_vector(inner.result_type, vector)

        def joined(value: Any) -> Any:
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(value)])

        def parted(whole: Any) -> Any:
            return _packed(value_type, whole)[0]

        @computation(inner.initialize.type.result, at_clients(value_type), at_clients(weight_type))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            done = inner.next(state, federated_map(joined, value), weight)
            return Output(done.state, federated_map(parted, done.result), done.measurements)

        return Process(inner.initialize, next_)


def concat(inner: Aggregator) -> Aggregator:
    """Gives another aggregator each client's value as one vector, and takes its result apart again.

    Args:
        inner: What aggregates vectors.

    Returns:
        An aggregator of values whose leaves all have one dtype and known shapes, with the state, the weights
        and the measurements of ``inner``.
    """
    return _Concat(inner)


def _leaves(type_: Type, path: str = "") -> Iterator[tuple[str, Type]]:
    if isinstance(type_, Struct):
        for i, (name, t) in enumerate(type_.fields):
            yield from _leaves(t, path + field_path(i, name))
    else:
        yield path, type_


def _vector_type(value_type: Type) -> Tensor:
    """The type of all elements of a value in a row."""
    leaves = list(_leaves(value_type))
    if not leaves:
        raise CompositionError(
            "There is nothing to make a vector of", found=value_type, at=place("the value")
        )
    dtype = None
    length = 0
    for path, leaf in leaves:
        where = place(f"{path} of the value" if path else "the value")
        if not isinstance(leaf, Tensor) or leaf.dtype == STRING or leaf.shape is None or None in leaf.shape:
            raise CompositionError(
                "A vector is made of numbers, and of how many is known",
                found=leaf,
                expected="numbers of known shape",
                at=where,
            )
        dtype = leaf.dtype if dtype is None else dtype
        if leaf.dtype != dtype:
            raise CompositionError(
                "A vector has one dtype",
                found=leaf,
                expected=f"{Tensor(dtype)}, as in {leaves[0][0]}",
                at=where,
                hint="convert before, or aggregate the parts of each dtype on their own",
            )
        length += math.prod(size or 0 for size in leaf.shape)
    assert dtype is not None
    return Tensor(dtype, (length,))


def _require_vector(result: Type, vector: Tensor) -> None:
    member = result.member if isinstance(result, Federated) else result
    if isinstance(member, Tensor) and member.shape == vector.shape:
        return
    raise CompositionError(
        "The aggregator inside concat does not give a vector of the length that it takes",
        found=result,
        expected=at_server(vector),
        at=place("the result"),
    )


def _packed(type_: Type, rest: Any) -> tuple[Any, Any]:
    """A value of the first elements of a vector, and the other elements."""
    if isinstance(type_, Struct):
        parts: list[Any] = []
        for _, field in type_.fields:
            part, rest = _packed(field, rest)
            parts.append(part)
        return pack(type_, parts), rest
    assert isinstance(type_, Tensor), "a leaf is a tensor; please report"
    shape = [size or 0 for size in type_.shape or ()]
    count = math.prod(shape)
    return rest[:count].reshape(shape), rest[count:]
