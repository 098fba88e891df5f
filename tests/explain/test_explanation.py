# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an explanation says: equal to the reference's log, and plainly, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

import foedus as fd
from foedus.errors import ArgumentError
from foedus.explain import Explanation, Protection, crossings

from .explained_programs import (
    COUNTRIES,
    DISTRICTS,
    REGIONS,
    RUNS,
    Run,
    in_regions,
    in_two_tiers,
    letters,
    local_alone,
    nothing_crosses,
    protected,
)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_what_is_explained_is_what_the_reference_logs(run: Run):
    reference = fd.runtime.reference(tiers=run.tiers)
    with fd.use(reference):
        run.program(*run.arguments)
    assert fd.explain(run.program).crossings == reference.crossings


def test_values_travel_in_every_way():
    assert {c.protection for c in fd.explain(protected).crossings} == set(Protection)


def test_placements_come_from_the_server_down():
    assert fd.explain(in_two_tiers).placements == (fd.SERVER, COUNTRIES, DISTRICTS, fd.CLIENTS)
    assert fd.explain(in_regions).placements == (fd.SERVER, REGIONS, fd.CLIENTS)
    assert fd.explain(local_alone).placements == ()


def test_crossings_are_read_off_the_program_alone():
    assert crossings(protected.node) == fd.explain(protected).crossings


def test_clients_need_not_take_part():
    @fd.computation(fd.at_server(fd.float32))
    def to_regions(x):
        return fd.federated_sum(fd.federated_broadcast(x, to=REGIONS))

    explanation = fd.explain(to_regions, tiers={REGIONS: 4})
    assert (explanation.bytes_down(), explanation.bytes_up()) == (0, 0)
    assert "A member of REGIONS receives 4 bytes from above and sends up 4 bytes." in str(explanation)
    assert "a client" not in explanation.to_html()
    assert "in all, both ways</dt><dd>32 B" in explanation.to_html()


def test_bytes_of_one_client():
    explanation = fd.explain(in_regions)
    assert (explanation.bytes_down(), explanation.bytes_up()) == (4, 8 + 4)
    assert fd.explain(letters).bytes_up() is None


@pytest.mark.parametrize(
    "explanation",
    [fd.explain(in_regions, 1000, tiers={REGIONS: 5}), fd.explain(protected)],
    ids=lambda explanation: explanation.name,
)
def test_the_text(explanation: Explanation):
    """Tiers and numbers of members; every way of travelling, and a type that does not fit on a line."""
    expected = Path(__file__).with_name(f"{explanation.name}.txt").read_text(encoding="utf-8")
    assert str(explanation) == expected.rstrip("\n")


def test_the_text_of_host_code_and_strings():
    text = str(fd.explain(letters, clients=3))
    assert "str    as data has it  not known     raw collection" in text
    assert "A client receives 0 bytes and sends as many bytes as data has." in text
    assert "Each client receives nothing." in text


@pytest.mark.parametrize("program", [nothing_crosses, local_alone], ids=lambda p: p.name)
def test_where_nothing_crosses_it_says_so(program: fd.Computation):
    text = str(fd.explain(program))
    assert "Nothing crosses between clients and server." in text
    assert "Who sees what" not in text


def test_a_state_that_comes_back_is_not_repeated():
    state = fd.at_server(fd.to_type({f"layer_{i}": ("float32", (10, 10)) for i in range(8)}))

    @fd.computation(state, fd.at_clients(fd.float32))
    def step(state, x):
        return {"state": state, "total": fd.federated_sum(x)}

    lines = str(fd.explain(step)).splitlines()
    assert "    state=... the type of state above" in lines
    assert "      layer_3=float32[10,10]," in lines
    assert lines[-1].strip() == str(step.type)


def test_no_clients_are_counted_too():
    assert "All 0 together: 0 bytes and 0 bytes." in str(fd.explain(in_two_tiers, 0))


def test_a_number_of_members_must_make_sense(refused):
    with refused(
        ArgumentError,
        """
        The number of members of CLIENTS is negative
          found     -1
          at        HERE
        """,
    ):
        fd.explain(letters, clients=-1)
    with refused(
        ArgumentError,
        """
        The computation has no tier REGIONS
          expected  COUNTRIES, DISTRICTS
          at        HERE
        """,
    ):
        fd.explain(in_two_tiers, tiers={REGIONS: 3})
    with refused(
        ArgumentError,
        """
        There is one server
          found     2 members of SERVER
          at        HERE
        """,
    ):
        fd.explain(letters, tiers={fd.SERVER: 2})


def test_an_explanation_is_a_value():
    assert fd.explain(protected) == fd.explain(protected)
    assert hash(fd.explain(protected, 3)) == hash(fd.explain(protected, 3))
