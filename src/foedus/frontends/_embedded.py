# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Code of other frameworks inside local code in JAX: who is told of it while that is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from foedus.errors import UnsupportedError, place
from foedus.foreign import Running, Way


class Embedded(Protocol):
    """A piece of another framework's code."""

    @property
    def running(self) -> Running:
        """Which way it runs, and why."""
        ...

    @property
    def native_calls(self) -> int:
        """How often its framework ran it, called by compiled programs or by JAX in Python."""
        ...


_NOTED: ContextVar[list[Embedded] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[list[Embedded]]:
    """While local code is traced: gathers the pieces that it calls, each once, in order."""
    found: list[Embedded] = []
    token = _NOTED.set(found)
    try:
        yield found
    finally:
        _NOTED.reset(token)


def note(piece: Embedded) -> None:
    """Tells whoever gathers that a piece is called.

    Args:
        piece: The piece.
    """
    found = _NOTED.get()
    if found is not None and all(known is not piece for known in found):
        found.append(piece)


def require_travelling(piece: Embedded) -> None:
    """Refuses a piece that cannot be written to bytes.

    Args:
        piece: The piece.

    Raises:
        UnsupportedError: If its framework runs it, in this process.
    """
    running = piece.running
    if running.way is Way.LOWERED:
        return
    raise UnsupportedError(
        f"Local code that calls {running.name!r} natively cannot be written to bytes",
        found=running.reason,
        expected="code that is compiled as a whole",
        at=place(),
        hint="lower it, with way=Way.LOWERED, where that is possible",
    )
