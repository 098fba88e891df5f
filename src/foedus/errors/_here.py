# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the user's own line: the innermost frame outside Foedus and the array frameworks."""

from __future__ import annotations

import inspect
import linecache
import os
from types import FrameType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_FOREIGN = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}", "<frozen ")
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def is_users_code(path: str) -> bool:
    """Whether a source file is the user's, and not Foedus, the standard library, an installed package or a
    command.
    """
    if path.startswith((_PACKAGE, _STANDARD_LIBRARY)) or any(part in path for part in _FOREIGN):
        return False
    return path.endswith(".py") or path.startswith(("<ipython", "<stdin", "<string", "<doctest"))


def _is_users(frame: FrameType) -> bool:
    """As ``is_users_code``, but for what ``dataclass`` generates, whose path is that of a command line."""
    ours = str(frame.f_globals.get("__name__")).startswith("foedus.")
    return not ours and is_users_code(frame.f_code.co_filename)


def describe_line(path: str, line: int) -> str:
    """Says where a line of source stands, for an error's text.

    Args:
        path: The file's path as Python records it; a notebook's cell has an invented one.
        line: The line's number, from 1.

    Returns:
        Such as ``train.py:41`` or, in a notebook, ``line 3 of the cell``, followed by the line itself if
        known.
    """
    source = linecache.getline(path, line).strip()
    shown = f": {source}" if source else ""
    if "ipykernel_" in path or path.startswith("<ipython"):
        return f"line {line} of the cell{shown}"
    return f"{os.path.basename(path)}:{line}{shown}"


def user_line() -> str | None:
    """Describes the line of the user's code that led here.

    Returns:
        See `describe_line`; None where no frame belongs to a user.
    """
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        if _is_users(frame):
            return describe_line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def failing_line(error: BaseException) -> str | None:
    """Describes the innermost line of the user's code in an exception's traceback.

    Args:
        error: An exception that was raised. One from compiled code, where no frame is the user's, may say the
            line itself, in an attribute ``users_line``.

    Returns:
        See `describe_line`; None where no frame of the traceback belongs to a user.
    """
    told = getattr(error, "users_line", None)
    if isinstance(told, str):
        return told
    found = None
    traceback = error.__traceback__
    while traceback is not None:
        if _is_users(traceback.tb_frame):
            found = describe_line(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def raised_by_user(error: BaseException) -> bool:
    """Whether an exception was raised by the user's own code, and not by a library that it called."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and _is_users(traceback.tb_frame)


def place(*parts: str | None) -> str | None:
    """Joins what is known of an error's place with commas.

    Args:
        *parts: Descriptions, None where nothing is known.

    Returns:
        The known parts and the user's line, or None.
    """
    known = [part for part in (*parts, user_line()) if part]
    return ", ".join(known) if known else None
