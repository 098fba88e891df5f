# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a framework must offer so that the language and the runtimes stay blind to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias

from foedus.ir import Foreign
from foedus.types import Function, PlainValue, Type

LocalFunction: TypeAlias = Callable[..., Any]
"""A user's Python function over a framework's arrays."""

Payload: TypeAlias = Any
"""What a front end keeps in its leaves; nobody else looks inside."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A leaf as bytes.

    Args:
        kind: The kind that reads them; it can be another one than that of the leaf.
        data: The bytes.
    """

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class NoJax:
    """Why a leaf has no form that JAX can trace."""

    reason: str


class Way(Enum):
    """How the local runtime runs local code; the reference runtime runs every leaf natively."""

    NATIVE = "natively"
    """By its own framework, one call after another."""
    LOWERED = "lowered"
    """Compiled by XLA, together with the rest of the round."""


@dataclass(frozen=True, slots=True)
class Running:
    """Which way a piece of local code runs in the local runtime, and why.

    Args:
        name: What its author calls it; empty where that is not known.
        line: Where its author wrote it, such as ``train.py:41``; None where that is not known.
        way: The way.
        reason: Why, as a sentence without its full stop; empty where its kind has one way only.
    """

    name: str
    line: str | None
    way: Way
    reason: str


class Nature(Enum):
    """What local code is to whoever reads a program."""

    TRACED = "code of a framework, traced where it was used"
    HOST = "plain Python, run as it is, for one client after another"
    LOADED = "loaded from bytes, so that its source is not here"


class Kind(Protocol):
    """One framework's local code, as a front end implements it.

    Values cross this seam in plain form: an array for a tensor, a tuple for a struct, and for a sequence
    something that can be iterated over or folded (natively ``foedus.data.Elements``).
    """

    @property
    def nature(self) -> Nature:
        """What code of this kind is."""
        ...

    def trace(self, fn: LocalFunction, parameter: Type | None, *, way: Way | None = None) -> Foreign:
        """Turns a Python function into a leaf.

        Args:
            fn: The user's function. It takes one value per field if the parameter is a struct and the
                function has as many parameters, else the one value.
            parameter: The type of its argument, None where it takes none.
            way: Which way the local runtime is to run it; None for the one that the kind chooses.

        Returns:
            The leaf, with the function's type and a digest of its content.

        Raises:
            TracingError: If the framework cannot make sense of it, or it cannot run the way it is told.
        """
        ...

    def running(self, payload: Payload) -> tuple[Running, ...]:
        """Which way the local runtime runs a leaf, where there is something to tell.

        Args:
            payload: A leaf's payload.

        Returns:
            One for the leaf, or one for each piece of another framework's code in it; none where the leaf is
            compiled like any other.
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

    def encode(self, payload: Payload, type_: Function) -> Encoded:
        """Writes a leaf to bytes that say all that is needed to run it where its source is not.

        Args:
            payload: A leaf's payload.
            type_: The leaf's type.

        Returns:
            The bytes and the kind that reads them. Equal code gives equal bytes in one version of the
            framework.

        Raises:
            UnsupportedError: If it has no such form; the error says why and what to do.
        """
        ...

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """Reads a leaf back.

        Args:
            data: What ``encode`` wrote under the name of this kind.
            type_: The leaf's type.

        Returns:
            The leaf; its digest is one of the type and the bytes, so that equal digests are equal code.

        Raises:
            CorruptDataError: If the bytes are not a leaf, or one of another type.
            UnsupportedError: If this kind has no form as bytes.
        """
        ...

    def examine(self, payload: Payload, type_: Function) -> None:
        """Goes through everything that running a decoded leaf will read, to find now what would fail later.

        ``foedus.wire`` calls it in a child process, since made-up bytes can end the process that reads them.

        Args:
            payload: The payload of a leaf that ``decode`` gave.
            type_: The leaf's type.

        Raises:
            CorruptDataError: If the leaf is broken, or does what no leaf may.
        """
        ...
