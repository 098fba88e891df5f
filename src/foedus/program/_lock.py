# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One process at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from foedus.errors import OutputError, place
from foedus.program._durable import unwritable

try:
    import fcntl
except ImportError:  # on Windows: two processes in one folder are then up to the user
    fcntl = None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes, and other calls in this one, out of a folder.

    The lock goes with the process that holds it, so a killed run leaves none. Where the system or the file
    system has no such locks, nobody is kept out.

    Args:
        folder: The folder.

    Yields:
        Once the lock is held.

    Raises:
        OutputError: If somebody else has it.
    """
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
        raise OutputError(
            f"Another run is writing into {folder}",
            found=f"process {holder or 'unknown'} holds its lock",
            at=place(),
            hint="wait for it, stop it, or choose another folder",
        ) from error
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
