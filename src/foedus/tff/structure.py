# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.structure``: structs of which some fields have names, and functions of nested ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, final

__all__ = [
    "Struct",
    "flatten",
    "from_container",
    "has_field",
    "is_same_structure",
    "iter_elements",
    "map_structure",
    "name_list",
    "name_list_with_nones",
    "pack_sequence_as",
    "to_container_recursive",
    "to_elements",
    "to_odict",
    "to_odict_or_tuple",
    "update_struct",
]


@final
class Struct:
    """Values in order, each with a name or without.

    Args:
        elements: ``(name, value)`` pairs; the name is None where there is none.

    Raises:
        TypeError: If something is no pair, or a name no string.
        ValueError: If a name is there twice.
    """

    __slots__ = ("_elements",)

    def __init__(self, elements: Iterable[tuple[str | None, Any]]) -> None:
        pairs = list(elements)
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"Expected every item to be a pair of a name and a value, found {pair!r}.")
            if pair[0] is not None and not isinstance(pair[0], str):
                raise TypeError(f"Expected a name to be a string or None, found {pair[0]!r}.")
        names = [name for name, _ in pairs if name is not None]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise ValueError(f"The name {twice!r} is there twice: {names}.")
        self._elements: tuple[tuple[str | None, Any], ...] = tuple(pairs)

    @classmethod
    def named(cls, **values: Any) -> Struct:
        """A struct of which every field has a name."""
        return cls(values.items())

    @classmethod
    def unnamed(cls, *values: Any) -> Struct:
        """A struct of which no field has a name."""
        return cls((None, value) for value in values)

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[Any]:
        return iter([value for _, value in self._elements])

    def __dir__(self) -> list[str]:
        return name_list(self)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return getattr(self, key)
        return tuple(self)[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_elements":
            raise AttributeError(name)
        for field, value in self._elements:
            if field == name:
                return value
        raise AttributeError(f"There is no field {name!r}, only {name_list(self)}.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Struct) and self._elements == other._elements

    def __hash__(self) -> int:
        return hash(self._elements)

    def __repr__(self) -> str:
        return f"Struct({list(self._elements)!r})"

    def __str__(self) -> str:
        shown = (str(value) if name is None else f"{name}={value}" for name, value in self._elements)
        return f"<{','.join(shown)}>"


def iter_elements(struct: Struct) -> Iterator[tuple[str | None, Any]]:
    """The ``(name, value)`` pairs of a struct, in order."""
    return iter(struct._elements)


def to_elements(struct: Struct) -> list[tuple[str | None, Any]]:
    """The ``(name, value)`` pairs of a struct, as a list."""
    return list(struct._elements)


def name_list(struct: Struct) -> list[str]:
    """The names of the fields that have one."""
    return [name for name, _ in iter_elements(struct) if name is not None]


def name_list_with_nones(struct: Struct) -> list[str | None]:
    """The names of all fields, None where there is none."""
    return [name for name, _ in iter_elements(struct)]


def has_field(structure: Struct, field: str) -> bool:
    """Whether there is a field of this name."""
    return field in name_list(structure)


def to_odict(struct: Struct, recursive: bool = False) -> OrderedDict[str, Any]:
    """The fields by name.

    Args:
        struct: The struct.
        recursive: Whether structs inside are turned too.

    Raises:
        ValueError: If a field has no name.
    """
    found: OrderedDict[str, Any] = OrderedDict()
    for name, value in iter_elements(struct):
        if name is None:
            raise ValueError(f"Expected every field to have a name, found {struct}.")
        found[name] = to_odict(value, True) if recursive and isinstance(value, Struct) else value
    return found


def to_odict_or_tuple(struct: Struct, recursive: bool = True) -> Any:
    """The fields by name, or as a tuple where none has one.

    Args:
        struct: The struct.
        recursive: Whether structs inside are turned too.

    Raises:
        ValueError: If some fields have names and others not.
    """

    def inside(value: Any) -> Any:
        return to_odict_or_tuple(value) if recursive and isinstance(value, Struct) else value

    named = [name is not None for name, _ in iter_elements(struct)]
    if named and all(named):
        return OrderedDict((name, inside(value)) for name, value in iter_elements(struct))
    if any(named):
        raise ValueError(f"Expected all fields to have names, or none, found {struct}.")
    return tuple(inside(value) for value in struct)


to_container_recursive = to_odict_or_tuple


def flatten(struct: Any) -> list[Any]:
    """The values at the leaves of nested structs, in order."""
    if not isinstance(struct, Struct):
        return [struct]
    return [leaf for value in struct for leaf in flatten(value)]


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """Nested structs like another one, with other values at the leaves.

    Args:
        structure: The other one.
        flat_sequence: The values, in order.
    """
    supply = iter(flat_sequence)

    def packed(part: Any) -> Any:
        if not isinstance(part, Struct):
            return next(supply)
        return Struct((name, packed(value)) for name, value in iter_elements(part))

    return packed(structure)


def is_same_structure(a: Any, b: Any) -> bool:
    """Whether nested structs have the same names at the same places."""
    if not isinstance(a, Struct) or not isinstance(b, Struct):
        return not isinstance(a, Struct) and not isinstance(b, Struct)
    if name_list_with_nones(a) != name_list_with_nones(b):
        return False
    return all(is_same_structure(one, other) for one, other in zip(a, b, strict=True))


def map_structure(fn: Callable[..., Any], *structures: Any) -> Any:
    """A function of the leaves of nested structs that are alike.

    Args:
        fn: The function of one leaf of each.
        *structures: The structs.

    Raises:
        TypeError: If they are not alike.
    """
    first, *others = structures
    if any(not is_same_structure(first, other) for other in others):
        raise TypeError(f"Expected structs with the same fields, found {structures}.")
    flat = [fn(*leaves) for leaves in zip(*map(flatten, structures), strict=True)]
    return pack_sequence_as(first, flat)


def from_container(value: Any, recursive: bool = False) -> Struct:
    """The struct of what is in a container of Python.

    Args:
        value: A mapping, list, tuple or named tuple, or a struct.
        recursive: Whether containers inside are turned too.

    Raises:
        TypeError: If it is no container.
    """

    def inside(part: Any) -> Any:
        return from_container(part, True) if recursive and _is_container(part) else part

    if isinstance(value, Struct):
        return Struct((name, inside(part)) for name, part in iter_elements(value))
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return Struct((name, inside(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return Struct((None, inside(part)) for part in value)
    raise TypeError(f"Expected a container, found {type(value)}.")


def _is_container(value: Any) -> bool:
    return isinstance(value, Struct | Mapping | list | tuple)


def update_struct(structure: Any, **kwargs: Any) -> Any:
    """A container with other values in some of its fields.

    Args:
        structure: A struct, a mapping or a named tuple.
        **kwargs: The new values by name.

    Raises:
        KeyError: If there is no such field.
        TypeError: If it is none of these.
    """
    if isinstance(structure, Struct):
        names = name_list(structure)
    elif isinstance(structure, Mapping):
        names = list(structure)
    elif hasattr(structure, "_replace"):
        names = list(structure._fields)
    else:
        raise TypeError(f"Expected a struct, a mapping or a named tuple, found {type(structure)}.")
    missing = next((name for name in kwargs if name not in names), None)
    if missing is not None:
        raise KeyError(f"There is no field {missing!r}, only {names}.")
    if isinstance(structure, Struct):
        pairs = iter_elements(structure)
        return Struct((name, value if name is None else kwargs.get(name, value)) for name, value in pairs)
    if isinstance(structure, OrderedDict):
        return OrderedDict(structure, **kwargs)
    return {**structure, **kwargs} if isinstance(structure, Mapping) else structure._replace(**kwargs)
