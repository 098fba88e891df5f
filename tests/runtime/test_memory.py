# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow from round to round."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc, sys
import numpy as np, optax
import foedus as fd
from foedus import learning, simulation

rng = np.random.default_rng(0)
owners = np.repeat(np.arange(100), rng.integers(1, 40, 100))
x = rng.normal(size=(len(owners), 64)).astype("float32")
data = simulation.ClientData.from_arrays({"x": x, "y": (x[:, 0] > 0).astype("int32")}, owners)
model = learning.models.from_jax(
    lambda w, x: x @ w["k"] + w["b"],
    init={"k": np.zeros((64, 2), "float32"), "b": np.zeros(2, "float32")},
    loss=lambda p, y: optax.softmax_cross_entropy_with_integer_labels(p, y),
    example=data.element_type,
    coupled=False,
)
process = learning.algorithms.fed_avg(model, client_optimizer=optax.sgd(0.1),
batches=learning.Batches(size=8))

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

state, marks = process.initialize(), []
for number in range(500):
    cohort = data.cohort(rng.choice(100, int(rng.integers(5, 15)), replace=False).tolist())
    state = process.next(state, cohort).state
    if number in (99, 499):
        marks.append(resident())
print(marks[1] - marks[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the size is read from /proc")
def test_memory_does_not_grow_over_500_rounds():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    # A round's arrays are 100 KB: one kept from each of 400 rounds would be 40 MB.
    assert int(done.stdout) < 8e6
