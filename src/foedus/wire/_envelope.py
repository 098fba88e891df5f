# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The envelope around everything that is written: what it is, how long, and whether it is whole.

```
offset  bytes  what
0       8      magic: 89 "FOEDUS" 0A, which is neither text nor survives a change of line ends
8       2      version of the format, little endian
10      1      what the body is, a ``Content``
11      8      length of the body, little endian
19      32     SHA-256 of bytes 0 to 18 and the body
51      -      the body
```
"""

from __future__ import annotations

import enum
import hashlib
import struct
from typing import TypeAlias

from foedus.errors import CorruptDataError, place

Bytes: TypeAlias = bytes | bytearray | memoryview

MAGIC = b"\x89FOEDUS\n"
VERSION = 1

_FRONT = struct.Struct("<8sHBQ")
_SUM = hashlib.sha256().digest_size
HEAD = _FRONT.size + _SUM
"""Bytes before the body."""


class Content(enum.IntEnum):
    """What a body is; a number is never given a second meaning."""

    TYPE = 1
    VALUE = 2
    PROGRAM = 3


def _sum(front: bytes, body: Bytes) -> bytes:
    digest = hashlib.sha256(front)
    digest.update(body)
    return digest.digest()


def seal(content: Content, body: bytes) -> bytes:
    """Puts a body into an envelope.

    Args:
        content: What the body is.
        body: The body.

    Returns:
        The envelope's bytes.
    """
    front = _FRONT.pack(MAGIC, VERSION, content, len(body))
    return b"".join((front, _sum(front, body), body))


def unseal(data: Bytes, content: Content) -> memoryview:
    """Takes a body out of its envelope once everything that the envelope says of it holds.

    Args:
        data: The envelope's bytes.
        content: What the body should be.

    Returns:
        The body.

    Raises:
        CorruptDataError: If it is no envelope, of a newer version, of other content, truncated or damaged.
    """
    view = memoryview(data).cast("B")
    start = bytes(view[: len(MAGIC)])
    if not MAGIC.startswith(start):
        raise CorruptDataError(
            "These bytes were not written by Foedus",
            found=f"{start!r} at the start",
            expected=repr(MAGIC),
            at=place(),
        )
    if len(view) < HEAD:
        raise _cut(len(view), f"at least {HEAD}")
    front = bytes(view[: _FRONT.size])
    _, version, kind, length = _FRONT.unpack(front)
    _check_version(version)
    _check_content(kind, content)
    if len(view) < HEAD + length:
        raise _cut(len(view), str(HEAD + length))
    if len(view) > HEAD + length:
        raise CorruptDataError(
            "Something follows the end", found=f"{len(view)} bytes", expected=f"{HEAD + length}", at=place()
        )
    if _sum(front, view[HEAD:]) != bytes(view[_FRONT.size : HEAD]):
        raise CorruptDataError(
            "These bytes are damaged: their checksum is not the one that was written",
            at=place(),
            hint="get them again, or use an older copy",
        )
    return view[HEAD:]


def _cut(found: int, expected: str) -> CorruptDataError:
    return CorruptDataError(
        "These bytes end too early",
        found=f"{found} bytes",
        expected=expected,
        at=place(),
        hint="get them again: writing or sending them was cut short",
    )


def _check_version(version: int) -> None:
    if version == VERSION:
        return
    newer = version > VERSION
    raise CorruptDataError(
        "These bytes have a newer format than this version of Foedus reads"
        if newer
        else "These bytes name a format that never was",
        found=f"format {version}",
        expected=f"at most {VERSION}" if newer else str(VERSION),
        at=place(),
        hint="install a newer version of Foedus" if newer else None,
    )


def _check_content(kind: int, content: Content) -> None:
    if kind == content:
        return
    names = {known.value: f"a {known.name.lower()}" for known in Content}
    raise CorruptDataError(
        "These bytes hold something else",
        found=names.get(kind, f"content of kind {kind}"),
        expected=names[content],
        at=place(),
    )
