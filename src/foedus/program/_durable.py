# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are either there whole or as they were before, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from foedus.errors import OutputError, place

TEMPORARY = ".tmp"
"""What the name of a half-written file ends with."""

_HINTS = {
    errno.ENOSPC: "free some space and call it again: what was written before is still there",
    errno.EDQUOT: "free some space and call it again: what was written before is still there",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.EEXIST: "choose another folder, or move away the file that is in its way",
    errno.ENOTDIR: "choose another folder, or move away the file that is in its way",
    errno.EISDIR: "move away the folder that is in its way",
}
# Some file systems cannot sync a folder, and need not.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for a path that the system lets nobody write.

    Args:
        path: The path.
        error: What the system said.

    Returns:
        The error, to be raised by the caller.
    """
    return OutputError(
        f"{path} cannot be written",
        found=error.strerror or str(error),
        at=place(),
        hint=_HINTS.get(error.errno or 0),
    )


def make_folder(path: Path) -> None:
    """Makes a folder, with all above it, unless it is there, and makes sure that files can be made in it.

    Raises:
        OutputError: If they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file so that a crash leaves the old one or the new one, whole.

    That is: write a file beside it, fsync, rename, fsync of the folder.

    Args:
        path: The file; its folder is there.
        data: What it will hold.

    Raises:
        OutputError: If it cannot be written; the file is then as it was before.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
