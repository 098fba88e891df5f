# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The current interpreter: what a computation asks when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, cast

from foedus.ir import Node
from foedus.types import PythonValue


class Interpreter(Protocol):
    """Anything that gives calls a meaning: a tracer records them, a runtime computes them."""

    def apply(self, function: Node, argument: PythonValue) -> PythonValue:
        """Applies a function.

        Args:
            function: A closed program of function type, or an operator.
            argument: What it is applied to, None where it takes nothing: Python values for a runtime, a node
                for a tracer.

        Returns:
            The result, of the same sort.
        """
        ...


_current: ContextVar[Interpreter | None] = ContextVar("foedus_interpreter", default=None)
_default: list[Interpreter] = []


def active() -> Interpreter | None:
    """The innermost interpreter that ``use`` put in force; never makes a runtime."""
    return _current.get()


def current() -> Interpreter:
    """The interpreter in force: the innermost ``use``, or the default runtime, made at the first call."""
    interpreter = _current.get()
    if interpreter is not None:
        return interpreter
    if not _default:
        _default.append(cast("Interpreter", importlib.import_module("foedus.runtime").local()))
    return _default[0]


def set_default_runtime(runtime: Interpreter) -> None:
    """Makes computations run in a runtime wherever no other is in force.

    Args:
        runtime: For example ``foedus.runtime.reference()``.
    """
    _default[:] = [runtime]


@contextmanager
def use(interpreter: Interpreter) -> Generator[Interpreter]:
    """Runs computations in a runtime inside a ``with`` block.

    Args:
        interpreter: For example ``foedus.runtime.reference()``.

    Yields:
        The same interpreter.
    """
    token = _current.set(interpreter)
    try:
        yield interpreter
    finally:
        _current.reset(token)


@contextmanager
def apart() -> Generator[None]:
    """Hides the interpreter in force: what is traced inside the block is no part of what is traced around."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
