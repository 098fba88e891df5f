# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every runtime gives what the reference gives, on every example program."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from foedus import runtime
from foedus.lang import Computation

from . import runtime_laws as laws
from .example_operators import OPERATORS
from .example_programs import VALUES
from .example_sequences import SEQUENCES, coupled, padded
from .examples import Example

RUNTIMES = {"local": runtime.local, "batched": partial(runtime.local, workers=2, together=4)}
COUNTING = {"one worker": partial(runtime.local, workers=1)}
"""Those that compile, and count what they compiled and called."""
SHARING = {"local": runtime.local}
"""Those that share clients among workers."""

EXAMPLES = [*VALUES, *SEQUENCES, *OPERATORS]
COUNTED = ("three_levels", "padded_batches", "coupled_batches", "keys")
"""Examples enough for laws that are about calls, not about values."""
REORDERED = (
    "sum_of_floats",
    "mean_of_vectors",
    "aggregate_of_moments",
    "three_levels",
    "padded_batches",
    "means_of_regions",
)
"""Examples whose sums of floats would show another order of clients, though not so much that they
disagree."""


CASES = [
    pytest.param(example, count, id=f"{example.name}-{count}")
    for example in EXAMPLES
    for count in example.counts
]

each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
each_sharing = pytest.mark.parametrize("make", SHARING.values(), ids=SHARING)
each_counting = pytest.mark.parametrize("make", COUNTING.values(), ids=COUNTING)


@each_runtime
@pytest.mark.parametrize(("example", "count"), CASES)
def test_it_gives_what_the_reference_gives_in_any_order(make: Any, example: Example, count: int):
    assert laws.agrees(make, example, count) == []


@each_runtime
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in REORDERED], ids=lambda e: e.name)
def test_the_order_of_clients_changes_no_bit(make: Any, example: Example):
    assert laws.ignores_order(make, example, example.counts[-1]) == []


@each_sharing
@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.name in (*COUNTED, *REORDERED)], ids=lambda e: e.name
)
def test_the_number_of_workers_changes_no_bit(make: Any, example: Example):
    assert laws.ignores_workers(make, example, example.counts[-1]) == []


@each_sharing
@pytest.mark.parametrize("example", SEQUENCES, ids=lambda e: e.name)
def test_reading_in_pieces_changes_no_bit(make: Any, example: Example):
    assert laws.reads_in_pieces(make, example, example.counts[-1]) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_the_reference_logs_what_is_explained(example: Example):
    assert laws.logs_what_is_explained(example, 3) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_derived_operators_mean_their_bodies(example: Example):
    assert laws.equals_its_expansion(example, 3) == []


@each_counting
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in COUNTED], ids=lambda e: e.name)
def test_a_second_round_compiles_nothing(make: Any, example: Example):
    assert laws.compiles_once(make, example, example.counts[-1]) == []


@each_counting
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in COUNTED], ids=lambda e: e.name)
def test_a_round_calls_few_programs(make: Any, example: Example):
    assert laws.calls_few_programs(make, example, example.counts[-1]) == []


@each_counting
@pytest.mark.parametrize(
    ("program", "most"),
    [
        pytest.param(padded, 1, id="padded"),
        pytest.param(coupled, 5, id="coupled"),
    ],
)
def test_new_cohorts_compile_little(make: Any, program: Computation, most: int):
    """Padded code once; coupled code at most once for each length of a batch, and for a first cohort."""
    assert laws.compiles_few_programs_for_new_cohorts(make, program, most) == []
