# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.test``: what tests of TFF's users share."""

from __future__ import annotations

import unittest
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from foedus.tff.structure import Struct, to_odict_or_tuple
from foedus.tff.types import Type
from foedus.types import parts_of

__all__ = [
    "TestCase",
    "assert_nested_struct_eq",
    "assert_not_warns",
    "assert_type_assignable_from",
    "assert_types_equivalent",
    "assert_types_identical",
    "main",
]


class NotEqualError(AssertionError, ValueError):
    """Two structures are not equal."""


def assert_types_identical(first: Type, second: Type) -> None:
    """Raises ``AssertionError`` unless two types are equal, the containers of structs included.

    Args:
        first: A type.
        second: Another one.
    """
    _check_types(first, second)
    if not first.is_identical_to(second):
        raise AssertionError(f"Expected the types to be identical, found {first!r} and {second!r}.")


def assert_types_equivalent(first: Type, second: Type) -> None:
    """Raises ``AssertionError`` unless each of two types is assignable to the other.

    Args:
        first: A type.
        second: Another one.
    """
    _check_types(first, second)
    if not first.is_equivalent_to(second):
        raise AssertionError(f"Expected {first} to be equivalent to {second}.")


def assert_type_assignable_from(target: Type, source: Type) -> None:
    """Raises ``AssertionError`` unless a value of one type can be used where another is needed.

    Args:
        target: The type that is needed.
        source: The type of the value.
    """
    _check_types(target, source)
    if not target.is_assignable_from(source):
        raise AssertionError(f"Expected {source} to be assignable to {target}.")


def _check_types(*types: Any) -> None:
    odd = next((t for t in types if not isinstance(t, Type)), None)
    if odd is not None:
        raise TypeError(f"Expected a tff.Type, found {type(odd)}.")


def assert_nested_struct_eq(x: Any, y: Any) -> None:
    """Raises ``NotEqualError``, a ``ValueError``, unless two structures have equal values in equal places.

    Args:
        x: Nested containers of values.
        y: Others; a list counts as a tuple with the same items.
    """
    _compare(x, y, "")


def _compare(x: Any, y: Any, path: str) -> None:
    where = path or "the whole"
    first, second = _parts(x), _parts(y)
    if first is None or second is None:
        if first is not second or not np.array_equal(np.asarray(x), np.asarray(y)):
            raise NotEqualError(f"Expected equal values at {where}, found {x!r} and {y!r}.")
        return
    names = [[name for name, _ in parts] for parts in (first, second)]
    if names[0] != names[1]:
        raise NotEqualError(f"Expected the same fields at {where}, found {names[0]} and {names[1]}.")
    for i, ((name, one), (_, other)) in enumerate(zip(first, second, strict=True)):
        _compare(one, other, f"{path}[{i}]" if name is None else f"{path}.{name}")


def _parts(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, Struct):
        value = to_odict_or_tuple(value)
    parts = None if hasattr(value, "dtype") else parts_of(value)
    return None if parts is None else list(parts)


@contextmanager
def assert_not_warns(category: type[Warning] = Warning) -> Iterator[None]:
    """Raises ``AssertionError`` if what is done meanwhile warns; also a decorator of test functions.

    Args:
        category: The class of the warnings.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = next((w for w in caught if issubclass(w.category, category)), None)
    if found is not None:
        raise AssertionError(
            f"Expected no {category.__name__}, found {found.category.__name__}: {found.message}"
        )


def _each(compare: Any, a: Any, b: Any) -> None:
    first, second = _parts(a), _parts(b)
    if first is None or second is None or not any(name is not None for name, _ in first):
        compare(np.asarray(a), np.asarray(b))
        return
    if [name for name, _ in first] != [name for name, _ in second]:
        raise NotEqualError(f"Expected the same fields, found {a!r} and {b!r}.")
    for (_, one), (_, other) in zip(first, second, strict=True):
        _each(compare, one, other)


def _all_equal(a: Any, b: Any) -> None:
    """Fails unless arrays are equal, in containers or not."""
    _each(np.testing.assert_array_equal, a, b)


def _all_close(a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6) -> None:
    """Fails unless arrays are close, in containers or not."""
    _each(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


_OfArrays: Any = type(
    "_OfArrays",
    (unittest.TestCase,),
    {"assertAllEqual": staticmethod(_all_equal), "assertAllClose": staticmethod(_all_close)},
)
"""A test case with the two assertions of TensorFlow's own that users know best."""


class TestCase(_OfArrays):
    """A test case with assertions about types and arrays.

    Beside those of ``unittest`` and those below, it has ``assertAllEqual(a, b)`` and ``assertAllClose(a, b,
    rtol=1e-6, atol=1e-6)`` for arrays, in containers or not.
    """

    __test__ = False  # Of this class itself there is nothing to test.

    def __init_subclass__(cls) -> None:
        cls.__test__ = True

    def assert_type_string(self, type_spec: Type, expected: str) -> None:
        """Fails unless a type prints as expected."""
        found = type_spec.compact_representation()
        if found != expected:
            raise AssertionError(f"Expected the type {expected}, found {found}.")

    def assert_types_identical(self, first: Type, second: Type) -> None:
        """Fails unless two types are equal, the containers of structs included."""
        assert_types_identical(first, second)

    def assert_types_equivalent(self, first: Type, second: Type) -> None:
        """Fails unless each of two types is assignable to the other."""
        assert_types_equivalent(first, second)

    def assert_type_assignable_from(self, target: Type, source: Type) -> None:
        """Fails unless a value of one type can be used where another is needed."""
        assert_type_assignable_from(target, source)

    def assert_nested_struct_eq(self, x: Any, y: Any) -> None:
        """Fails unless two structures have the same values in the same places."""
        assert_nested_struct_eq(x, y)

    def assert_not_warns(self, category: type[Warning] = Warning) -> Any:
        """A context that fails if what is done in it warns."""
        return assert_not_warns(category)


def main() -> None:
    """Runs the tests of the program."""
    unittest.main()
