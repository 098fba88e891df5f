# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The strategies that users get: they reach what they promise, and give nothing that they do not promise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from foedus import testing
from foedus.data import to_member
from foedus.errors import ArgumentError
from foedus.ir import Intrinsic, walk
from foedus.types import (
    CLIENTS,
    DTYPES,
    STRING,
    Abstract,
    Federated,
    Function,
    Placement,
    Sequence,
    Struct,
    Tensor,
    Type,
    float32,
    int64,
    parse,
    sequence,
    string,
    tensor,
)
from foedus.types import walk as walk_type


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """What a strategy gives in so many tries."""
    found: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def test_types_of_every_class_and_odd_ones_occur():
    types = [part for type_ in examples(testing.types(), 250) for part in walk_type(type_)]
    for cls in (Tensor, Struct, Sequence, Function, Federated, Placement, Abstract):
        assert any(isinstance(t, cls) for t in types), cls
    tensors = [t for t in types if isinstance(t, Tensor)]
    structs = [t for t in types if isinstance(t, Struct)]
    functions = [t for t in types if isinstance(t, Function)]
    assert any(t.shape is None for t in tensors)
    assert any(t.shape is not None and None in t.shape for t in tensors)
    assert any(name == "" for t in structs for name, _ in t.fields)
    assert any(name is None for t in structs for name, _ in t.fields)
    assert any(t.parameter is None for t in functions)
    assert any(isinstance(t.parameter, Function) for t in functions)
    assert any(isinstance(t, Federated) and t.placement == CLIENTS and t.all_equal for t in types)
    assert any(isinstance(t, Sequence) and isinstance(t.element, Struct) for t in types)


def test_plain_types_of_every_dtype_and_container_occur():
    types = [part for type_ in examples(testing.plain_types(), 250) for part in walk_type(type_)]
    assert {t.dtype for t in types if isinstance(t, Tensor)} == set(DTYPES.values())
    containers = {t.container for t in types if isinstance(t, Struct)}
    assert containers >= {None, dict, OrderedDict, list, tuple, type(None)}


@given(testing.plain_types())
def test_plain_types_can_be_placed(type_: Type):
    Federated(type_, CLIENTS, all_equal=False)
    outside = [t for t in walk_type(type_) if isinstance(t, Tensor)]
    inside = [t for s in walk_type(type_) if isinstance(s, Sequence) for t in walk_type(s.element)]
    assert all(None not in (t.shape or ()) for t in outside if not any(t is i for i in inside))


@given(st.data())
def test_values_are_of_their_type(data: st.DataObject):
    type_ = data.draw(testing.plain_types(unknown=True))
    to_member(data.draw(testing.values(type_)), type_, "a value")


@pytest.mark.parametrize(
    ("type_", "condition"),
    [
        (float32, np.isnan),
        (float32, np.isinf),
        (float32, lambda x: isinstance(x, float)),
        (float32, lambda x: type(x) is np.float32),
        (int64, lambda x: x > 2**40),
        (string, lambda x: x == ""),
        (sequence(float32), lambda x: len(x) == 0),
        (sequence(float32), lambda x: isinstance(x, np.ndarray) and len(x) > 1),
        (sequence(float32), lambda x: isinstance(x, list) and len(x) > 1),
        (tensor(float, (None,)), lambda x: len(x) == 0),
    ],
)
def test_odd_values_occur(type_: Type, condition: Callable[[Any], bool]):
    assert any(map(condition, examples(testing.values(type_), 300)))


def test_only_plain_types_have_values():
    with pytest.raises(
        ArgumentError, match=r"^Only plain types have values\n  found     \(int32 -> int32\)$"
    ):
        testing.values(parse("(int32 -> int32)"))


def test_programs_use_every_operator_and_can_run_anywhere():
    """They have no strings but the purposes of keys, and at least one client."""
    programs = examples(testing.programs(), 150)
    nodes = [node for program in programs for node in walk(program.computation.node)]
    assert {node.name for node in nodes if isinstance(node, Intrinsic)} >= {
        "federated_aggregate",
        "federated_broadcast",
        "federated_eval",
        "federated_key",
        "federated_map",
        "federated_max",
        "federated_mean",
        "federated_min",
        "federated_sum",
        "federated_value",
        "federated_weighted_mean",
        "federated_zip",
    }
    for program in programs:
        parameter = program.computation.type.parameter
        assert parameter is not None
        assert not any(isinstance(t, Tensor) and t.dtype == STRING for t in walk_type(parameter))
        assert len(program.arguments[0]) >= 1
    assert str(programs[0]) == f"{programs[0].computation}\narguments: {programs[0].arguments}"
