# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a framework must offer so that the language and the runtimes stay blind to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from foedus.ir import Foreign
from foedus.types import PlainValue, Type

LocalFunction: TypeAlias = Callable[..., Any]
"""A user's Python function over a framework's arrays."""

Payload: TypeAlias = Any
"""What a front end keeps in its leaves; nobody else looks inside."""


@dataclass(frozen=True, slots=True)
class NoJax:
    """Why a leaf has no form that JAX can trace."""

    reason: str


class Kind(Protocol):
    """One framework's local code, as a front end implements it.

    Values cross this seam in plain form: an array for a tensor, a tuple for a struct, and for a sequence
    something that can be iterated over or folded (natively ``foedus.data.Elements``).
    """

    def trace(self, fn: LocalFunction, parameter: Type | None) -> Foreign:
        """Turns a Python function into a leaf.

        Args:
            fn: The user's function. It takes one value per field if the parameter is a struct and the
                function has as many parameters, else the one value.
            parameter: The type of its argument, None where it takes none.

        Returns:
            The leaf, with the function's type and a digest of its content.

        Raises:
            TracingError: If the framework cannot make sense of it.
        """
        ...

    def run(self, payload: Payload, argument: PlainValue) -> PlainValue:
        """Runs a leaf natively, for one client or the server.

        Args:
            payload: A leaf's payload.
            argument: Its argument in plain form, None where it takes none.

        Returns:
            Its result in plain form.
        """
        ...

    def as_jax(self, payload: Payload) -> Callable[[PlainValue], PlainValue] | NoJax:
        """A function that JAX can trace and that computes the same.

        Args:
            payload: A leaf's payload.

        Returns:
            A function from the argument to the result in plain form, or the reason why there is none.
        """
        ...
