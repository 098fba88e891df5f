# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Host code: plain Python over NumPy values, for what no array framework can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from foedus.foreign import LocalFunction, kind
from foedus.lang._computation import Computation
from foedus.lang._current import active
from foedus.lang._trace import Tracer, fn_name, leave_local_code, parameter_names, to_node
from foedus.types import PythonValue, Struct, Type, to_type


@final
class HostFunction:
    """A Python function that runs as it is, on NumPy values and strings; see ``host``."""

    def __init__(self, fn: LocalFunction, returns: Type) -> None:
        self.fn = fn
        self.returns = returns
        self._names = parameter_names(fn)

    def at_type(self, parameter: Type | None) -> Computation:
        """The function as a computation for one type of argument."""
        return Computation(kind("numpy").trace(self, parameter), fn_name(self.fn))

    def __call__(self, *arguments: PythonValue) -> PythonValue:
        leave_local_code()
        if not isinstance(active(), Tracer):
            return self.fn(*arguments)
        nodes = [to_node(argument) for argument in arguments]
        if len(nodes) <= 1:
            return self.at_type(nodes[0].type if nodes else None)(*arguments)
        parameter = Struct(tuple((name, node.type) for name, node in zip(self._names, nodes, strict=True)))
        return self.at_type(parameter)(*arguments)

    def __repr__(self) -> str:
        return f"<host function {fn_name(self.fn)} returning {self.returns}>"


def host(*, returns: object) -> Callable[[LocalFunction], HostFunction]:
    """Marks a Python function as host code: it is run as it is, once for each client, and never compiled.

    For strings, hashing, parsing, and whatever else JAX cannot trace. Arrays arrive as NumPy arrays, strings
    as ``str``, sequences as something to iterate over. Explanations list host code, since it makes a stage
    slow.

    Args:
        returns: The type of the result, as ``foedus.types.to_type`` takes it. What the function returns is
            checked.

    Returns:
        A decorator. The result can be given to an operator, or called inside a computation or outside of one.

    Example:
        >>> @host(returns="int32")
        ... def length(text):
        ...     return len(text)
        >>> length("word")
        4
    """
    result = to_type(returns)
    return lambda fn: HostFunction(fn, result)
