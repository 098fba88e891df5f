# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Writes and reads a body piece by piece, as MessagePack.

MessagePack's own decoder allocates a list as soon as it reads how long it says it is, level by level. Here
no container is decoded whole: the reader is told what kind of piece comes next, and takes a list's header as
a number, which is compared with what the type says and with the number of bytes that there are.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs] - it has none

from foedus.errors import CorruptDataError, place

_SURROGATES = "surrogatepass"
"""Strings come back as they were, those that are not Unicode included."""


class _Packer(Protocol):
    def pack(self, item: object, /) -> object: ...
    def pack_array_header(self, size: int, /) -> object: ...
    def bytes(self) -> bytes: ...


class _Unpacker(Protocol):
    def feed(self, data: memoryview, /) -> None: ...
    def unpack(self) -> object: ...
    def read_array_header(self) -> int: ...
    def tell(self) -> int: ...


class Writer:
    """Collects the pieces of a body."""

    def __init__(self) -> None:
        packer = cast("Any", msgpack).Packer(autoreset=False, unicode_errors=_SURROGATES)
        self._packer = cast("_Packer", packer)

    def length(self, count: int) -> None:
        """The header of a list."""
        self._packer.pack_array_header(count)

    def item(self, item: int | str | memoryview) -> None:
        """A whole number, a string, or bytes."""
        self._packer.pack(item)

    def body(self) -> bytes:
        """All pieces so far."""
        return self._packer.bytes()


class Reader:
    """A cursor over a body.

    Args:
        body: What an envelope held.
        what: What it is, for errors.
    """

    def __init__(self, body: memoryview, what: str = "the value") -> None:
        self._size = len(body)
        self._what = what
        unpacker = cast("Any", msgpack).Unpacker(
            max_buffer_size=max(self._size, 1),
            max_array_len=0,
            max_map_len=0,
            max_ext_len=0,
            unicode_errors=_SURROGATES,
        )
        self._unpacker = cast("_Unpacker", unpacker)
        self._unpacker.feed(body)

    @property
    def rest(self) -> int:
        """How many bytes are still to be read."""
        return self._size - self._unpacker.tell()

    def length(self, at: str) -> int:
        """The number of items that follow: not more than bytes, for each item has one at least."""
        try:
            count = self._unpacker.read_array_header()
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise self.broken("no list", at) from error
        if count > self.rest:
            raise self.broken(f"a list of {count} items in {self.rest} bytes", at)
        return count

    def integer(self, at: str) -> int:
        """A whole number that is not negative."""
        found = self._next(at)
        if type(found) is not int or found < 0:
            raise self.broken(f"{type(found).__name__} for a length", at)
        return found

    def below(self, limit: int, at: str) -> int:
        """A whole number below a limit, such as an index into a table."""
        found = self.integer(at)
        if found >= limit:
            raise self.broken(f"{found} where a number below {limit} should be", at)
        return found

    def count(self, at: str, most: int | None = None) -> int:
        """The number of things that follow: not more than bytes, for each has one at least."""
        found = self.below(self.rest + 1, at)
        if most is not None and found > most:
            raise self.broken(f"{found} where at most {most} can be", at)
        return found

    def text(self, at: str) -> str:
        """A string."""
        found = self._next(at)
        if not isinstance(found, str):
            raise self.broken(f"{type(found).__name__} for a string", at)
        return found

    def blob(self, size: int, at: str) -> bytes:
        """Bytes, as many as the caller says."""
        found = self._next(at)
        if not isinstance(found, bytes) or len(found) != size:
            shown = f"{len(found)} bytes" if isinstance(found, bytes) else type(found).__name__
            raise self.broken(f"{shown} where {size} bytes should be", at)
        return found

    def end(self) -> None:
        """Raises unless everything has been read."""
        if self.rest:
            raise self.broken(f"{self.rest} bytes that nothing explains", "")

    def broken(self, found: str, at: str) -> CorruptDataError:
        """The error for a body that is not what its type says, although its checksum is right."""
        return CorruptDataError(
            "These bytes do not hold what they say they do",
            found=found,
            at=place(f"{at} of {self._what}" if at else None),
        )

    def _next(self, at: str) -> object:
        try:
            return self._unpacker.unpack()
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise self.broken("no number, string or bytes", at) from error
