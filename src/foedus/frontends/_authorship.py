# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What local code is called, and where its author wrote it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from types import CodeType
from typing import Any

from foedus.errors import ArgumentError, place
from foedus.foreign import Way


def name_of(fn: Callable[..., Any]) -> str:
    """What a function is called.

    Args:
        fn: The function.

    Returns:
        Its name, or that of its class.
    """
    return str(getattr(fn, "__name__", type(fn).__name__))


def line_of(fn: Callable[..., Any]) -> str | None:
    """Where a function begins.

    Args:
        fn: The function.

    Returns:
        Such as ``train.py:41``; None where it has no source.
    """
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if not isinstance(code, CodeType):
        return None
    return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"


def require_no_way(kind: str, way: Way | None) -> None:
    """Refuses to be told which way to run.

    Args:
        kind: The name of a kind whose code runs one way only.
        way: What it was told.

    Raises:
        ArgumentError: If it was told anything.
    """
    if way is not None:
        raise ArgumentError(
            f"Code of the kind {kind!r} runs one way only",
            found=f"way={way}",
            expected="no way",
            at=place("way"),
        )
