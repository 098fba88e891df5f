# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.types``: the types of the language as TFF has them, with its methods, its notation and its errors.

Each is a view of a type of ``foedus.types``. Types print as TFF prints them, which differs from Foedus in
tensors of unknown rank (``'float32'(shape=None)``, ours: ``float32[...]``) and in odd names of fields, which
Foedus quotes.
"""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, cast, final

from foedus import types as ours
from foedus.tff import structure
from foedus.types import CLIENTS, SERVER, PlacementLiteral

__all__ = [
    "AbstractType",
    "FederatedType",
    "FunctionType",
    "PlacementType",
    "SequenceType",
    "StructType",
    "StructWithPythonType",
    "TensorType",
    "Type",
    "TypeNotAssignableError",
    "TypesNotEquivalentError",
    "UnexpectedTypeError",
    "at_clients",
    "at_server",
    "deserialize_type",
    "serialize_type",
    "tensorflow_to_type",
    "to_type",
    "type_at_clients",
    "type_at_server",
]


class TypeNotAssignableError(TypeError):
    """A value of one type cannot be used where another is needed."""

    def __init__(self, source_type: Type, target_type: Type) -> None:
        super().__init__(f"Expected {source_type} to be assignable to {target_type}.")
        self.source_type = source_type
        self.target_type = target_type


class TypesNotEquivalentError(TypeError):
    """Two types are not each assignable to the other."""

    def __init__(self, first_type: Type, second_type: Type) -> None:
        super().__init__(f"Expected {first_type} to be equivalent to {second_type}.")
        self.first_type = first_type
        self.second_type = second_type


class UnexpectedTypeError(TypeError):
    """A type is of another kind than the one that is needed."""

    def __init__(self, expected: type, actual: Type) -> None:
        super().__init__(f"Expected type of kind {expected}, found type {actual}.")
        self.expected = expected
        self.actual = actual


class Type(abc.ABC):
    """Any type.

    Args:
        foedus: The same as a type of ``foedus.types``.
    """

    def __init__(self, foedus: ours.Type) -> None:
        self.foedus = foedus

    def compact_representation(self) -> str:
        """The type on one line, as ``str`` gives it."""
        return _compact(self.foedus)

    def formatted_representation(self) -> str:
        """The type with each field of its structs on a line of its own."""
        return "\n".join(_lines(self.foedus))

    def children(self) -> Iterator[Type]:
        """The types that it is directly made of."""
        return iter([view(child) for child in ours.children(self.foedus)])

    def is_assignable_from(self, source_type: Type) -> bool:
        """Whether a value of ``source_type`` can be used where this type is needed."""
        return ours.is_assignable(self.foedus, source_type.foedus)

    def check_assignable_from(self, source_type: Type) -> None:
        """Raises ``TypeNotAssignableError`` unless ``is_assignable_from``."""
        if not self.is_assignable_from(source_type):
            raise TypeNotAssignableError(source_type, self)

    def is_equivalent_to(self, other: Type) -> bool:
        """Whether each of two types is assignable to the other."""
        return ours.is_equivalent(self.foedus, other.foedus)

    def check_equivalent_to(self, other: Type) -> None:
        """Raises ``TypesNotEquivalentError`` unless ``is_equivalent_to``."""
        if not self.is_equivalent_to(other):
            raise TypesNotEquivalentError(self, other)

    def is_identical_to(self, other: Type) -> bool:
        """Whether two types are equal, the containers of structs included."""
        return self == other

    def is_tensor(self) -> bool:
        """Whether it is a ``TensorType``."""
        return isinstance(self, TensorType)

    def is_struct(self) -> bool:
        """Whether it is a ``StructType``."""
        return isinstance(self, StructType)

    def is_struct_with_python(self) -> bool:
        """Whether it is a ``StructWithPythonType``."""
        return isinstance(self, StructWithPythonType)

    def is_sequence(self) -> bool:
        """Whether it is a ``SequenceType``."""
        return isinstance(self, SequenceType)

    def is_function(self) -> bool:
        """Whether it is a ``FunctionType``."""
        return isinstance(self, FunctionType)

    def is_federated(self) -> bool:
        """Whether it is a ``FederatedType``."""
        return isinstance(self, FederatedType)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Type):
            return NotImplemented
        return self.foedus == other.foedus and _containers(self.foedus) == _containers(other.foedus)

    def __hash__(self) -> int:
        return hash(self.foedus)

    @abc.abstractmethod
    def __repr__(self) -> str: ...

    def __str__(self) -> str:
        return self.compact_representation()


@final
class TensorType(Type):
    """The type of tensors.

    Args:
        dtype: Of TensorFlow or of NumPy.
        shape: A list of lengths, None for an unknown one; None for an unknown rank.
    """

    def __init__(self, dtype: object, shape: Any = ()) -> None:
        rank = getattr(shape, "rank", 0)
        known = None if shape is None or rank is None else tuple(shape)
        found = ours.to_dtype(dtype)
        if found is None:
            raise TypeError(f"Expected a dtype, found {dtype!r}.")
        super().__init__(ours.Tensor(found, known))

    @property
    def dtype(self) -> Any:
        """The dtype, NumPy's."""
        return cast("ours.Tensor", self.foedus).dtype

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The lengths; None for an unknown rank."""
        return cast("ours.Tensor", self.foedus).shape

    def __repr__(self) -> str:
        return f"TensorType({self.dtype!r}, {self.shape!r})"


class StructType(Type):
    """The type of structs.

    Args:
        elements: Types, or ``(name, type)`` pairs; or a mapping from names to types.
    """

    def __init__(self, elements: Any, *, convert: bool = True) -> None:
        super().__init__(_struct(elements, None))

    @property
    def _elements(self) -> list[tuple[str | None, Type]]:
        return [(name, view(t)) for name, t in cast("ours.Struct", self.foedus).fields]

    @property
    def python_container(self) -> type | None:
        """The Python class that values come in; None where nothing says."""
        return cast("ours.Struct", self.foedus).container

    def items(self) -> Iterator[tuple[str | None, Type]]:
        """The names and types of the fields, in order."""
        return iter(self._elements)

    def fields(self) -> list[str]:
        """The names of the fields that have one."""
        return [name for name, _ in self._elements if name is not None]

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[Type]:
        return iter([t for _, t in self._elements])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return getattr(self, key)
        return [t for _, t in self._elements][key]

    def __getattr__(self, name: str) -> Type:
        if name.startswith("__") or name == "foedus":
            raise AttributeError(name)
        found = next((t for field, t in self._elements if field == name), None)
        if found is None:
            raise AttributeError(f"The tuple of type '{self}' does not have a member '{name}'")
        return found

    def __repr__(self) -> str:
        return f"StructType({self._elements!r})"


@final
class StructWithPythonType(StructType):
    """The type of structs that come in a Python container.

    Args:
        elements: As for ``StructType``.
        container_type: ``list``, ``tuple``, ``dict``, ``OrderedDict``, or the class of a named tuple.
    """

    def __init__(self, elements: Any, container_type: type) -> None:
        Type.__init__(self, _struct(elements, container_type))

    @classmethod
    def get_container_type(cls, value: StructWithPythonType) -> type | None:
        """The container of such a type."""
        return value.python_container

    def __repr__(self) -> str:
        return f"StructWithPythonType({self._elements!r}) as {self.python_container}"


@final
class SequenceType(Type):
    """The type of sequences, such as data sets.

    Args:
        element: The type of an element.
    """

    def __init__(self, element: object) -> None:
        super().__init__(ours.Sequence(foedus_type(element)))

    @property
    def element(self) -> Type:
        """The type of an element."""
        return view(cast("ours.Sequence", self.foedus).element)

    def __repr__(self) -> str:
        return f"SequenceType({self.element!r})"


@final
class FunctionType(Type):
    """The type of functions.

    Args:
        parameter: The type of the argument; None for none.
        result: The type of the result.
    """

    def __init__(self, parameter: object, result: object) -> None:
        given = None if parameter is None else foedus_type(parameter)
        super().__init__(ours.Function(given, foedus_type(result)))

    @property
    def parameter(self) -> Any:
        """The type of the argument; None for none."""
        given = cast("ours.Function", self.foedus).parameter
        return None if given is None else view(given)

    @property
    def result(self) -> Any:
        """The type of the result."""
        return view(cast("ours.Function", self.foedus).result)

    def __repr__(self) -> str:
        return f"FunctionType({self.parameter!r}, {self.result!r})"


@final
class FederatedType(Type):
    """The type of placed values.

    Args:
        member: The type of one member's value.
        placement: ``tff.CLIENTS`` or ``tff.SERVER``.
        all_equal: Whether all members have one value; by default at the server only.
    """

    def __init__(self, member: object, placement: PlacementLiteral, all_equal: bool | None = None) -> None:
        equal = placement.default_all_equal if all_equal is None else all_equal
        super().__init__(ours.Federated(foedus_type(member), placement, equal))

    @property
    def member(self) -> Any:
        """The type of one member's value."""
        return view(cast("ours.Federated", self.foedus).member)

    @property
    def placement(self) -> PlacementLiteral:
        """The placement."""
        return cast("ours.Federated", self.foedus).placement

    @property
    def all_equal(self) -> bool:
        """Whether all members have one value."""
        return cast("ours.Federated", self.foedus).all_equal

    def __repr__(self) -> str:
        return f"FederatedType({self.member!r}, {self.placement}, {self.all_equal})"


@final
class PlacementType(Type):
    """The type of placements."""

    def __init__(self) -> None:
        super().__init__(ours.Placement())

    def __repr__(self) -> str:
        return "PlacementType()"


@final
class AbstractType(Type):
    """A type variable.

    Args:
        label: Its name.
    """

    def __init__(self, label: str) -> None:
        super().__init__(ours.Abstract(label))

    @property
    def label(self) -> str:
        """Its name."""
        return cast("ours.Abstract", self.foedus).label

    def is_assignable_from(self, source_type: Type) -> bool:
        """Raises ``TypeError``: what a variable stands for is not known."""
        raise TypeError("Abstract types are not comparable.")

    def __repr__(self) -> str:
        return f"AbstractType({self.label!r})"


def view(type_: ours.Type) -> Type:
    """A type of Foedus as TFF has it."""
    match type_:
        case ours.Tensor():
            cls: type[Type] = TensorType
        case ours.Struct(container=None):
            cls = StructType
        case ours.Struct():
            cls = StructWithPythonType
        case ours.Sequence():
            cls = SequenceType
        case ours.Function():
            cls = FunctionType
        case ours.Federated():
            cls = FederatedType
        case ours.Placement():
            cls = PlacementType
        case _:
            cls = AbstractType
    made = cls.__new__(cls)
    made.foedus = type_
    return made


def foedus_type(spec: object) -> ours.Type:
    """The type of ``foedus.types`` that a specification means; see ``to_type``."""
    return ours.to_type(_inside(spec))


def _inside(spec: Any) -> Any:
    """A specification with the types of TFF in it replaced by those of Foedus."""
    if isinstance(spec, Type):
        return spec.foedus
    if isinstance(spec, structure.Struct):
        return ours.Struct(tuple((n, foedus_type(t)) for n, t in structure.iter_elements(spec)))
    if isinstance(spec, Mapping):
        items = {key: _inside(item) for key, item in spec.items()}
        return OrderedDict(items) if isinstance(spec, OrderedDict) else items
    if hasattr(spec, "_fields") and isinstance(spec, tuple):
        return type(spec)(*(_inside(item) for item in spec))
    if isinstance(spec, list | tuple):
        return type(spec)(_inside(item) for item in spec)
    return spec


def _struct(elements: Any, container: type | None) -> ours.Struct:
    if isinstance(elements, Mapping):
        pairs = [(str(name), foedus_type(item)) for name, item in elements.items()]
        return ours.Struct(tuple(pairs), container)
    found = foedus_type(list(elements))
    assert isinstance(found, ours.Struct)
    return ours.Struct(found.fields, container)


def _containers(type_: ours.Type) -> list[type | None]:
    return [t.container for t in ours.walk(type_) if isinstance(t, ours.Struct)]


def _compact(type_: ours.Type) -> str:
    match type_:
        case ours.Tensor(dtype, None):
            return f"'{ours.show(ours.Tensor(dtype))}'(shape=None)"
        case ours.Struct(fields):
            return f"<{','.join(f'{_named(name)}{_compact(t)}' for name, t in fields)}>"
        case ours.Sequence(element):
            return f"{_compact(element)}*"
        case ours.Function(parameter, result):
            return f"({'' if parameter is None else _compact(parameter)} -> {_compact(result)})"
        case ours.Federated(member, placement, all_equal):
            return f"{_compact(member)}@{placement}" if all_equal else f"{{{_compact(member)}}}@{placement}"
        case _:
            return ours.show(type_)


def _named(name: str | None) -> str:
    return "" if name is None else f"{name}="


def _joined(*parts: list[str]) -> list[str]:
    """Blocks of lines one after another: each begins on the last line of the one before it."""
    lines = [""]
    for first, *rest in parts:
        lines = [*lines[:-1], lines[-1] + first, *rest]
    return lines


def _lines(type_: ours.Type) -> list[str]:
    match type_:
        case ours.Struct(fields) if fields:
            inner = [
                f"  {line}"
                for i, (name, t) in enumerate(fields)
                for line in _joined([_named(name)], _lines(t), ["," if i < len(fields) - 1 else ""])
            ]
            return ["<", *inner, ">"]
        case ours.Sequence(element):
            return _joined(_lines(element), ["*"])
        case ours.Function(parameter, result):
            given = [""] if parameter is None else _lines(parameter)
            return _joined(["("], given, [" -> "], _lines(result), [")"])
        case ours.Federated(member, placement, all_equal):
            opening, closing = ("", "") if all_equal else ("{", "}")
            return _joined([opening], _lines(member), [f"{closing}@{placement}"])
        case _:
            return [_compact(type_)]


def to_type(spec: object) -> Type:
    """The type that a specification means.

    Args:
        spec: A type; a dtype of TensorFlow or NumPy; ``(dtype, shape)``; a ``tf.TensorSpec``; a data set's
            ``element_spec``; lists, tuples, mappings, named tuples and ``Struct``s of specifications.

    Returns:
        The type.
    """
    return view(foedus_type(spec))


def tensorflow_to_type(spec: object) -> Type:
    """As ``to_type``, by its name of 2023."""
    return to_type(spec)


def at_clients(member: object, all_equal: bool = False) -> FederatedType:
    """``FederatedType`` at the clients."""
    return FederatedType(member, CLIENTS, all_equal)


def at_server(member: object) -> FederatedType:
    """``FederatedType`` at the server."""
    return FederatedType(member, SERVER, True)


def type_at_clients(member: object, all_equal: bool = False) -> FederatedType:
    """As ``at_clients``, by its name of 2021."""
    return at_clients(member, all_equal)


def type_at_server(member: object) -> FederatedType:
    """As ``at_server``, by its name of 2021."""
    return at_server(member)


def serialize_type(type_spec: Type) -> bytes:
    """A type as bytes, in the format of ``foedus.wire`` (not the protocol buffer that TFF writes)."""
    from foedus.wire import encode_type

    return encode_type(type_spec.foedus)


def deserialize_type(data: bytes) -> Type:
    """The type that ``serialize_type`` wrote."""
    from foedus.wire import decode_type

    return view(decode_type(data))
