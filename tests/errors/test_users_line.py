# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of code that ran compiled say themselves which line made them."""

from __future__ import annotations

from foedus.errors import failing_line


class CompiledError(RuntimeError):
    users_line: object = "train.py:41: x + y"


def test_an_error_may_know_its_line():
    assert failing_line(CompiledError()) == "train.py:41: x + y"


def test_what_is_no_line_is_not_taken_for_one():
    error = CompiledError()
    error.users_line = None
    assert failing_line(error) is None
