# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The strategies that users get: they reach what they promise, and give nothing that they do not promise."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from foedus import testing
from foedus.data import to_member
from foedus.errors import ArgumentError
from foedus.intrinsics import TABLE, Flow
from foedus.ir import Call, Foreign, Intrinsic, Lambda, Node, walk
from foedus.testing import Program
from foedus.types import (
    CLIENTS,
    DTYPES,
    SERVER,
    Abstract,
    Federated,
    Function,
    Placement,
    PlacementLiteral,
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


# ---------------------------------------------------------------- programs


@functools.cache
def generated() -> list[Program]:
    """Many programs: what is drawn comes in clumps."""
    return examples(testing.programs(), 1000)


def types_in(program: Program) -> Iterator[Type]:
    """The types of all nodes, and the types inside them."""
    for node in walk(program.computation.node):
        yield from walk_type(node.type)


def calls_of_computations(program: Program) -> list[Call]:
    nodes = walk(program.computation.node)
    return [node for node in nodes if isinstance(node, Call) and isinstance(node.function, Lambda)]


def has_nesting(program: Program) -> bool:
    return bool(calls_of_computations(program))


def has_nesting_in_nesting(program: Program) -> bool:
    calls = calls_of_computations(program)
    return any(inner is not call and inner in calls for call in calls for inner in walk(call.function))


def has_sequences(program: Program) -> bool:
    return any(isinstance(t, Sequence) for t in types_in(program))


def has_strings(program: Program) -> bool:
    keys = {n.type.parameter for n in walk(program.computation.node) if is_operator(n, "federated_key")}
    others = (n.type for n in walk(program.computation.node) if n.type not in keys)
    return any(t == string for type_ in others for t in walk_type(type_) if isinstance(type_, Federated))


def has_empty_structs(program: Program) -> bool:
    return any(isinstance(t, Struct) and not t.fields for t in types_in(program))


def has_host_code(program: Program) -> bool:
    return any(isinstance(n, Foreign) and n.kind == "numpy" for n in walk(program.computation.node))


def is_operator(node: Node, name: str) -> TypeGuard[Intrinsic]:
    return isinstance(node, Intrinsic) and node.name == name


def movements(program: Program) -> set[tuple[Flow, PlacementLiteral, PlacementLiteral]]:
    """Between which placements values move up and down."""
    found: set[tuple[Flow, PlacementLiteral, PlacementLiteral]] = set()
    for node in walk(program.computation.node):
        if isinstance(node, Intrinsic) and isinstance(node.type.result, Federated):
            flow = TABLE[node.name].flow
            sources = [t for t in walk_type(node.type.parameter or Struct(())) if isinstance(t, Federated)]
            found |= {(flow, sources[0].placement, node.type.result.placement)} if sources else set()
    return found


def has_three_tiers(program: Program) -> bool:
    """Values go between the clients and a tier, and between a tier and the server."""
    between = {frozenset(pair) for flow, *pair in movements(program) if flow is not Flow.NOWHERE}
    tiers = set(program.tiers)
    return any(frozenset((CLIENTS, tier)) in between for tier in tiers) and any(
        frozenset((tier, SERVER)) in between for tier in tiers
    )


def aggregates_to_a_tier(program: Program) -> bool:
    return any(flow is Flow.UP and target in program.tiers for flow, _, target in movements(program))


def broadcasts_to_or_from_a_tier(program: Program) -> bool:
    down = [pair for flow, *pair in movements(program) if flow is Flow.DOWN]
    return any(set(pair) & set(program.tiers) for pair in down)


FEATURES = (
    has_nesting,
    has_nesting_in_nesting,
    has_sequences,
    has_strings,
    has_empty_structs,
    has_host_code,
    has_three_tiers,
    aggregates_to_a_tier,
    broadcasts_to_or_from_a_tier,
)


@pytest.mark.parametrize("name", TABLE)
def test_every_operator_is_in_a_twentieth_of_programs(name: str):
    having = [p for p in generated() if any(is_operator(n, name) for n in walk(p.computation.node))]
    assert len(having) >= len(generated()) / 20


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_is_in_a_twentieth_of_programs(feature: Callable[[Program], bool]):
    assert sum(map(feature, generated())) >= len(generated()) / 20


def test_programs_have_as_many_arguments_as_there_are_clients():
    for program in generated():
        assert len(program.arguments[0]) == program.clients >= 1
        for tier, members in program.tiers.items():
            assert sorted(c for below in members.values() for c in below) == list(range(program.clients)), (
                tier
            )
            assert all(members.values())


def test_there_may_be_no_clients():
    program = examples(testing.programs(clients=[0]), 1)[0]
    assert (program.clients, program.arguments[0]) == (0, [])
    assert [dict(members) for members in program.tiers.values()] == [{}, {}]


def test_a_program_prints_with_its_arguments():
    program = generated()[0]
    assert str(program) == f"{program.computation}\narguments: {program.arguments}"
