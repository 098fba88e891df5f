# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Computations with TFF's face: they have a ``type_signature``, take data sets, and give strings as bytes."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

import numpy as np

from foedus import lang
from foedus.errors import TracingError, TypeMismatchError, place
from foedus.ir import Node
from foedus.lang import in_local_code, is_tracing
from foedus.tff import structure
from foedus.tff._datasets_at_clients import cohort_of_datasets
from foedus.tff.types import FunctionType, Type, foedus_type, view
from foedus.types import (
    CLIENTS,
    STRING,
    Federated,
    Function,
    Sequence,
    Struct,
    Tensor,
    container_of,
    is_assignable,
    pack,
    parts_of,
    walk,
)
from foedus.types import Type as FoedusType


@final
class Computation:
    """A typed program. Calling it runs it; inside another computation it becomes part of that one.

    Args:
        foedus: The same as a computation of Foedus.
        local: What it is inside other local code of its framework; None for a program of the language.
    """

    def __init__(self, foedus: lang.Computation, local: Callable[..., Any] | None = None) -> None:
        self.foedus = foedus
        self._local = local
        self.__name__ = foedus.name

    @property
    def node(self) -> Node:
        """The program."""
        return self.foedus.node

    @property
    def type(self) -> Function:
        """Its type, as Foedus has it."""
        return self.foedus.type

    @property
    def type_signature(self) -> FunctionType:
        """Its type."""
        made = view(self.foedus.type)
        assert isinstance(made, FunctionType)
        return made

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if in_local_code() and self._local is not None:
            return self._local(*arguments, **named)
        if in_local_code() or is_tracing():
            return self.foedus(*arguments, **named)
        given, others = _to_foedus(self.type.parameter, arguments, named)
        return _from_foedus(self.foedus(*given, **others), self.type.result)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Computation) and self.foedus == other.foedus

    def __hash__(self) -> int:
        return hash(self.foedus)

    def __repr__(self) -> str:
        return f"<tff.Computation {self.__name__} of type {self.type_signature}>"

    def __str__(self) -> str:
        return str(self.foedus)


@final
class PolymorphicComputation:
    """A computation for arguments of any type: traced anew for each."""

    def __init__(
        self, foedus: lang.PolymorphicComputation | lang.TensorflowFunction, local: Callable[..., Any] | None
    ) -> None:
        self._foedus = foedus
        self._local = local
        self.__name__ = str(getattr(foedus, "__name__", "computation"))

    def at_type(self, parameter: FoedusType | None) -> lang.Computation:
        """As Foedus asks for it."""
        return self._foedus.at_type(parameter)

    def fn_for_argument_type(self, arg_type: Any) -> Computation:
        """The computation for one type of argument."""
        parameter = None if arg_type is None else foedus_type(arg_type)
        return Computation(self._foedus.at_type(parameter), self._local)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if in_local_code() and self._local is not None:
            return self._local(*arguments, **named)
        if in_local_code() or is_tracing():
            return self._foedus(*arguments, **named)
        runnable = self._foedus
        if isinstance(runnable, lang.TensorflowFunction):
            runnable = lang.computation(runnable)
        return _bytes_of_strings(runnable(*arguments, **named))

    def __repr__(self) -> str:
        return f"<polymorphic tff.Computation {self.__name__}>"


@final
class InnerComputation:
    """A computation that uses values of the one around it, and is a part of it.

    Args:
        fn: The function.
        types: The types of its arguments.
    """

    def __init__(self, fn: Callable[..., Any], types: list[FoedusType]) -> None:
        self.__wrapped__ = fn
        self._types = types

    def __call__(self, *arguments: Any) -> Any:
        for value, type_ in zip(arguments, self._types, strict=False):
            if isinstance(value, lang.Value) and not is_assignable(type_, value.type):
                raise TypeMismatchError(
                    f"Expected {view(value.type)} to be assignable to {view(type_)}.",
                    found=value.type,
                    expected=type_,
                    at=place(f"an argument of {self.__wrapped__.__name__!r}"),
                )
        return self.__wrapped__(*arguments)


def _to_foedus(
    parameter: FoedusType | None, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if parameter is None:
        return arguments, named
    if len(arguments) == 1 and not named:
        return (_argument(arguments[0], parameter),), named
    if not isinstance(parameter, Struct):
        return arguments, named
    types = [t for _, t in parameter.fields]
    by_name = {name: t for name, t in parameter.fields if name is not None}
    given = tuple(_argument(value, t) for value, t in zip(arguments, types, strict=False))
    spare = arguments[len(types) :]
    others = {n: _argument(value, by_name[n]) if n in by_name else value for n, value in named.items()}
    return (*given, *spare), others


def _argument(value: Any, type_: FoedusType) -> Any:
    match type_:
        case Federated(Sequence(element), placement, False) if placement == CLIENTS:
            return cohort_of_datasets(value, element)
        case _ if isinstance(value, structure.Struct):
            return _argument(structure.to_odict_or_tuple(value), type_)
        case Struct(fields) if isinstance(value, tuple | list) and len(value) == len(fields):
            items = [_argument(item, t) for item, (_, t) in zip(value, fields, strict=True)]
            return pack(Struct(type_.fields, container_of(value)), items)
        case _:
            return value


def _from_foedus(value: Any, type_: FoedusType) -> Any:
    strings = any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(type_))
    return _bytes_of_strings(value) if strings else value


def _bytes_of_strings(value: Any) -> Any:
    """A result with its strings as TFF gives them back."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        flat = [_bytes_of_strings(item) for item in value.ravel()]
        made = value.copy()
        made.ravel()[:] = flat
        return made
    parts = None if hasattr(value, "dtype") else parts_of(value)
    if not parts:
        return value
    fields = tuple((name, Tensor(STRING)) for name, _ in parts)
    return pack(Struct(fields, container_of(value)), [_bytes_of_strings(item) for _, item in parts])


def _is_spec(value: object) -> bool:
    return isinstance(value, Type | type) or not callable(value) or hasattr(value, "dtype")


def _wrapped(found: Any, local: Callable[..., Any] | None = None) -> Any:
    if isinstance(found, lang.Computation):
        _refuse_nothing(found)
        return Computation(found, local)
    return PolymorphicComputation(found, local)


def _refuse_nothing(found: lang.Computation) -> None:
    """Raises where local code returns None, which Foedus takes for an empty struct, and TFF does not take."""
    result = found.type.result
    if isinstance(result, Struct) and result.container is type(None):
        raise TracingError(f"The function {found.name!r} returns nothing", at=place("while it was traced"))


def _decorating(specs: tuple[Any, ...], make: Callable[[Any, list[Any]], Any]) -> Any:
    if specs and not _is_spec(specs[0]):
        return make(specs[0], _types(specs[0], specs[1:]))
    return lambda fn: make(fn, _types(fn, specs))


def _types(fn: Any, specs: tuple[Any, ...]) -> list[FoedusType]:
    """The types of a function's arguments; TFF also takes them as one list or struct, and None for none."""
    if len(specs) == 1 and specs[0] is None:
        return []
    types = [foedus_type(spec) for spec in specs]
    count = len(inspect.signature(fn).parameters)
    if len(types) == 1 and count != 1 and isinstance(types[0], Struct) and len(types[0].fields) == count:
        return [t for _, t in types[0].fields]
    return types


def federated_computation(*specs: Any) -> Any:
    """Makes a Python function a computation of the language; used as a decorator, with or without types.

    Args:
        *specs: The types of its arguments, or the function and then the types.

    Returns:
        A ``Computation``, or what is one for each type of argument where no types are given.
    """
    return _decorating(specs, _program)


def _program(fn: Any, types: list[FoedusType]) -> Any:
    if is_tracing() and _uses_values(fn):
        return InnerComputation(fn, types)
    return _wrapped(lang.program(fn, *types))


def _uses_values(fn: Any) -> bool:
    """Whether a function takes values from the computation around it instead of from its arguments."""
    waiting, seen = [fn], set[int]()
    while waiting:
        captured = waiting.pop()
        if isinstance(captured, lang.Value | InnerComputation):
            return True
        if id(captured) not in seen:
            seen.add(id(captured))
            waiting += _held(captured)
    return False


def _held(value: Any) -> Iterator[Any]:
    """What a container holds, or what a function takes from the functions around it."""
    if isinstance(value, Mapping):
        yield from value.values()
        return
    if isinstance(value, list | tuple):
        yield from value
        return
    for cell in getattr(inspect.unwrap(value), "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # of a name that has no value yet
            yield cell.cell_contents


def tf_computation(*specs: Any) -> Any:
    """Makes a Python function over tensors of TensorFlow a computation; used as a decorator, with or without
    types. It needs the extra ``tensorflow``.

    Args:
        *specs: The types of its arguments, or the function and then the types.

    Returns:
        A ``Computation``, or what is one for each type of argument where no types are given.
    """

    def make(fn: Any, types: list[FoedusType]) -> Any:
        marked = lang.tensorflow(fn)
        if types or not inspect.signature(fn).parameters:
            return _wrapped(lang.computation(marked, *types), marked)
        return PolymorphicComputation(marked, marked)

    return _decorating(specs, make)


def jax_computation(*specs: Any) -> Any:
    """Makes a Python function over arrays of JAX a computation; used as a decorator, with or without types.

    Args:
        *specs: The types of its arguments, or the function and then the types.

    Returns:
        A ``Computation``, or what is one for each type of argument where no types are given.
    """
    return _decorating(specs, lambda fn, types: _wrapped(lang.computation(fn, *types)))
