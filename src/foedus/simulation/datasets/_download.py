# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads a file, going on where an earlier attempt broke off."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, final

from foedus.errors import FoedusError, MissingDataError, place
from foedus.simulation._progress import Unit, progress
from foedus.simulation._replace_file import sync_folder, unwritable

_TIMEOUT_S = 30.0
_CHUNK = 1 << 18
_ATTEMPTS = 4
_FINAL = (400, 401, 403, 404, 410, 451)


@final
class _BrokenOffError(Exception):
    """One attempt ended before the file was complete."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.is_final = status in _FINAL


def download(url: str, path: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Downloads a file into its place, with progress.

    What has arrived is kept beside it, in a file with the ending ``.part``; a later attempt, also in a later
    call, asks for the rest only. One process at a time may download to a place.

    Args:
        url: Where it is.
        path: Where it goes, in a folder that exists; it appears there when it is complete.
        pause: Waits for a number of seconds.

    Raises:
        MissingDataError: If it cannot be fetched.
        OutputError: If it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        _fetch_all(url, part, pause)
        os.replace(part, path)
        sync_folder(path.parent)
    except FoedusError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch_all(url: str, part: Path, pause: Callable[[float], None]) -> None:
    """Tries again as long as bytes arrive, and a few times when none do."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _fetch(url, part, before)
        except _BrokenOffError as broken:
            failures = 0 if _size(part) > before else failures + 1
            if broken.is_final or failures >= _ATTEMPTS:
                raise _given_up(url, part, str(broken)) from broken
        pause(2.0**failures - 1)


def _given_up(url: str, part: Path, reason: str) -> MissingDataError:
    kept = _size(part)
    hint = f"{kept:,} bytes have arrived and are kept; the next call goes on from there" if kept else None
    return MissingDataError(
        f"{url} cannot be downloaded", found=reason, at=place(str(part.parent)), hint=hint
    )


def _fetch(url: str, part: Path, have: int) -> None:
    """Fetches what is missing.

    Raises:
        _BrokenOffError: If it is not complete then.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            return _check_refusal(error, part, have)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"{type(error).__name__}: {error}") from error
    with response:
        start = _start(response, part, have)
        total = None if response.length is None else start + response.length
        with open(part, "ab" if start else "wb") as file:
            _copy(response, file, start=start, total=total)
    if total is not None and _size(part) != total:
        raise _BrokenOffError(f"the connection broke after {_size(part):,} of {total:,} bytes")


def _start(response: http.client.HTTPResponse, part: Path, have: int) -> int:
    """The byte from which on the server sends: not every server sends only what was asked for."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is not None and int(found[1]) == have:
        return have
    part.unlink()
    raise _BrokenOffError("the server sent another part than the one it was asked for")


def _check_refusal(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise _BrokenOffError(f"HTTP status {error.code}: {error.reason}", error.code) from error
    found = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if found is not None and int(found[1]) == have:
        return  # an earlier attempt has fetched all there is
    part.unlink()
    raise _BrokenOffError("what an earlier attempt left is not the beginning of the file") from error


def _copy(response: http.client.HTTPResponse, file: BinaryIO, *, start: int, total: int | None) -> None:
    with progress(f"Downloading {Path(file.name).stem}", total, unit=Unit.BYTES) as advance:
        advance(start)
        while chunk := _read(response):
            file.write(chunk)
            advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"{type(error).__name__}: {error}") from error
