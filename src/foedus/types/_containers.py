# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Python's containers: taking them apart and putting values back into them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, cast

from foedus.errors import DataError, place
from foedus.types._types import Struct


def is_named_tuple(value: object) -> bool:
    """Whether this is a named tuple or the class of one."""
    cls = value if isinstance(value, type) else type(value)
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def parts_of(value: object) -> list[tuple[str | None, object]] | None:
    """Takes a container apart.

    Args:
        value: Any Python value.

    Returns:
        ``(name, item)`` in order, or None if it is not a container. ``None`` itself is one, with nothing inside.

    Raises:
        DataError: For a mapping whose keys are not strings.
    """
    if value is None:
        return []
    if is_named_tuple(value):
        fields = cast("tuple[str, ...]", getattr(value, "_fields"))  # noqa: B009 - known only at run time
        return list(zip(fields, cast("tuple[object, ...]", value), strict=True))
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        odd = next((key for key, _ in items if not isinstance(key, str)), None)
        if odd is not None:
            raise DataError(
                "A mapping's keys must be strings to become a struct",
                found=f"the key {odd!r} of type {type(odd).__name__}",
                at=place(),
            )
        return [(str(key), item) for key, item in items]
    if isinstance(value, list | tuple):
        return [(None, item) for item in cast("Iterable[object]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init]
    return None


def container_of(value: object) -> type:
    """The class to put values back into, for a value that ``parts_of`` takes apart."""
    if isinstance(value, Mapping) and not isinstance(value, OrderedDict):
        return dict
    return cast("type", type(cast("object", value)))


def pack(struct: Struct, values: Iterable[Any]) -> Any:
    """Puts values into the Python container that a struct type remembers.

    Args:
        struct: The type. Without a container, all named fields become a dict, anything else a tuple.
        values: One value a field, in order.

    Returns:
        The container.
    """
    cls = struct.container
    names = [name for name, _ in struct.fields]
    if cls is type(None):
        return None
    if cls is None:
        cls = dict if names and None not in names else tuple
    if cls in (dict, OrderedDict):
        return cls(zip(names, values, strict=True))
    if is_named_tuple(cls):
        return cls(*values)
    if dataclasses.is_dataclass(cls):
        return cls(**dict(zip(cast("list[str]", names), values, strict=True)))
    return cls(values)
