# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is done with the values of one type again and again, made once for the type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from foedus.types._containers import PythonValue, maker
from foedus.types._types import STRING, Array, Sequence, Struct, Tensor, Type

Plain: TypeAlias = Any
Made = TypeVar("Made")
_MOST = 512

_takers: dict[int, tuple[Type, Callable[[PythonValue], Plain]]] = {}
_givers: dict[int, tuple[Type, Callable[[Plain], PythonValue]]] = {}
"""By the identity of the type, for containers take no part in its equality."""


class IrregularError(Exception):
    """A value is not exactly as a computation itself gives values of the type; it may still fit."""


def taker(type_: Type) -> Callable[[PythonValue], Plain]:
    """What takes values apart that are as a computation gives them, and raises ``IrregularError`` else."""
    return _made_once(_takers, type_, _make_taker)


def giver(type_: Type) -> Callable[[Plain], PythonValue]:
    """What puts plain values into the containers that a type remembers."""
    return _made_once(_givers, type_, _make_giver)


def _made_once(made: dict[int, tuple[Type, Made]], type_: Type, make: Callable[[Type], Made]) -> Made:
    found = made.get(id(type_))
    if found is None or found[0] is not type_:
        if len(made) >= _MOST:
            made.clear()
        found = made[id(type_)] = (type_, make(type_))
    return found[1]


def _make_taker(type_: Type) -> Callable[[PythonValue], Plain]:
    if isinstance(type_, Tensor) and type_.dtype != STRING:
        return _taker_of_numbers(type_)
    if not isinstance(type_, Struct) or type_.container is None:
        return _take_nothing
    container: type[object] = type_.container
    if issubclass(container, tuple | list):
        return _taker_of_places(type_)
    return _taker_of_names(type_) if issubclass(container, dict | type(None)) else _take_nothing


def _taker_of_numbers(type_: Tensor) -> Callable[[PythonValue], Array]:
    dtype, shape, scalar = type_.dtype, type_.shape, type_.dtype.type

    def take(value: PythonValue) -> Array:
        if type(value) is np.ndarray and value.dtype == dtype and value.shape == shape:
            return value
        if type(value) is scalar and shape == ():
            return np.asarray(value)
        raise IrregularError

    return take


def _taker_of_places(type_: Struct) -> Callable[[PythonValue], Plain]:
    container, inner = type_.container, [_make_taker(t) for _, t in type_.fields]

    def take(value: PythonValue) -> Plain:
        if type(value) is not container or len(value) != len(inner):
            raise IrregularError
        return tuple([own(item) for own, item in zip(inner, value, strict=True)])

    return take


def _taker_of_names(type_: Struct) -> Callable[[PythonValue], Plain]:
    container, inner = type_.container, [(name, _make_taker(t)) for name, t in type_.fields]

    def take(value: PythonValue) -> Plain:
        if type(value) is not container or len(value or ()) != len(inner):
            raise IrregularError
        if any(name not in value for name, _ in inner):
            raise IrregularError
        return tuple([own(value[name]) for name, own in inner])

    return take


def _take_nothing(_: PythonValue) -> Plain:
    raise IrregularError


def _make_giver(type_: Type) -> Callable[[Plain], PythonValue]:
    match type_:
        case Struct(fields):
            make, inner = maker(type_), [_make_giver(t) for _, t in fields]
            return lambda value: make([own(item) for own, item in zip(inner, value, strict=True)])
        case Tensor(dtype):
            return _give_strings if dtype == STRING else _give_numbers
        case Sequence(element):
            own = _make_giver(element)
            return lambda value: [own(item) for item in value]
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def _give_numbers(value: Plain) -> PythonValue:
    array = np.asarray(value)
    return array[()] if array.ndim == 0 else array


def _give_strings(value: Plain) -> PythonValue:
    array = np.asarray(value, dtype=object)
    return str(array[()]) if array.ndim == 0 else array
