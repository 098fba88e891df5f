# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Tracing: running a Python function on symbolic values to get a program."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import NoReturn, cast

from foedus.errors import (
    FoedusError,
    StructureError,
    TracingError,
    failing_line,
    place,
    raised_by_user,
)
from foedus.foreign import LocalFunction, kind
from foedus.intrinsics import result_type
from foedus.ir import Block, Call, Intrinsic, Lambda, Node, Record, Reference, Selection, constant
from foedus.lang._current import active, current, use
from foedus.types import (
    Federated,
    Function,
    PlacementLiteral,
    Struct,
    Type,
    container_of,
    names_of,
    parts_of,
    walk,
)


class LanguageUsed(BaseException):
    """Raised through a front end when local code turns out to use the language's operators."""


class LeafGuard:
    """The interpreter while a front end traces: any use of the language ends the attempt."""

    def apply(self, function: Node, argument: object) -> NoReturn:
        raise LanguageUsed


class Scope:
    """A computation that is being traced: its name, and the numbers of what it binds, itself and in the
    functions inside it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers = itertools.count(1)


class Tracer:
    """Records calls as the bindings of a block."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.bindings: list[tuple[str, Node]] = []

    def apply(self, function: Node, argument: object) -> Value:
        return self.bind(Call(function, cast("Node | None", argument)))

    def bind(self, node: Node) -> Value:
        """Gives a node a name, so that it is computed once however often it is used."""
        name = f"v{next(self.scope.numbers)}"
        self.bindings.append((name, node))
        return Value(Reference(name, node.type))

    def close(self, result: Node) -> Node:
        """The block of everything recorded."""
        return Block(tuple(self.bindings), result) if self.bindings else result


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Value, *_: object) -> NoReturn:
        raise TracingError(
            f"{what} a value of the language is local code",
            found=self.type,
            expected="an operator of the language, such as federated_map",
            at=place(),
            hint="do it in a function given to federated_map, and do not mix operators and arithmetic "
            "in one body",
        )

    return refuse


class Value:
    """A value of a program that is being traced. It has fields and can be called; it has no numbers."""

    __slots__ = ("_node", "_scope")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._scope = _tracer().scope

    @property
    def node(self) -> Node:
        """What it is in the program that is being traced.

        Raises:
            TracingError: If it belongs to another program.
        """
        scope = _tracer().scope
        if scope is not self._scope:
            raise TracingError(
                f"The computation {scope.name!r} uses a value of the computation {self._scope.name!r}",
                found=self.type,
                at=place(),
                hint="give it the value as an argument, or leave out @computation",
            )
        return self._node

    @property
    def type(self) -> Type:
        """Its type."""
        return self._node.type

    @property
    def type_signature(self) -> Type:
        """Its type, by the name that programs for TensorFlow Federated ask for it."""
        return self._node.type

    def __repr__(self) -> str:
        return f"<a value of type {self.type}>"

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        struct = _struct(self, f"the field {name!r}")
        names = [field for field, _ in struct.fields]
        if name not in names:
            raise StructureError(
                f"There is no field {name!r}", found=f"fields {names_of(struct)}", at=place()
            )
        return _select(self, names.index(name))

    def __getitem__(self, key: int | str | slice) -> Value | tuple[Value, ...]:
        if isinstance(key, str):
            return self.__getattr__(key)
        indices = range(len(_struct(self, "an item").fields))
        if isinstance(key, slice):
            return tuple(_select(self, i) for i in indices[key])
        try:
            return _select(self, indices[key])
        except IndexError:
            raise StructureError(f"There is no field {key}", found=self.type, at=place()) from None

    def __iter__(self) -> Iterator[Value]:
        return iter([_select(self, i) for i in range(len(self))])

    def __len__(self) -> int:
        return len(_struct(self, "a length").fields)

    def __call__(self, *arguments: object) -> Value:
        if not isinstance(self.type, Function):
            raise TracingError("Only a function can be called", found=self.type, at=place())
        nodes = [to_node(argument) for argument in arguments]
        packed = nodes[0] if len(nodes) == 1 else Record(tuple((None, node) for node in nodes))
        return _tracer().apply(self.node, packed if nodes else None)

    __bool__ = _refuse("Deciding by")
    __array__ = _refuse("Making an array of")
    __jax_array__ = _refuse("Making an array of")
    __add__ = __radd__ = __sub__ = __rsub__ = _refuse("Adding or subtracting")
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse("Multiplying or dividing")
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = __abs__ = _refuse("Arithmetic on")
    __lt__ = __le__ = __gt__ = __ge__ = _refuse("Comparing")
    __float__ = __int__ = __index__ = _refuse("Reading")


def _struct(value: Value, what: str) -> Struct:
    type_ = value.type
    member = type_.member if isinstance(type_, Federated) else type_
    if not isinstance(member, Struct):
        raise TracingError(
            f"Only a struct has fields: {what} was asked for",
            found=type_,
            at=place(),
            hint="what is not an operator of the language belongs into a function given to federated_map",
        )
    return member


def _select(value: Value, index: int) -> Value:
    type_ = value.type
    if not isinstance(type_, Federated):
        return Value(Selection(value.node, index))
    member = type_.member
    name = f"p{next(_tracer().scope.numbers)}"
    selector = Lambda(name, member, Selection(Reference(name, member), index))
    return operate("federated_map", Record((("fn", selector), ("value", value.node))))


def _tracer() -> Tracer:
    leave_local_code()
    interpreter = current()
    if not isinstance(interpreter, Tracer):
        raise TracingError(
            "The operators of the language are used inside a computation",
            at=place(),
            hint="put them into a function with @computation(...) and call it",
        )
    return interpreter


def operate(name: str, argument: Node, placement: PlacementLiteral | None = None) -> Value:
    """Applies an operator of the table inside a trace.

    Args:
        name: The operator.
        argument: Its argument.
        placement: The placement asked for, where it has one.

    Returns:
        The result.
    """
    tracer = _tracer()
    result = result_type(name, argument.type, placement)
    return tracer.apply(Intrinsic(name, Function(argument.type, result)), argument)


def leave_local_code() -> None:
    """Ends a front end's attempt to trace, if one is under way: the body uses the language."""
    if isinstance(active(), LeafGuard):
        raise LanguageUsed


def is_tracing() -> bool:
    """Whether the body of a computation is being traced as a program of the language."""
    return isinstance(active(), Tracer)


def in_local_code() -> bool:
    """Whether a front end is tracing local code, in which the language cannot be used."""
    return isinstance(active(), LeafGuard)


def require_trace() -> None:
    """Raises unless a computation is being traced."""
    _tracer()


def to_node(value: object) -> Node:
    """The node of anything that can stand in a program: symbolic values, containers of such, constants."""
    if isinstance(value, Value):
        return value.node
    node = getattr(value, "node", None)
    if node is not None and isinstance(getattr(node, "type", None), Function):
        return cast("Node", node)
    parts = parts_of(value)
    if parts is not None:
        return Record(tuple((name, to_node(item)) for name, item in parts), container_of(value))
    return constant(value)


def parameter_names(fn: LocalFunction) -> list[str]:
    """The names of a function's parameters.

    Raises:
        TracingError: If it has defaults, or takes ``*`` or ``**`` or keyword-only arguments.
    """
    parameters = inspect.signature(fn).parameters.values()
    for parameter in parameters:
        plain = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if not plain or parameter.default is not parameter.empty:
            raise TracingError(
                f"The parameter {parameter} cannot become part of a program's type",
                expected="plain parameters without defaults, *, ** or keyword-only ones",
                at=place(f"the function {fn_name(fn)!r}"),
            )
    return [parameter.name for parameter in parameters]


def fn_name(fn: object) -> str:
    """What a function is called in an error's text."""
    return str(getattr(fn, "__name__", type(fn).__name__))


def trace_language(fn: LocalFunction, parameter: Type | None, *, spread: int) -> Lambda:
    """Traces a function as a program of the language.

    Args:
        fn: The function.
        parameter: The type of its argument, None where it takes none.
        spread: Into how many arguments the fields of the parameter are spread, 1 where it is passed whole.

    Returns:
        The program.

    Raises:
        TracingError: If the function returns nothing.
    """
    outer = active()
    tracer = Tracer(outer.scope if isinstance(outer, Tracer) else Scope(fn_name(fn)))
    name = None if parameter is None else f"p{next(tracer.scope.numbers)}"
    with use(tracer):
        value = () if parameter is None or name is None else (Value(Reference(name, parameter)),)
        result = _called(fn, tuple(value[0]) if value and spread != 1 else value)
        if result is None:
            raise TracingError(
                f"The function {fn_name(fn)!r} returns nothing", at=place("while it was traced")
            )
        body = tracer.close(to_node(result))
    return Lambda(name, parameter, body)


def _called(fn: LocalFunction, arguments: tuple[Value, ...]) -> object:
    """Calls a function on symbolic values; what a library says about them becomes an error of ours."""
    try:
        return fn(*arguments)
    except FoedusError:
        raise
    except (TypeError, ValueError) as error:
        if raised_by_user(error):
            raise
        raise TracingError(
            f"{fn_name(fn)!r} gives a value of the language to a function that takes none",
            found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            at=failing_line(error),
            hint="do it in a function given to federated_map, and do not mix operators and arithmetic "
            "in one body",
        ) from error


def _is_local(parameter: Type | None) -> bool:
    return parameter is None or not any(isinstance(t, Federated | Function) for t in walk(parameter))


def to_function(fn: object, parameter: Type | None, what: str) -> Node:
    """Turns what was given to an operator as a function into a node of function type.

    A Python function becomes a program of the language if its body uses the language, else local code of the
    front end; see the spec, "Whose lambda?".

    Args:
        fn: A Python function, a computation, or a symbolic function.
        parameter: The type it will be applied to, None for nothing.
        what: What it is for, for the error's text.

    Returns:
        The node.

    Raises:
        TracingError: If it is no function or cannot be traced.
    """
    if isinstance(fn, Value):
        return fn.node
    at = getattr(fn, "at_type", None)
    if at is not None:
        fn = at(parameter)
    if hasattr(fn, "node"):
        return to_node(fn)
    if not callable(fn):
        raise TracingError(
            f"{what} needs a function", found=f"{type(fn).__name__}", at=place(), expected="a Python function"
        )
    if _is_local(parameter):
        try:
            with use(LeafGuard()):
                return kind("jax").trace(fn, parameter)
        except LanguageUsed:
            pass
    return to_program(fn, parameter, what)


def to_program(fn: LocalFunction, parameter: Type | None, what: str) -> Node:
    """Traces a Python function as a program of the language, spreading a struct over its parameters.

    Args:
        fn: The function.
        parameter: The type it will be applied to, None for nothing.
        what: What it is for, for the error's text.

    Returns:
        The program.

    Raises:
        TracingError: If it takes another number of arguments, or cannot be traced.
    """
    names = parameter_names(fn)
    return trace_language(fn, parameter, spread=_spread(names, parameter, fn, what))


def _spread(names: list[str], parameter: Type | None, fn: object, what: str) -> int:
    if parameter is None and not names:
        return 0
    if parameter is not None and len(names) == 1:
        return 1
    if isinstance(parameter, Struct) and len(parameter.fields) == len(names):
        return len(names)
    raise TracingError(
        f"The function {fn_name(fn)!r} takes {len(names)} arguments",
        found=", ".join(names) or "none",
        expected=f"one argument of type {parameter}" if parameter is not None else "no argument",
        at=place(what),
    )
