# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow code: Python functions over tensors, strings and data sets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import final, overload

from foedus.errors import TracingError, place
from foedus.foreign import LocalFunction, Way, kind
from foedus.lang._computation import Computation
from foedus.lang._current import active, use
from foedus.lang._trace import (
    LanguageUsed,
    LeafGuard,
    Tracer,
    fn_name,
    leave_local_code,
    parameter_names,
    to_node,
)
from foedus.types import PythonValue, Struct, Type


class _TensorflowGuard(LeafGuard):
    """The interpreter while TensorFlow traces: its functions may call each other, and nothing else."""


@final
class TensorflowFunction:
    """A Python function that TensorFlow traces; see ``tensorflow``."""

    __name__: str

    def __init__(self, fn: LocalFunction, way: Way | None = None) -> None:
        self.fn = fn
        self.way = way
        functools.update_wrapper(self, fn)

    def at_type(self, parameter: Type | None) -> Computation:
        """The function as a computation for one type of argument."""
        try:
            with use(_TensorflowGuard()):
                return Computation(
                    kind("tensorflow").trace(self.fn, parameter, way=self.way), fn_name(self.fn)
                )
        except LanguageUsed:
            raise TracingError(
                f"The TensorFlow code {fn_name(self.fn)!r} uses the language, or calls a computation",
                expected="operations of TensorFlow, and other functions marked with @tensorflow",
                at=place(),
                hint="call operators in a computation around it, which gives it their results",
            ) from None

    def __call__(self, *arguments: PythonValue) -> PythonValue:
        if isinstance(active(), _TensorflowGuard):
            return self.fn(*arguments)
        leave_local_code()
        if not isinstance(active(), Tracer):
            return self.fn(*arguments)
        nodes = [to_node(argument) for argument in arguments]
        if len(nodes) <= 1:
            return self.at_type(nodes[0].type if nodes else None)(*arguments)
        names = parameter_names(self.fn)
        parameter = Struct(tuple((name, node.type) for name, node in zip(names, nodes, strict=True)))
        return self.at_type(parameter)(*arguments)

    def __repr__(self) -> str:
        return f"<TensorFlow function {fn_name(self.fn)}>"


@overload
def tensorflow(fn: LocalFunction, *, way: Way | None = None) -> TensorflowFunction: ...


@overload
def tensorflow(*, way: Way | None) -> Callable[[LocalFunction], TensorflowFunction]: ...


def tensorflow(
    fn: LocalFunction | None = None, *, way: Way | None = None
) -> TensorflowFunction | Callable[[LocalFunction], TensorflowFunction]:
    """Marks a Python function as TensorFlow code; it needs the extra ``tensorflow``.

    It is traced once for each type of argument, as by ``tf.function``, and runs as one compiled graph for
    every client. Tensors arrive as tensors, strings as tensors of strings, structs in their containers, and
    sequences as ``tf.data.Dataset``; it returns the same. A random key, ``uint32[2]``, becomes a seed by
    ``tf.bitcast(key, tf.int32)``.

    What it captures is frozen when it is traced: tensors, variables and lookup tables that it only reads. It
    may not change them; variables that it makes itself are new in every call.

    The local runtime lowers code over numbers to XLA, together with the rest of a round, where XLA computes
    the same; else TensorFlow runs it natively, one client after another. ``foedus.explain`` says which, and
    why. The reference runtime always runs it natively.

    Args:
        fn: The function; if not given, a decorator is returned.
        way: Which way the local runtime is to run it; None for the one that suits. It travels with the code.

    Returns:
        A function that can be given to an operator or to ``computation``, or be called inside a computation
        or outside of one.

    Raises:
        TracingError: When it becomes a leaf, if it was told to be lowered and cannot be.

    Example:
        >>> @tensorflow
        ... def over(reading, threshold):
        ...     return reading > threshold
        >>> over(70.5, 69.0)
        True
    """
    if fn is None:
        return lambda later: TensorflowFunction(later, way)
    return TensorflowFunction(fn, way)
