# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a file so that its name never stands for half of it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foedus.errors import FoedusError, OutputError, place


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lets the caller write a new file beside ``path``, which takes its name when all went well.

    Args:
        path: The file to write or replace; its folder is made if it is missing.

    Yields:
        The path to write to; an empty file is there.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except FoedusError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # there is none, or no folder for it
            temporary.unlink()


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes a folder's new names last, on systems where folders can be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for a file that cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return OutputError(
        f"The disk is full: {path.name} cannot be written" if full else f"{path.name} cannot be written",
        found=error.strerror or str(error),
        at=place(str(path.parent)),
        hint="free some space, or choose another folder" if full else "choose a folder that you may write to",
    )
