# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Near misses: one mistake in a well-typed program, and the checker says what, and where."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, seed, settings

from foedus import testing
from foedus.errors import FoedusError, PlacementError, StructureError, TypeMismatchError
from foedus.ir import check
from foedus.testing import NearMiss

KINDS = (
    "call: another value",
    "call: misnamed field",
    "call: missing argument",
    "call: missing field",
    "call: no function",
    "call: spare field",
    "missing field",
    "misnamed field",
    "no sequence",
    "no struct",
    "not placed",
    "selection: no such field",
    "reference: unbound",
    "operator: unknown",
    "wrong dtype",
    "operator: another",
    "wrong placement",
    "wrong shape",
)


def test_each_is_refused_with_what_was_found_what_was_expected_and_where():
    mistakes: Counter[str] = Counter()
    errors: set[type[FoedusError]] = set()

    def check_one(miss: NearMiss) -> None:
        assert check(miss.program.computation.node) == miss.program.computation.type
        with pytest.raises(TypeMismatchError) as caught:
            miss.check()
        error = caught.value
        assert error.found
        assert error.expected
        assert error.at
        assert "test_near_misses.py" in error.at
        for row in ("found", "expected", "at"):
            assert f"\n  {row:<9} {getattr(error, row).splitlines()[0]}" in str(error)
        mistakes[miss.mistake] += 1
        errors.add(type(error))

    def missing() -> list[str]:
        return [kind for kind in KINDS if not any(kind in mistake for mistake in mistakes)]

    for number in range(5):  # The rarest come seven times in 600: once in a while, not at all.
        once = settings(max_examples=600, derandomize=False)(given(testing.near_misses())(check_one))
        seed(number)(once)()
        if not missing():
            break
    assert missing() == []
    assert errors == {PlacementError, StructureError, TypeMismatchError}


@settings(max_examples=5)
@given(testing.near_misses())
def test_a_near_miss_prints_the_mistake_and_the_program(miss: NearMiss):
    assert str(miss).startswith(f"{miss.mistake}: at ")
    assert str(miss).endswith(f" of\n{miss.program.computation}")
