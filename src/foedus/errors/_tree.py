# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The exceptions. The tree is drawn in the docstring of the package."""

from __future__ import annotations


class FoedusError(Exception):
    """What every error of Foedus derives from.

    Its text has one headline and then, each on a line of its own where known, what was found, what was
    expected, where, and what to do about it.

    Args:
        headline: One line that says what is wrong.
        found: What there was.
        expected: What there should have been.
        at: Where: a path inside a structure, the user's own line, what was being done.
        hint: What to do about it.
    """

    def __init_subclass__(cls) -> None:
        cls.__module__ = "foedus.errors"

    def __init__(
        self,
        headline: str,
        *,
        found: object = None,
        expected: object = None,
        at: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.headline = headline
        self.found = None if found is None else str(found)
        self.expected = None if expected is None else str(expected)
        self.at = at
        self.hint = hint
        super().__init__(headline)

    def __str__(self) -> str:
        rows = [("found", self.found), ("expected", self.expected), ("at", self.at), ("hint", self.hint)]
        pad = "\n" + " " * 12
        return self.headline + "".join(
            f"\n  {name:<9} {text.replace(chr(10), pad)}" for name, text in rows if text
        )


FoedusError.__module__ = "foedus.errors"


class TypeMismatchError(FoedusError, TypeError):
    """A value or a program has another type than the one it needs."""


class PlacementError(TypeMismatchError):
    """A value is at another placement than the operator needs."""


class StructureError(TypeMismatchError):
    """A structure lacks a field, has one too many, or has them under other names."""


class TypeSyntaxError(FoedusError, ValueError):
    """A text is not the compact notation of a type or a program."""


class ArgumentError(FoedusError, ValueError):
    """An argument of a function has a value that it cannot have."""


class TracingError(FoedusError, TypeError):
    """A Python function cannot become part of a program."""


class CompositionError(FoedusError, TypeError):
    """Computations do not fit together into the process that was asked for."""


class ExecutionError(FoedusError, RuntimeError):
    """A computation failed while it ran."""


class ClientError(ExecutionError):
    """What one client holds or does made a computation fail; the text names the client."""


class UnsupportedError(FoedusError, NotImplementedError):
    """A runtime or a framework cannot do what was asked of it; the text says what can."""


class DataError(FoedusError, ValueError):
    """Data does not have the declared form."""


class CorruptDataError(DataError):
    """A file or message is broken: truncated, damaged, or of another format."""


class MissingDataError(FoedusError, FileNotFoundError):
    """Data that was asked for is not here, and cannot be fetched."""


class OutputError(FoedusError, OSError):
    """Something cannot be written where it was asked for."""


class MissingExtraError(FoedusError, ImportError):
    """An optional package is needed; the text names the extra that brings it."""


class EnvironmentMismatchError(FoedusError, RuntimeError):
    """The process is set up in a way that cannot work, such as Keras on another backend."""


class RetracingWarning(UserWarning):
    """A computation is made anew again and again, and so traced and compiled each time."""


class LargeConstantWarning(UserWarning):
    """Local code has captured a large array, which becomes part of the program."""


RetracingWarning.__module__ = LargeConstantWarning.__module__ = "foedus.errors"
