# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.test``: what tests of TFF's users share, until it was removed."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "TestCase",
    "assert_nested_struct_eq",
    "assert_not_warns",
    "assert_types_equivalent",
    "assert_types_identical",
    "main",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.test.{name}", instead)


_PYTEST = "use pytest, and assert type.is_equivalent_to(other)"
TestCase = _absent("TestCase", _PYTEST)
assert_types_equivalent = _absent("assert_types_equivalent", _PYTEST)
assert_types_identical = _absent("assert_types_identical", _PYTEST)
assert_nested_struct_eq = _absent("assert_nested_struct_eq", _PYTEST)
assert_not_warns = _absent("assert_not_warns", _PYTEST)
main = _absent("main", _PYTEST)
