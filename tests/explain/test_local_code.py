# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which local code runs where."""

from __future__ import annotations

import foedus as fd
from foedus import wire
from foedus.explain import LocalCode
from foedus.lang import Computation

from .explained_programs import in_regions, letters, local_alone, operators_alone, protected


def test_code_is_counted_where_it_runs():
    assert fd.explain(in_regions).local_code == (
        LocalCode("REGIONS", "jax", 1),
        LocalCode("CLIENTS", "jax", 1),
    )
    assert fd.explain(local_alone).local_code == (LocalCode(None, "jax", 1),)
    assert fd.explain(operators_alone).local_code == (LocalCode(None, "jax", 1),)
    assert str(fd.explain(operators_alone)).endswith(
        "called on values that are not placed: 1 function of the kind jax"
    )


def test_an_aggregates_code_runs_where_its_result_is_and_host_code_is_marked():
    jax, host, clients = fd.explain(letters).local_code
    assert jax == LocalCode("SERVER", "jax", 2)
    assert host == LocalCode("SERVER", "numpy", 1)
    assert clients == LocalCode("CLIENTS", "numpy", 1)
    assert [code.is_host_code for code in (jax, host, clients)] == [False, True, True]
    text = str(fd.explain(letters))
    assert "at SERVER: 1 function of the kind numpy, host code: it runs as plain Python\n" in text
    assert "numpy, host code: it runs as plain Python, one client after another\n" in text
    # The code in JAX at the server gets strings, and so is not compiled; that of the clients is host code.
    assert {(way.where, way.kind) for way in fd.explain(letters).ways} == {("SERVER", "jax")}


def test_the_function_of_a_selection_runs_at_the_server():
    """It is the same one in both selections."""
    assert fd.explain(protected).local_code[0] == LocalCode("SERVER", "jax", 1)


def test_equal_code_counts_once():
    @fd.computation(fd.at_clients(fd.float32))
    def twice(x):
        halves = [fd.federated_map(lambda v: v / 2, x) for _ in range(2)]
        return [fd.federated_sum(half) for half in halves]

    assert fd.explain(twice).local_code == (LocalCode("CLIENTS", "jax", 1),)


def test_code_inside_functions_of_the_language_is_counted_where_they_run():
    @fd.computation(fd.float32)
    def half(x):
        return x / 2

    @fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.sequence("float32")))
    def nested(x, y):
        quarters = fd.federated_map(lambda pair: half(half(pair[0])), (x, x))
        lengths = fd.federated_map(lambda s: fd.sequence_sum(fd.sequence_map(half, s)), y)
        return fd.federated_sum(quarters), lengths

    assert fd.explain(nested).local_code == (LocalCode("SERVER", "jax", 1), LocalCode("CLIENTS", "jax", 1))


def test_loaded_code_is_marked():
    data = wire.encode_program(in_regions.node)
    loaded = Computation(wire.decode_program(data, sender=wire.Sender.TRUSTED), "loaded")
    found = fd.explain(loaded).local_code
    assert [(code.where, code.kind, code.functions) for code in found] == [
        ("REGIONS", "stablehlo", 1),
        ("CLIENTS", "stablehlo", 1),
    ]
    assert all(code.is_loaded and not code.is_host_code for code in found)
    assert "1 function of the kind stablehlo, loaded from bytes: its source is not here" in str(
        fd.explain(loaded)
    )
    assert "loaded from bytes: its source is not here" in fd.explain(loaded).to_html()
