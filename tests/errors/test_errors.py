# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The exceptions: their text, the tree in the docstring, and the user's line."""

from __future__ import annotations

import linecache
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import foedus.errors
from foedus.errors import FoedusError, PlacementError, describe_line, failing_line, place, user_line


def test_the_text_has_a_row_for_what_is_known():
    error = PlacementError(
        "federated_sum needs a value at CLIENTS",
        found="float32@SERVER",
        expected="{T}@CLIENTS",
        at="train.py:41",
        hint="use it as it is",
    )
    assert str(error) == (
        "federated_sum needs a value at CLIENTS\n"
        "  found     float32@SERVER\n"
        "  expected  {T}@CLIENTS\n"
        "  at        train.py:41\n"
        "  hint      use it as it is"
    )
    assert str(PlacementError("No more is known")) == "No more is known"


def test_lines_of_a_row_stand_below_each_other():
    assert (
        str(FoedusError("Two lines", found="one\nother")) == "Two lines\n  found     one\n            other"
    )


def test_rows_can_be_numbers_and_zero_is_shown():
    assert str(FoedusError("A count", found=0)) == "A count\n  found     0"


def drawn_tree() -> dict[str, tuple[str, list[str]]]:
    """Each class in the docstring's drawing, with its parent and the classes in parentheses."""
    assert foedus.errors.__doc__ is not None
    found, parents = {}, ["FoedusError"]
    tree = foedus.errors.__doc__.split("```")[1].strip().split("\n\n")[0]
    for line in tree.splitlines()[1:]:
        parts = re.fullmatch(r"([│├└─ ]*)(\w+)(?: \((.+)\))?", line)
        assert parts is not None
        indent, name, others = parts.groups()
        parents[len(indent) // 4 :] = [name]
        found[name] = (parents[-2], others.split(", ") if others else [])
    return found


def test_the_drawn_tree_is_the_tree():
    drawn = drawn_tree()
    classes = {
        name: thing
        for name, thing in vars(foedus.errors).items()
        if isinstance(thing, type) and thing is not FoedusError and issubclass(thing, FoedusError)
    }
    assert drawn.keys() == classes.keys()
    for name, (parent, others) in drawn.items():
        assert [parent, *others] == [base.__name__ for base in classes[name].__bases__]


def test_exceptions_are_named_by_their_public_path():
    assert str(PlacementError) == "<class 'foedus.errors.PlacementError'>"


def test_users_can_catch_what_python_has_for_it():
    with pytest.raises(TypeError):
        raise PlacementError("A type error too")


def test_the_users_line_is_the_innermost_outside_the_package():
    line = (lambda: user_line())()
    assert line is not None
    assert re.fullmatch(r"test_errors\.py:\d+: line = \(lambda: user_line\(\)\)\(\)", line)


def test_a_place_joins_what_is_known():
    described = place(".w of the model", None)
    assert described is not None
    assert re.fullmatch(r"\.w of the model, test_errors\.py:\d+: described = place\(.*", described)


def test_no_line_of_a_library_is_the_users():
    with pytest.raises(ValueError, match="broadcast") as caught:
        np.add(np.zeros(2), np.zeros(3))
    line = failing_line(caught.value)
    assert line is not None
    assert line.endswith(": np.add(np.zeros(2), np.zeros(3))")


def test_a_thread_that_no_user_started_has_no_line():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(user_line).result() is None
        assert pool.submit(place).result() is None


def test_an_error_that_was_not_raised_has_no_line():
    assert failing_line(ValueError()) is None


@pytest.mark.parametrize("path", ["/tmp/ipykernel_17/123.py", "<ipython-input-3-abc>"])
def test_a_line_in_a_notebook_is_a_line_of_the_cell(path: str):
    linecache.cache[path] = (7, None, ["first\n", "x = 1\n"], path)
    assert describe_line(path, 2) == "line 2 of the cell: x = 1"
    del linecache.cache[path]


def test_a_line_of_unknown_source_is_named_only():
    assert describe_line("/nowhere/train.py", 41) == "train.py:41"
