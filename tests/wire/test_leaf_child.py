# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a child says, in this process: the same code as in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from foedus.wire import _leaf_child

from .stored_programs import stream


@pytest.fixture
def say(words: None) -> Any:
    """Reads leaves, and gives what was said."""

    def said(*items: int | str | bytes) -> list[dict[str, object]]:
        lines: list[dict[str, object]] = []
        _leaf_child.read(stream(*items), lines.append)
        return lines

    return said


def test_all_is_well(say: Any):
    leaf = ("word", "( -> int32)", 4, b"good")
    assert say(0) == [{"read": 0}]
    assert say(2, *leaf, *leaf) == [{"leaf": 0}, {"leaf": 1}, {"read": 2}]


def test_what_a_leaf_says_is_said(say: Any):
    lines = say(2, "word", "( -> int32)", 5, b"magic", "word", "( -> int32)", 4, b"good")
    assert lines[-1] == {
        "error": "UnsupportedError",
        "headline": "There is no magic",
        "found": "magic",
        "expected": None,
        "hint": "use words",
    }


@pytest.mark.parametrize(
    ("items", "headline"),
    [
        ((1, "word", "( -> int32)", 4, b"bomb"), "The stored leaf cannot be read"),
        ((1, "word", "( -> int32)", 4, b"a b "), "This is no word"),
        ((1, "word", "int32", 4, b"good"), "These bytes do not hold what they say they do"),
        ((1, "word", "int32)", 4, b"good"), "The stored type cannot be read"),
        ((1, "runes", "( -> int32)", 4, b"good"), "There is no such kind of local code"),
        ((1, "jax", "( -> int32)", 4, b"good"), "No bytes hold a leaf of the kind 'jax'"),
        ((9, "word"), "These bytes do not hold what they say they do"),
        ((0, 0), "These bytes do not hold what they say they do"),
        ((), "These bytes do not hold what they say they do"),
    ],
)
def test_whatever_is_wrong_is_corrupt(say: Any, items: tuple[Any, ...], headline: str):
    last = say(*items)[-1]
    assert last["error"] == "CorruptDataError"
    assert last["headline"] == headline
