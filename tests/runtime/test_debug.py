# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Debugging in the reference runtime: client code is ordinary Python, and failures say whose and where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import core

import foedus as fd
from foedus.errors import ClientError


def test_print_shows_numbers_inside_compiled_loops(capsys):
    @jax.jit
    def doubled(x):
        print(f"doubling {float(x):g}" if isinstance(x, jax.Array) and not hasattr(x, "_trace") else "traced")
        return 2 * x

    @fd.computation(fd.at_clients(fd.float32))
    def total(values):
        return fd.federated_sum(fd.federated_map(doubled, values))

    capsys.readouterr()
    with fd.use(fd.runtime.reference(debug=True)):
        assert total([1.0, 2.5]) == 7
    assert capsys.readouterr().out.splitlines() == ["doubling 1", "doubling 2.5"]


def test_an_exception_names_the_client_the_stage_and_the_line():
    def root(x):
        if isinstance(x, core.Tracer):
            return jnp.sqrt(x)
        if x < 0:
            raise ValueError("no real root")
        return jnp.sqrt(x)

    @fd.computation(fd.at_clients(fd.float32))
    def roots(values):
        return fd.federated_map(root, values)

    with fd.use(fd.runtime.reference(debug=True)), pytest.raises(ClientError) as caught:
        roots({"ann": 4.0, "bob": -1.0})
    text = str(caught.value)
    assert text.startswith("Client 'bob' failed in federated_map\n  found     ValueError: no real root\n")
    assert "test_debug.py" in text
    assert 'raise ValueError("no real root")' in text


def test_a_scan_runs_as_python():
    seen = []

    def walk(x):
        def step(carry, item):
            seen.append(isinstance(item, core.Tracer))
            return carry + item, item

        return jax.lax.scan(step, jnp.float32(0), x)[0]

    @fd.computation(fd.at_clients(fd.tensor("float32", (3,))))
    def total(values):
        return fd.federated_sum(fd.federated_map(walk, values))

    seen.clear()
    with fd.use(fd.runtime.reference(debug=True)):
        assert total([np.arange(3, dtype=np.float32)]) == 3
    assert seen == [False, False, False]
