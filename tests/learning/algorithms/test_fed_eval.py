# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation is what NumPy computes over all examples of all clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.learning import Batches
from foedus.learning.algorithms import fed_eval

from ..numpy_fed_avg import loss_and_gradients
from ..small_models import clients, model_of

MODEL = model_of(coupled=False)
WEIGHTS = MODEL.initialize(np.array([1, 2], np.uint32))
SMALL = {"a": 3, "b": 0, "c": 2}


def expected(data: dict[str, Any]) -> dict[str, Any]:
    x, y = (np.concatenate([d[name] for d in data.values()]) for name in ("x", "y"))
    w = {name: np.asarray(leaf) for name, leaf in WEIGHTS.trainable.items()}
    hidden = np.maximum(x @ w["w1"] + w["b1"], 0)
    right = (hidden @ w["w2"] + w["b2"]).argmax(axis=1) == y
    return {"loss": loss_and_gradients(w, x, y)[0], "accuracy": right.mean(), "examples": len(y)}


def check(found: dict[str, Any], data: dict[str, Any]) -> None:
    wanted = expected(data)
    assert found.keys() == wanted.keys()
    assert found["examples"] == wanted["examples"]
    # The spec's N4 for float32.
    np.testing.assert_allclose(found["accuracy"], wanted["accuracy"], rtol=1e-5)
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-5)


@pytest.mark.parametrize("size", [2, 64])
def test_it_equals_numpy_whatever_the_batches(size: int):
    program = fed_eval(MODEL, batches=Batches(size=size, shuffle=False))
    with fd.use(runtime.local()):
        check(program(WEIGHTS, clients()), clients())


def test_the_reference_agrees():
    with fd.use(runtime.reference()):
        check(fed_eval(MODEL)(WEIGHTS, clients(sizes=SMALL)), clients(sizes=SMALL))


def test_batches_may_arrive_ready_made():
    data = clients()
    cuts = (slice(0, 2), slice(2, None))
    ready = {i: [{name: d[name][cut] for name in d} for cut in cuts] for i, d in data.items()}
    with fd.use(runtime.local()):
        check(fed_eval(MODEL, batches=None)(WEIGHTS, ready), data)
