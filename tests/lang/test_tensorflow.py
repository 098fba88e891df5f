# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How TensorFlow code is marked. Here JAX stands for TensorFlow, which need not be installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

import foedus as fd
from foedus.errors import MissingExtraError, TracingError
from foedus.foreign import _table as table


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table._LOADED, "tensorflow", table.kind("jax"))


@fd.tensorflow
def double(x: Any) -> Any:
    return x * 2


@fd.tensorflow
def quadruple(x: Any) -> Any:
    return double(double(x))


@fd.tensorflow
def minus(a: Any, b: Any) -> Any:
    return a - b


@fd.tensorflow
def seven() -> Any:
    return 7


@pytest.mark.usefixtures("stand_in")
def test_it_is_given_to_operators_and_called_inside_of_computations():
    @fd.computation(fd.at_clients(fd.int32))
    def program(x: Any) -> Any:
        both = fd.federated_map(minus, (x, fd.federated_map(double, x)))
        return both, fd.federated_map(lambda v: minus(quadruple(v), seven()), x)

    assert program([1, 5]) == ([-1, -5], [-3, 13])


@pytest.mark.usefixtures("stand_in")
def test_it_is_made_a_computation():
    one = fd.computation(fd.int32, fd.int32)(minus)
    assert str(one.type) == "(<a=int32,b=int32> -> int32)"
    assert one(5, 3) == 2
    assert fd.computation(quadruple)(3) == 12


def test_outside_of_computations_it_is_itself():
    assert quadruple("ab") == "abababab"
    assert double.__name__ == "double"
    assert repr(double) == "<TensorFlow function double>"


@pytest.mark.usefixtures("stand_in")
def test_it_does_not_use_the_language(refused: Any):
    @fd.tensorflow
    def mixed(x: Any) -> Any:
        return fd.federated_sum(x)

    with refused(
        TracingError,
        """
        The TensorFlow code 'mixed' uses the language, or calls a computation
          expected  operations of TensorFlow, and other functions marked with @tensorflow
          at        HERE
          hint      call operators in a computation around it, which gives it their results
        """,
    ):
        fd.computation(fd.int32)(mixed)


@pytest.mark.skipif(find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_without_tensorflow_the_extra_is_named():
    with pytest.raises(MissingExtraError, match=r"foedus\[tensorflow\]"):
        fd.computation(fd.int32)(double)
