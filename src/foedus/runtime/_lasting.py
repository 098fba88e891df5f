# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values that outlive the stage that computes them: arrays with one row a member, or lists where no
array can hold them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, final

import jax
import numpy as np

from foedus.data import Elements, to_member
from foedus.runtime._leaves import settled
from foedus.types import SERVER, STRING, Federated, Sequence, Struct, Tensor, Type


@final
class Listed:
    """One value for each member that no array can hold: strings, sequences, arrays of different shapes."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values


@final
class Late:
    """A value that is made when it is asked for, and once."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, make: Callable[[], Any]) -> None:
        self.stands_for_it = np.zeros(shape, dtype)
        self._make = make
        self._made: Any = None

    def get(self) -> Any:
        """The value."""
        if self._made is None:
            self._made = self._make()
        return self._made


def at_last(value: Any) -> Any:
    """A value, made now if it is late."""
    return value.get() if isinstance(value, Late) else value


def joined(values: list[Any]) -> Any:
    """One value for each member, as arrays ``[members, ...]`` if it can be."""
    if not values or not all(map(fits, values)):
        return Listed(values)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(value)] for value in values]
    if any(own != shapes[0] for own in shapes):
        return Listed(values)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *values)


def one_of(value: Any, index: int) -> Any:
    return (
        value.values[index]
        if isinstance(value, Listed)
        else jax.tree.map(lambda x: np.asarray(x)[index], value)
    )


def settle(value: Any, type_: Type | None) -> Any:
    """A native value in a form that outlives its stage: sequences as ``Elements``."""
    member = type_.member if isinstance(type_, Federated) else type_
    if isinstance(member, Struct) and isinstance(value, tuple):
        return tuple(settle(item, t) for (_, t), item in zip(member.fields, value, strict=True))
    if isinstance(member, Sequence) and not isinstance(value, Elements):
        return to_member([settled(element) for element in value], member, "a sequence")
    return settled(value)


def fits(value: Any) -> bool:
    """Whether a plain value can be an argument of compiled code."""
    if isinstance(value, tuple):
        return all(fits(item) for item in value)
    return hasattr(value, "dtype") and np.dtype(value.dtype).kind not in "OUS"


@lru_cache(maxsize=256)
def all_numbers(type_: Type) -> bool:
    """Whether compiled code can take every value at the server of a type; what is below it counts for
    nothing.
    """
    match type_:
        case Federated(member, placement, all_equal):
            return (placement != SERVER and not all_equal) or all_numbers(member)
        case Struct(fields):
            return all(all_numbers(t) for _, t in fields)
        case Tensor(dtype):
            return dtype != STRING
        case _:
            return False


def numbers_only(value: Any) -> Any:
    """What of a plain value compiled code can take; what it cannot, it does not use."""
    if isinstance(value, tuple):
        return tuple(numbers_only(item) for item in value)
    return value if fits(value) else ()
