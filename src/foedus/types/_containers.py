# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Python's containers: taking them apart and putting values back into them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast

from foedus.errors import DataError, place
from foedus.types._types import Struct

PythonValue: TypeAlias = Any
"""What users hand over and get back: numbers, strings, arrays, and containers of such."""


def is_named_tuple(value: object) -> bool:
    """Whether this is a named tuple or the class of one."""
    cls: object = value if isinstance(value, type) else type(value)
    return hasattr(cls, "_fields") and issubclass(cast("type", cls), tuple)


def parts_of(value: object) -> list[tuple[str | None, object]] | None:
    """Takes a container apart.

    Args:
        value: Any Python value.

    Returns:
        ``(name, item)`` in order, or None if it is not a container. ``None`` itself is one, with nothing
        inside. The fields of a dict are ordered by name, as JAX orders them; those of other mappings as they
        come.

    Raises:
        DataError: For a mapping whose keys are not strings.
    """
    if value is None:
        return []
    if isinstance(value, tuple) and is_named_tuple(cast("object", value)):
        return list(cast("NamedTuple", value)._asdict().items())
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        odd = next((key for key in mapping if not isinstance(key, str)), None)
        if odd is not None:
            raise DataError(
                "A mapping's keys must be strings to become a struct",
                found=f"the key {odd!r} of type {type(odd).__name__}",
                at=place(),
            )
        pairs: list[tuple[str | None, object]] = [(str(key), item) for key, item in mapping.items()]
        return pairs if isinstance(value, OrderedDict) else sorted(pairs, key=lambda pair: str(pair[0]))
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


def pack(struct: Struct, values: Iterable[PythonValue]) -> PythonValue:
    """Puts values into the Python container that a struct type remembers.

    Args:
        struct: The type. Without a container, all named fields become a dict, anything else a tuple.
        values: One value a field, in order.

    Returns:
        The container.
    """
    return maker(struct)(values)


def maker(struct: Struct) -> Callable[[Iterable[PythonValue]], PythonValue]:
    """What puts values into the Python container that a struct type remembers; see ``pack``."""
    return _maker(struct.container, tuple([name for name, _ in struct.fields]))


@lru_cache(maxsize=512)
def _maker(
    container: type | None, fields: tuple[str | None, ...]
) -> Callable[[Iterable[PythonValue]], PythonValue]:
    """What makes a container of the values of its fields."""
    if container is type(None):
        return lambda _: None
    names = [name or "" for name in fields]
    cls = container or (dict if names and None not in fields else tuple)
    make = cast("Callable[..., PythonValue]", cls)
    if cls in (dict, OrderedDict):
        return lambda values: make(zip(names, values, strict=True))
    if is_named_tuple(cls):
        return lambda values: make(*values)
    if dataclasses.is_dataclass(cls):
        return lambda values: make(**dict(zip(names, values, strict=True)))
    return make
