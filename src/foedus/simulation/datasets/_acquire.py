# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the file of a data set: a user's own, one from an earlier call, or a download."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from foedus.errors import CorruptDataError, MissingDataError, place
from foedus.simulation._replace_file import unwritable
from foedus.simulation.datasets._download import download
from foedus.simulation.datasets._unpack import unpack

VARIABLE = "FOEDUS_DATA_DIR"
"""The environment variable that names the folder with a user's own files."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where to look for data.

    Args:
        given: Folders that may hold the file; the first that does counts.
        cache: Where downloads go, and what is unpacked if it cannot stay beside its source.
    """

    given: tuple[Path, ...]
    cache: Path


def is_writable(folder: Path) -> bool:
    """Whether a file may be made in a folder and can be."""
    try:
        if not folder.stat().st_mode & 0o222:  # marked as read-only, which an administrator could ignore
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def folders(
    cache_dir: str | os.PathLike[str] | None, *, environment: Mapping[str, str] = os.environ
) -> Folders:
    """Where to look: in ``cache_dir``, in the folder that the environment names, in the user's cache.

    Args:
        cache_dir: A folder that also takes downloads, unless it may only be read; None for the user's cache.
        environment: The variables ``FOEDUS_DATA_DIR`` and ``XDG_CACHE_HOME``.
    """
    own = environment.get(VARIABLE)
    named = (Path(own).expanduser(),) if own else ()
    home = environment.get("XDG_CACHE_HOME")
    usual = (Path(home) if home else Path.home() / ".cache") / "foedus"
    if cache_dir is None:
        return Folders((*named, usual), usual)
    folder = Path(cache_dir).expanduser()
    may_write = is_writable(folder) or not folder.exists()
    return Folders((folder, *named), folder if may_write else usual)


def acquire(name: str, url: str, *, where: Folders, check: Callable[[Path], object]) -> Path:
    """The path of a data set's file, unpacked.

    Args:
        name: The file's name; packed files have ``.lzma`` after it.
        url: Where the packed file is, if nobody has it.
        where: Where to look.
        check: Raises if the file at a path is not what it should be.

    Raises:
        MissingDataError: If it is not here and cannot be downloaded.
        CorruptDataError: If it is damaged.
        OutputError: If it cannot be written.
    """
    packed = f"{name}.lzma"
    for folder in where.given:
        if (folder / name).is_file():
            return folder / name
        if (folder / packed).is_file():
            target = folder / name if is_writable(folder) else _name_in_cache(folder / packed, where.cache)
            if not target.is_file():
                unpack(folder / packed, target, check=check)
            return target
    target = where.cache / name
    with _only_one(target):
        if not target.is_file():  # another process may have brought it meanwhile
            _download(where.cache / packed, url, where)
            _unpack_download(where.cache / packed, target, check)
    return target


def _name_in_cache(packed: Path, cache: Path) -> Path:
    """Where a user's packed file is unpacked to if its folder cannot be written to.

    It is a name of its own: the cache may hold another file of the plain name.
    """
    stat = packed.stat()
    mark = hashlib.sha256(f"{packed.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()
    stem, ending = os.path.splitext(packed.stem)
    return cache / f"{stem}-{mark[:12]}{ending}"


def _download(packed: Path, url: str, where: Folders) -> None:
    try:
        download(url, packed)
    except MissingDataError as error:
        advice = (
            f"put the file, packed or not, into a folder, and pass it as cache_dir or set {VARIABLE} to it"
        )
        raise MissingDataError(
            f"{packed.stem} is not here, and cannot be downloaded",
            found=f"neither it nor {packed.name} in {', '.join(map(str, where.given))}\n{error.found}",
            expected=url,
            at=place(),
            hint=f"{advice}\n{error.hint}" if error.hint else advice,
        ) from error


def _unpack_download(packed: Path, target: Path, check: Callable[[Path], object]) -> None:
    try:
        unpack(packed, target, check=check)
    except CorruptDataError as error:
        packed.unlink()
        raise CorruptDataError(
            f"{packed.name} was damaged on its way here, and has been removed",
            found=error.found or error.headline,
            at=place(str(packed)),
            hint="the next call downloads it anew",
        ) from error
    packed.unlink()


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Lets one process at a time make a file, on systems that have such locks."""
    lock = target.with_name(f"{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise unwritable(target, error) from error
    with open(lock, "wb") as file:
        _wait_for(file)
        yield


def _wait_for(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX)
