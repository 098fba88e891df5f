# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which way local code runs, as it is explained: as text, as JSON and on the page."""

from __future__ import annotations

import json
from typing import Any

import pytest

import foedus as fd
from foedus import runtime

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow


def half(x: Any) -> Any:
    return x / 2


LINE = f"test_ways.py:{half.__code__.co_firstlineno}"


def total(way: fd.Way | None) -> fd.Computation:
    marked = fd.tensorflow(half, way=way)

    @fd.computation(fd.at_clients(fd.float32))
    def total_of_halves(x: Any) -> Any:
        doubled = fd.federated_map(lambda v: v * 2, x)
        summed = fd.federated_sum(fd.federated_map(marked, doubled))
        return fd.federated_map(lambda v: v + 1, summed)

    return total_of_halves


def test_the_text_names_the_way_and_the_reason():
    explained = fd.explain(total(None))
    (way,) = explained.ways
    assert (way.where, way.kind) == ("CLIENTS", "tensorflow")
    text = str(explained)
    assert text.endswith(
        "How the local runtime runs it:\n"
        f"  at CLIENTS: 'half' ({LINE}) tensorflow {way.digest}\n"
        "    lowered to XLA, with the rest of the round: "
        "it computes on numbers alone, and XLA compiles it exactly."
    )


def test_code_that_runs_natively_takes_its_neighbours_with_it():
    """The code in JAX at the clients, and not that at the server, behind the sum."""
    computation = total(fd.Way.NATIVE)
    jax, tensorflow = sorted(fd.explain(computation).ways, key=lambda way: way.kind)
    assert (jax.where, jax.kind, tensorflow.where) == ("CLIENTS", "jax", "CLIENTS")
    assert str(fd.explain(computation)).endswith(
        "How the local runtime runs it:\n"
        f"  at CLIENTS: jax {jax.digest}\n"
        "    natively: it runs between the same reductions as code that is not compiled: "
        "it was told to run natively.\n"
        f"  at CLIENTS: 'half' ({LINE}) tensorflow {tensorflow.digest}\n"
        "    natively: it was told to run natively."
    )
    local = runtime.local()
    with fd.use(local):
        assert computation([1.0, 2.0]) == 4
    assert local.native == ("at CLIENTS: it was told to run natively",)
    assert local.statistics.compiled == 1


def test_the_json_has_it():
    computation = total(None)
    (way,) = json.loads(fd.explain(computation).to_json())["ways"]
    (told,) = fd.explain(computation).ways
    assert way == {
        "where": "CLIENTS",
        "kind": "tensorflow",
        "digest": told.digest,
        "name": "half",
        "line": LINE,
        "way": "lowered",
        "reason": "it computes on numbers alone, and XLA compiles it exactly",
    }


def test_the_page_has_it():
    page = fd.explain(total(fd.Way.NATIVE)).to_html()
    assert "<h2>How the local runtime runs it</h2>" in page
    assert "<td>natively</td><td>it was told to run natively</td>" in page
    assert "How the local runtime runs it" not in fd.explain(plain).to_html()


@fd.computation(fd.at_clients(fd.float32))
def plain(x: Any) -> Any:
    return fd.federated_sum(fd.federated_map(lambda v: v * 2, x))


def test_nothing_is_said_of_code_that_is_compiled_like_any_other():
    assert fd.explain(plain).ways == ()
    assert "How the local runtime runs it" not in str(fd.explain(plain))
