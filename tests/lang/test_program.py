# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Functions that are programs of the language whatever they do, and what may be asked while one is traced."""

from __future__ import annotations

from typing import Any, cast

import pytest

import foedus as fd
from foedus.errors import TracingError
from foedus.lang import Computation, in_local_code, is_tracing, program


def test_constants_and_arguments_come_back_as_they_are():
    assert cast("Any", program(lambda: ("hello", 3)))() == ("hello", 3)
    both = cast("Any", program("int32", "str"))(lambda number, text: (text, number))
    assert str(both.type) == "(<number=int32,text=str> -> <str,int32>)"
    assert both(1, "a") == ("a", 1)
    any_type = cast("Any", program(lambda x: [x]))
    assert (any_type(1), any_type("b")) == ([1], ["b"])


def test_no_local_code():
    made = program(lambda x: x, fd.int32)
    assert isinstance(made, Computation)
    assert str(made) == "(p1:int32 -> p1)"
    with pytest.raises(TracingError, match="Adding or subtracting a value of the language is local code"):
        program(lambda x: x + 1, fd.int32)


def test_what_is_being_traced():
    seen: list[tuple[bool, bool]] = []

    def local(x: Any) -> Any:
        seen.append((is_tracing(), in_local_code()))
        return x + 1

    @fd.computation(fd.at_clients(fd.int32))
    def outer(value: Any) -> Any:
        seen.append((is_tracing(), in_local_code()))
        assert value.type_signature == value.type == fd.at_clients(fd.int32)
        return fd.federated_map(local, value)

    assert outer([1]) == [2]
    assert seen[:2] == [(True, False), (False, True)]
    assert (is_tracing(), in_local_code()) == (False, False)
