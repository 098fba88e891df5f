# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Computations: typed programs that can be called."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast, final

from foedus.data import argument_type
from foedus.errors import RetracingWarning, TracingError, describe_line, is_users_code, place
from foedus.foreign import LocalFunction
from foedus.ir import Node, check, show_program_lines
from foedus.lang._current import apart, current
from foedus.lang._trace import (
    Tracer,
    fn_name,
    leave_local_code,
    parameter_names,
    to_function,
    to_node,
    to_program,
)
from foedus.types import Function, PythonValue, Struct, Type, to_type, walk

_MOST_KEPT = 128
_MANY_TRACES = 50
_MOST_COUNTED = 1024
_times_traced: dict[tuple[object, tuple[Type, ...]], int] = {}


@final
class Computation:
    """A typed program of the language.

    It is data: print it, compare it, explain it, run it anywhere. Calling it runs it in the current runtime,
    or, inside another computation, makes it part of that one.

    Args:
        node: A closed, well-typed program of function type.
        name: What it is called in errors.
    """

    __slots__ = ("__weakref__", "_names", "name", "node")

    def __init__(self, node: Node, name: str) -> None:
        if not isinstance(node.type, Function):
            raise TracingError("A computation is a function", found=node.type, at=place())
        check(node)
        self.node: Final = node
        self.name: Final = name
        parameter = node.type.parameter
        fields = parameter.fields if isinstance(parameter, Struct) else ()
        self._names: Final = [field for field, _ in fields]

    @property
    def type(self) -> Function:
        """The type of the program."""
        assert isinstance(self.node.type, Function)
        return self.node.type

    def __call__(self, *arguments: PythonValue, **named: PythonValue) -> PythonValue:
        leave_local_code()
        interpreter = current()
        argument = self._argument(arguments, named)
        if isinstance(interpreter, Tracer):
            return interpreter.apply(self.node, None if self.type.parameter is None else to_node(argument))
        return interpreter.apply(self.node, argument)

    def _argument(self, arguments: tuple[PythonValue, ...], named: dict[str, PythonValue]) -> PythonValue:
        parameter = self.type.parameter
        if parameter is None and not arguments and not named:
            return None
        if parameter is not None and len(arguments) == 1 and not named:
            return arguments[0]
        names = self._names
        bound = dict(zip(names, arguments, strict=False)) | named
        count = len(arguments) + len(named)
        if parameter is None or count != len(names) or (named and set(bound) != set(names)):
            raise TracingError(
                f"{self.name} was called with {count} arguments",
                found=", ".join([*("a value" for _ in arguments), *named]) or "none",
                expected="no argument" if parameter is None else str(parameter),
                at=place(f"calling {self.name!r}"),
            )
        return arguments if None in names else OrderedDict((name, bound[name]) for name in names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Computation) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __repr__(self) -> str:
        return f"<computation {self.name} of type {self.type}>"

    def __str__(self) -> str:
        return show_program_lines(self.node)


@final
class PolymorphicComputation:
    """A computation for arguments of any type: traced anew for each."""

    def __init__(self, fn: LocalFunction, trace: Callable[..., Node]) -> None:
        self._fn = fn
        self._trace = trace
        self._parameters = parameter_names(fn)
        self._traced: dict[tuple[object, ...], Computation] = {}

    def at_type(self, parameter: Type | None) -> Computation:
        """The computation for one type of argument.

        Args:
            parameter: The type; the one argument's, or a struct of several arguments'.

        Returns:
            The computation, traced at most once per type.
        """
        containers = (
            () if parameter is None else tuple(getattr(t, "container", None) for t in walk(parameter))
        )
        found = self._traced.get((parameter, containers))
        if found is None:
            found = _closed(self._fn, parameter, self._trace)
            if len(self._traced) >= _MOST_KEPT:
                self._traced.pop(next(iter(self._traced)))
            self._traced[(parameter, containers)] = found
        return found

    def __call__(self, *arguments: PythonValue, **named: PythonValue) -> PythonValue:
        leave_local_code()
        values = list(arguments) + [
            named[name] for name in self._parameters[len(arguments) :] if name in named
        ]
        if len(values) != len(self._parameters) or len(arguments) + len(named) != len(values):
            raise TracingError(
                f"{fn_name(self._fn)} was called with {len(arguments) + len(named)} arguments",
                expected=f"{len(self._parameters)}: {', '.join(self._parameters)}",
                at=place(),
            )
        types = [self._type_of(value) for value in values]
        if len(values) == 1:
            return self.at_type(types[0])(values[0])
        parameter = Struct(tuple(zip(self._parameters, types, strict=True))) if values else None
        return self.at_type(parameter)(*values)

    @staticmethod
    def _type_of(value: PythonValue) -> Type:
        return to_node(value).type if isinstance(current(), Tracer) else argument_type(value)

    def __repr__(self) -> str:
        return f"<polymorphic computation {fn_name(self._fn)}({', '.join(self._parameters)})>"


Traced: TypeAlias = Computation | PolymorphicComputation
"""What a Python function becomes, with types or without."""


def _note_tracing(fn: LocalFunction, types: tuple[Type, ...]) -> None:
    """Warns where one function is made a computation again and again, each time to be traced and compiled
    anew.
    """
    code = getattr(fn, "__code__", None)
    if code is None or not is_users_code(code.co_filename):
        return
    key = (code, types)
    _times_traced[key] = _times_traced.get(key, 0) + 1
    if _times_traced[key] == _MANY_TRACES:
        where = describe_line(code.co_filename, code.co_firstlineno)
        warnings.warn(
            f"The function {fn_name(fn)!r} ({where}) has been made a computation "
            f"{_MANY_TRACES} times at the same types, and is traced and compiled anew each time; "
            "make it one once, outside of the loop",
            RetracingWarning,
            stacklevel=4,
        )
    if len(_times_traced) > _MOST_COUNTED:
        _times_traced.pop(next(iter(_times_traced)))


def _traced(fn: LocalFunction, specs: tuple[object, ...], trace: Callable[..., Node]) -> Traced:
    names = parameter_names(fn)
    if names and not specs:
        return PolymorphicComputation(fn, trace)
    if len(names) != len(specs):
        raise TracingError(
            f"The function {fn_name(fn)!r} has {len(names)} parameters and {len(specs)} types",
            found=", ".join(names) or "no parameters",
            expected="one type a parameter",
            at=place(),
        )
    types = [to_type(spec) for spec in specs]
    _note_tracing(fn, tuple(types))
    if len(types) > 1:
        parameter: Type | None = Struct(tuple(zip(names, types, strict=True)))
    else:
        parameter = types[0] if types else None
    return _closed(fn, parameter, trace)


def _closed(fn: LocalFunction, parameter: Type | None, trace: Callable[..., Node]) -> Computation:
    """The computation of a function, the same wherever it is traced."""
    with apart():
        node = trace(fn, parameter, fn_name(fn))
    return Computation(node, fn_name(fn))


def computation(*specs: object) -> Any:
    """Makes a Python function a computation.

    Used as a decorator with one type a parameter, ``@computation(at_clients(float32), at_server(float32))``;
    without types, ``@computation``, for a function without parameters, or for one that is traced anew for
    each type of argument. The body is run once, on symbolic values, if it uses the language's operators or a
    parameter is placed; otherwise the function is local code.

    Args:
        *specs: Types, or whatever ``foedus.types.to_type`` accepts; or the function itself.

    Returns:
        A ``Computation``, a ``PolymorphicComputation``, or the decorator.

    Raises:
        TracingError: If the function cannot become a program.
    """
    fn, types = _function_first(specs)
    return _decorator(types, to_function) if fn is None else _traced(fn, types, to_function)


def program(*specs: object) -> Traced | Callable[[LocalFunction], Traced]:
    """As ``computation``, for a function that is a program of the language, whatever its body does.

    A body that neither uses an operator nor calls a computation is taken for local code by ``computation``.
    Here it may return what it is given, or constants, strings among them.

    Args:
        *specs: Types, or whatever ``foedus.types.to_type`` accepts; or the function itself.

    Returns:
        A ``Computation``, a ``PolymorphicComputation``, or the decorator.

    Raises:
        TracingError: If the function cannot become a program.

    Example:
        >>> program(lambda: "hello")()
        'hello'
    """
    fn, types = _function_first(specs)
    return _decorator(types, to_program) if fn is None else _traced(fn, types, to_program)


def _function_first(specs: tuple[object, ...]) -> tuple[LocalFunction | None, tuple[object, ...]]:
    """The function, if it comes first, and the types."""
    first = specs[0] if specs else None
    if callable(first) and not isinstance(first, type) and not hasattr(first, "dtype"):
        return cast("LocalFunction", first), specs[1:]
    return None, specs


def _decorator(types: tuple[object, ...], trace: Callable[..., Node]) -> Callable[[LocalFunction], Traced]:
    def decorate(fn: LocalFunction) -> Traced:
        return _traced(fn, types, trace)

    return decorate
