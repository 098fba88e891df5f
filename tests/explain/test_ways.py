# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which way local code runs, as it is explained: as text, as JSON and on the page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.simulation import ClientData
from foedus.types import Sequence

tf: Any = pytest.importorskip("tensorflow")

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
        "unless": None,
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


OPEN = ("float32", (None,))


def test_values_of_unknown_shape_are_told_before_a_run_and_after_it():
    """Each has as many numbers as the others, but the type does not say so."""
    marked = fd.tensorflow(lambda v: tf.reduce_sum(v))

    @fd.computation(fd.at_clients(fd.float32), fd.at_clients(OPEN))
    def total(one: Any, many: Any) -> Any:
        both = fd.federated_map(lambda a, b: a + b, (one, fd.federated_map(marked, many)))
        return fd.federated_sum(both)

    reason = "there are values of unknown shape outside sequences, in .many of the argument"
    ways = [way.running for way in fd.explain(total).ways]
    assert [(way.way, way.reason) for way in ways] == [(fd.Way.NATIVE, reason)] * 2
    local = runtime.local()
    with fd.use(local):
        assert total([1.0, 2.0], [np.array(pair, np.float32) for pair in ([1, 2], [3, 4])]) == 13
    assert local.native == (f"at CLIENTS: {reason}",)


FILTERED = "a data set is filtered after it is shuffled, or is a map of code that is not compiled"


@fd.computation(fd.at_clients(Sequence(fd.float32)))
def total_of_data(data: Any) -> Any:
    own = fd.federated_map(lambda numbers: fd.sequence_sum(numbers), data)
    return fd.federated_sum(fd.federated_map(fd.tensorflow(half), own))


def test_what_data_may_do_is_told_before_a_run_and_what_it_does_after_it():
    (way,) = fd.explain(total_of_data).ways
    assert (way.running.way, way.unless) == (fd.Way.LOWERED, FILTERED)
    assert str(fd.explain(total_of_data)).endswith(
        "and XLA compiles it exactly.\n    natively all the same where " + FILTERED + "."
    )
    assert f"compiles it exactly; natively all the same where {FILTERED}</td>" in (
        fd.explain(total_of_data).to_html()
    )
    assert json.loads(fd.explain(total_of_data).to_json())["ways"][0]["unless"] == FILTERED
    numbers = ClientData.from_arrays(np.arange(6, dtype=np.float32), list("aababb"))
    local = runtime.local()
    with fd.use(local):
        assert total_of_data(numbers.shuffle(seed=1)) == 7.5
        assert local.native == ()
        odd = numbers.shuffle(seed=1).filter(lambda x: x % 2 == 1)
        assert total_of_data(odd) == 4.5
    reason = "there are sequences that are filtered after they are shuffled, in the argument"
    assert local.native == (f"at CLIENTS: {reason}",)
