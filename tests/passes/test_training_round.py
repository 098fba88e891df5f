# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The canonical forms of the demo's training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from foedus import runtime
from foedus.ir import Node, check
from foedus.lang import Computation, use
from foedus.learning import LearningProcess
from foedus.passes import from_distribute_aggregate, from_map_reduce, to_distribute_aggregate, to_map_reduce
from foedus.simulation.baselines import digits
from foedus.types import Function, Struct

FORMS: dict[str, Callable[[Node], Node]] = {
    "map-reduce": lambda node: from_map_reduce(to_map_reduce(node)),
    "distribute-aggregate": lambda node: from_distribute_aggregate(to_distribute_aggregate(node)),
}


@pytest.fixture(scope="module")
def training() -> LearningProcess:
    return digits.training()


def examples(rng: np.random.Generator, count: int) -> dict[str, Any]:
    pixels = rng.uniform(size=(count, 8, 8)).astype(np.float32)
    return {"pixels": pixels, "label": rng.integers(0, 10, count, dtype=np.int32)}


def test_map_reduce_form(training: LearningProcess):
    node = training.process.next.node
    form = to_map_reduce(node)
    assert form.purposes == ("client work",)
    assert not form.has_secure_sums
    assert isinstance(form.prepare.type, Function)
    assert form.prepare.type.parameter == training.state_type
    assert isinstance(form.prepare.type.result, Struct)
    assert isinstance(training.state_type, Struct)
    assert form.prepare.type.result.fields[0] == ("broadcast", dict(training.state_type.fields)["weights"])
    assert to_map_reduce(from_map_reduce(form)) == form


def test_distribute_aggregate_form(training: LearningProcess):
    form = to_distribute_aggregate(training.process.next.node)
    assert to_distribute_aggregate(from_distribute_aggregate(form)) == form


@pytest.mark.parametrize(
    ("make", "bound"),
    # A form's leaves are those of the computation, so that in the reference runtime not a bit differs. The
    # local runtime compiles a round as a whole, and XLA may fuse the end of the clients' training otherwise.
    [(runtime.reference, 0.0), (runtime.local, 1e-5)],
)
def test_a_round_is_the_same_in_each_form(training: LearningProcess, make: Callable[[], Any], bound: float):
    rng = np.random.default_rng(0)
    clients = {name: examples(rng, count) for name, count in {"a": 3, "b": 0, "c": 3}.items()}
    with use(make()):
        state = training.initialize(1)
        expected = training.process.next(state, clients)
        for name, change in FORMS.items():
            node = change(training.process.next.node)
            assert check(node) == training.process.next.type
            found = Computation(node, name)(state, clients)
            assert jax.tree.structure(found) == jax.tree.structure(expected)
            for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
                assert np.asarray(a).dtype == np.asarray(b).dtype
                np.testing.assert_allclose(a, b, rtol=bound, atol=bound * np.max(np.abs(a), initial=0))
