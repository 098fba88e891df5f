# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Unpacks LZMA files in bounded memory."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from foedus.errors import CorruptDataError, place
from foedus.simulation._progress import Unit, progress
from foedus.simulation._replace_file import replacing

_CHUNK = 1 << 20
_MOST_MEMORY = 1 << 28


def unpack(source: Path, target: Path, *, check: Callable[[Path], object]) -> None:
    """Unpacks a file; it appears in its place only when it is complete and has been checked.

    Args:
        source: An ``.lzma`` or ``.xz`` file.
        target: Where its content goes.
        check: Raises if the content, at the path it is given, is not what it should be.

    Raises:
        CorruptDataError: If the file is damaged or ends too early.
        OutputError: If the content cannot be written.
    """
    with replacing(target) as temporary:
        with open(source, "rb") as packed, open(temporary, "wb") as file:
            _decompress(packed, file, source)
        try:
            check(temporary)
        except CorruptDataError as error:
            raise _broken(source, f"it unpacks to something else: {error.found or error.headline}") from error


def _decompress(packed: BinaryIO, file: BinaryIO, source: Path) -> None:
    decoder = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
    with progress(f"Unpacking {source.name}", source.stat().st_size, unit=Unit.BYTES) as advance:
        while not decoder.eof:
            chunk = packed.read(_CHUNK) if decoder.needs_input else b""
            if decoder.needs_input and not chunk:
                raise _broken(source, "it ends too early")
            try:
                file.write(decoder.decompress(chunk, _CHUNK))
            except lzma.LZMAError as error:
                raise _broken(source, str(error)) from error
            advance(len(chunk))


def _broken(source: Path, reason: str) -> CorruptDataError:
    return CorruptDataError(
        f"{source.name} cannot be unpacked",
        found=reason,
        expected="a complete LZMA file",
        at=place(str(source)),
        hint="the file is damaged: remove it and fetch it again",
    )
