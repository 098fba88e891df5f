# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every pass keeps the type and the meaning of every program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given

from foedus import runtime, testing
from foedus.ir import Block, Call, Foreign, Intrinsic, Lambda, Node, check, walk
from foedus.lang import Computation, use
from foedus.passes import call_dominant, inline, merge_duplicates, remove_dead_code, replace_intrinsics
from foedus.testing import Program

PASSES: dict[str, Callable[[Node], Node]] = {
    "inline": inline,
    "merge duplicates": lambda node: merge_duplicates(inline(node)),
    "dead code": lambda node: remove_dead_code(inline(node)),
    "call-dominant": call_dominant,
    "replace intrinsics": replace_intrinsics,
}


def results(program: Program, node: Node) -> Any:
    with use(runtime.reference()):
        return Computation(node, "program")(*program.arguments)


def same(one: Any, other: Any) -> None:
    """Equal, but for the last place of a quotient."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_keeps_type_and_meaning(name: str):
    @given(testing.programs())
    def keeps(program: Program) -> None:
        node = PASSES[name](program.computation.node)
        check(node)
        assert node.type == program.computation.type
        same(results(program, node), results(program, program.computation.node))

    keeps()


@given(testing.programs())
def test_flat_form_is_flat(program: Program):
    for node in walk(inline(program.computation.node)):
        if isinstance(node, Block):
            assert all(isinstance(call, Call) for _, call in node.bindings)
        if isinstance(node, Call):
            assert isinstance(node.function, Foreign | Intrinsic)


@given(testing.programs())
def test_passes_end_where_they_end(program: Program):
    once = call_dominant(program.computation.node)
    assert len(flat_calls(call_dominant(once))) == len(flat_calls(once))


def flat_calls(program: Lambda) -> list[str]:
    assert isinstance(program.body, Block)
    return [name for name, _ in program.body.bindings]
