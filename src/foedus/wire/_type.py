# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types to bytes and back: the compact text, in an envelope."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from foedus.errors import CorruptDataError, TypeSyntaxError, UnsupportedError, place
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral, Type, parse, show, walk
from foedus.wire._envelope import Bytes, Content, seal, unseal
from foedus.wire._stream import Reader, Writer

_LONGEST = 1 << 22
"""Characters of a type's text; parsing that many takes a second or two."""


def written(type_: Type) -> str:
    """The text of a type, which is known to be readable again.

    Args:
        type_: The type.

    Returns:
        Its compact notation.

    Raises:
        UnsupportedError: If the text is too long, too deep, or does not give the type back.
    """
    try:
        return _written(type_)
    except (TypeSyntaxError, RecursionError) as error:
        raise UnsupportedError(
            "This type cannot be written to bytes",
            found=error.headline if isinstance(error, TypeSyntaxError) else "nested too deep",
            expected=f"at most 200 levels and {_LONGEST} characters of text, with identifiers as labels",
            at=place(),
        ) from error


@lru_cache(maxsize=64)
def _written(type_: Type) -> str:
    text = show(type_)
    placements = {t.placement for t in walk(type_) if isinstance(t, Federated)}
    if len(text) > _LONGEST:
        raise TypeSyntaxError(f"{len(text)} characters of text")
    if parse(text, placements) != type_:
        raise TypeSyntaxError("its text means another type")
    return text


def parsed(text: str, placements: Iterable[PlacementLiteral] = (CLIENTS, SERVER)) -> Type:
    """Parses a stored text.

    Args:
        text: What was stored.
        placements: The placements that it may name.

    Returns:
        The type.

    Raises:
        CorruptDataError: If it is not a type.
    """
    if len(text) > _LONGEST:
        raise CorruptDataError(
            "The stored type is too long",
            found=f"{len(text)} characters",
            expected=f"at most {_LONGEST}",
            at=place(),
        )
    try:
        return parse(text, placements)
    except TypeSyntaxError as error:
        raise CorruptDataError(
            "The stored type cannot be read", found=f"{error.headline}\n{error.found}", at=place()
        ) from error


def encode_type(type_: Type) -> bytes:
    """Writes a type to bytes.

    Args:
        type_: Any type; the Python containers that it remembers are not written.

    Returns:
        The bytes.

    Raises:
        UnsupportedError: If its text could not be read again: nested deeper than 200 levels, for example.
    """
    writer = Writer()
    writer.item(written(type_))
    return seal(Content.TYPE, writer.body())


def decode_type(data: Bytes, *, placements: Iterable[PlacementLiteral] = (CLIENTS, SERVER)) -> Type:
    """Reads a type back.

    Args:
        data: What ``encode_type`` wrote.
        placements: The placements that the type may name.

    Returns:
        The type; its structs remember no container.

    Raises:
        CorruptDataError: If the bytes are not a type, whatever else they are.
    """
    reader = Reader(unseal(data, Content.TYPE))
    text = reader.text("")
    reader.end()
    return parsed(text, placements)
