# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements of what goes into an aggregator and of what comes out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from foedus.aggregators._aggregator import Aggregator
from foedus.errors import ArgumentError, CompositionError, place
from foedus.lang import Value, computation, federated_zip
from foedus.process import Output, Process
from foedus.types import EMPTY, SERVER, Federated, Type, at_clients


@final
@dataclass(frozen=True, slots=True)
class _Measured(Aggregator):
    inner: Aggregator
    of_values: Callable[..., Any] | None
    of_result: Callable[[Any], Any] | None

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        of_values, of_result = self.of_values, self.of_result
        weighted = weight_type != EMPTY
        inner = self.inner.create(value_type, weight_type)
        if of_values is not None:
            names = ("the values", "their weights") if weighted else ("the values",)
            _require_arguments(of_values, "of_values", names)

        @computation(inner.initialize.type.result, at_clients(value_type), at_clients(weight_type))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            done = inner.next(state, value, weight)
            measured = {"inner": done.measurements}
            if of_values is not None:
                found = of_values(value, weight) if weighted else of_values(value)
                measured["values"] = _at_server(found, "of_values")
            if of_result is not None:
                measured["result"] = _at_server(of_result(done.result), "of_result")
            return Output(done.state, done.result, federated_zip(measured))

        return Process(inner.initialize, next_)


def measured(
    inner: Aggregator,
    *,
    of_values: Callable[..., Any] | None = None,
    of_result: Callable[[Any], Any] | None = None,
) -> Aggregator:
    """Adds measurements to those of an aggregator.

    Both functions are traced as part of the program: they use the operators of the language, so that how
    measurements of clients travel is said in them, and shown by ``explain``.

    Args:
        inner: What aggregates.
        of_values: From ``{V}@CLIENTS``, and from ``{W}@CLIENTS`` where there are weights, to measurements at
            the server.
        of_result: From the result at the server to measurements there.

    Returns:
        An aggregator with the result, the state and the weights of ``inner``. Its measurements are
        ``<inner,result,values>``, without the one that is not given.

    Raises:
        ArgumentError: If neither function is given, or ``of_result`` does not take one argument.

    Example:
        >>> import foedus as fd
        >>> from foedus.aggregators import mean, measured
        >>> process = measured(mean(), of_values=fd.federated_max).create(fd.float32)
        >>> float(process.next(process.initialize(), [1.0, 5.0], [(), ()]).measurements["values"])
        5.0
    """
    if of_values is None and of_result is None:
        raise ArgumentError(
            "There is nothing to measure", expected="of_values, of_result or both", at=place("measured")
        )
    if of_result is not None:
        _require_arguments(of_result, "of_result", ("the result",))
    return _Measured(inner, of_values, of_result)


def _require_arguments(fn: Callable[..., Any], name: str, wanted: tuple[str, ...]) -> None:
    """Raises unless a function can be called with so many arguments."""
    signature = inspect.signature(fn)
    try:
        signature.bind(*wanted)
    except TypeError:
        raise ArgumentError(
            f"{name} takes other arguments than it gets",
            found=f"a function of {', '.join(signature.parameters) or 'nothing'}",
            expected=f"a function of {' and '.join(wanted)}",
            at=place(name),
        ) from None


def _at_server(found: Any, name: str) -> Any:
    """Measurements as one value at the server."""
    whole = found if isinstance(found, Value) and isinstance(found.type, Federated) else federated_zip(found)
    if isinstance(whole.type, Federated) and whole.type.placement == SERVER:
        return whole
    raise CompositionError(
        "Measurements are at the server",
        found=whole.type,
        expected="M@SERVER",
        at=place(f"what {name} returns"),
        hint="bring those of clients there, with federated_sum for example",
    )
