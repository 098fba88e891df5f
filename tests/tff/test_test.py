# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Assertions for tests of programs for TFF."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff

ANY = tff.to_type((np.float32, [None]))
THREE = tff.to_type((np.float32, [3]))
LIST, TUPLE = tff.to_type([np.int32, np.int32]), tff.to_type((np.int32, np.int32))


def test_types():
    tff.test.assert_types_identical(LIST, LIST)
    tff.test.assert_types_equivalent(LIST, TUPLE)
    tff.test.assert_type_assignable_from(ANY, THREE)
    with pytest.raises(AssertionError) as caught:
        tff.test.assert_types_equivalent(ANY, THREE)
    assert str(caught.value) == "Expected float32[?] to be equivalent to float32[3]."
    with pytest.raises(AssertionError) as caught:
        tff.test.assert_type_assignable_from(THREE, ANY)
    assert str(caught.value) == "Expected float32[?] to be assignable to float32[3]."
    with pytest.raises(AssertionError) as caught:
        tff.test.assert_types_identical(LIST, TUPLE)
    assert str(caught.value) == f"Expected the types to be identical, found {LIST!r} and {TUPLE!r}."
    no_type: Any = np.int32
    with pytest.raises(TypeError) as caught:
        tff.test.assert_types_identical(LIST, no_type)
    assert str(caught.value) == "Expected a tff.Type, found <class 'type'>."


def test_structures():
    x = OrderedDict(a=np.array([1, 2]), b=[3.0, (4, "five")])
    tff.test.assert_nested_struct_eq(x, OrderedDict(a=np.array([1, 2]), b=(3.0, [4, "five"])))
    struct = tff.structure.Struct([("a", 1), ("b", 2)])
    tff.test.assert_nested_struct_eq(struct, OrderedDict(a=1, b=2))
    with pytest.raises(ValueError, match="six") as caught:
        tff.test.assert_nested_struct_eq(x, OrderedDict(a=np.array([1, 2]), b=[3.0, (4, "six")]))
    assert str(caught.value) == "Expected equal values at .b[1][1], found 'five' and 'six'."
    with pytest.raises(AssertionError) as caught:
        tff.test.assert_nested_struct_eq({"a": 1}, {"b": 1})
    assert str(caught.value) == "Expected the same fields at the whole, found ['a'] and ['b']."
    with pytest.raises(ValueError, match="found 1 and \\[1\\]"):
        tff.test.assert_nested_struct_eq(1, [1])


def test_warnings():
    with tff.test.assert_not_warns(DeprecationWarning):
        warnings.warn("of another class", UserWarning, stacklevel=1)
    with pytest.raises(AssertionError) as caught, tff.test.assert_not_warns():
        warnings.warn("careful", UserWarning, stacklevel=1)
    assert str(caught.value) == "Expected no Warning, found UserWarning: careful"


class Case(tff.test.TestCase):
    def test_types(self):
        self.assert_type_string(THREE, "float32[3]")
        with pytest.raises(AssertionError) as caught:
            self.assert_type_string(THREE, "float32[4]")
        assert str(caught.value) == "Expected the type float32[4], found float32[3]."
        self.assert_types_identical(LIST, LIST)
        self.assert_types_equivalent(LIST, TUPLE)
        self.assert_type_assignable_from(ANY, THREE)

    def test_values(self):
        self.assert_nested_struct_eq([1], (1,))
        self.assertAllEqual([1, 2], np.array([1, 2]))
        self.assertAllClose({"a": [1.0, 2.0]}, {"a": np.array([1.0, 2.0 + 1e-7])})
        with self.assert_not_warns():
            pass
        with pytest.raises(AssertionError):
            self.assertAllClose([1.0], [1.1])
        with pytest.raises(AssertionError):
            self.assertAllEqual({"a": 1}, {"b": 1})


def test_a_case_is_one_of_unittest():
    assert issubclass(tff.test.TestCase, unittest.TestCase)


def test_main(tmp_path: Path):
    program = tmp_path / "own_test.py"
    program.write_text(
        "import foedus.tff as tff\n"
        "class Own(tff.test.TestCase):\n"
        "    def test_it(self):\n"
        "        self.assert_type_string(tff.to_type('int32'), 'int32')\n"
        "if __name__ == '__main__':\n"
        "    tff.test.main()\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "OK")
