# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Dealing runs of clients to workers, and how a stage was run."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foedus as fd
from foedus.data import cohort_of
from foedus.errors import ArgumentError
from foedus.runtime._crew import Crew, Pace, deal, group_size
from foedus.runtime._pass import strands_of
from foedus.types import int32, sequence


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200), st.integers(1, 9))
def test_every_run_is_dealt_once_and_no_worker_has_much_more(work: list[int], workers: int):
    bounds = strands_of(len(work))
    runs = len(bounds) - 1
    workers = min(workers, runs)
    size = group_size(runs, workers)
    slots = -(-runs // (size * workers))
    dealt = deal(bounds, np.array(work), behind=[0.0] * workers, slots=slots, size=size)
    seen = [m for spans in dealt.spans for _, begin, end in spans.reshape(-1, 3) for m in range(begin, end)]
    assert sorted(seen) == list(range(len(work)))
    for run in range(runs):
        worker, slot = dealt.groups[run // size]
        assert tuple(dealt.spans[worker][slot, run % size]) == (bounds[run], bounds[run], bounds[run + 1])
    load = [sum(sum(work[b:e]) for _, b, e in spans.reshape(-1, 3)) for spans in dealt.spans]
    longest = max(sum(work[b:e]) for b, e in itertools.pairwise([*bounds[:-1:size], bounds[-1]]))
    # With a free slot, the longest first is at most one over the mean; a full hand costs at most one more.
    assert max(load) <= sum(work) / workers + 2 * longest


def ended(work: np.ndarray[Any, Any], pace: Pace, late: list[float]) -> list[float]:
    """When workers end that begin one after another, of whom each does a hundred pieces of work a second."""
    bounds = strands_of(len(work))
    dealt = deal(bounds, work, behind=pace.behind(), slots=len(work), size=1)
    ends = [own + load / 100 for own, load in zip(late, dealt.loads, strict=True)]
    pace.note(dealt.loads, ends)
    return ends


def test_who_begins_later_gets_less_to_do():
    pace, late = Pace(2), [0.0, 0.5]
    random = np.random.default_rng(0)
    rounds = [ended(random.integers(5, 15, 20).astype(float), pace, late) for _ in range(40)]
    apart = [abs(one - other) for one, other in rounds]
    assert apart[0] > 0.4
    assert np.median(apart[20:]) < 0.15


def test_the_pace_stays_within_reason():
    pace = Pace(2)
    pace.note([1.0, 1.0], [1.0, 9.0])  # The first time tells nothing about later ones.
    pace.note([0.0, 3.0], [1.0, 1.0])  # A worker without work tells nothing.
    assert pace.behind() == [0, 0]
    pace.note([1.0, 1.0], [1.0, 1000.0])
    assert pace.behind() == [0, 0.5]


def test_what_is_short_depends_on_how_much_there_is_to_do():
    pace = Pace(2)
    for _ in range(2):
        assert not pace.is_short([1.0, 1.0]), "nothing is known yet"
        pace.note([100.0, 100.0], [0.001, 0.001])
    assert pace.is_short([200.0, 100.0])
    assert not pace.is_short([100.0, 9000.0])


@given(st.integers(1, 32), st.integers(1, 9))
def test_groups_are_parts_of_the_tree_and_leave_something_to_even_out(runs: int, workers: int):
    size = group_size(runs, workers)
    assert size.bit_count() == 1
    assert size == 1 or runs >= 4 * size * workers


@pytest.mark.parametrize("soon", [False, True])
def test_workers_work_at_the_same_time(soon: bool):
    both = threading.Barrier(2, timeout=20)
    results, seconds = Crew(2).do([both.wait, both.wait], soon=soon)
    assert sorted(results) == [0, 1]
    assert all(0 < took < 20 for took in seconds)


class Slow:
    """An array that is computed some time after the call that makes it has returned."""

    def __init__(self, error: Exception | None = None) -> None:
        self.is_ready = False
        self.error = error

    def block_until_ready(self) -> None:
        time.sleep(0.05)
        self.is_ready = True
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("soon", [False, True])
def test_what_tasks_give_is_waited_for(soon: bool):
    slow = Slow()
    results, seconds = Crew(2).do([lambda: slow, lambda: 1], soon=soon)
    assert results == [slow, 1]
    assert slow.is_ready
    assert seconds[0] >= 0.05


@pytest.mark.parametrize("soon", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_errors_of_tasks_come_through(late: bool, soon: bool):
    def fails() -> Any:
        if late:
            return Slow(ValueError("no"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Crew(2).do([fails, lambda: 1], soon=soon)


@pytest.mark.parametrize("soon", [False, True])
def test_the_caller_does_the_first_task_itself_only_where_it_takes_little_time(soon: bool):
    (first, second), _ = Crew(2).do([threading.get_ident] * 2, soon=soon)
    assert (first == threading.get_ident()) == soon
    assert second not in (first, threading.get_ident())


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("foedus.runtime.local()", "inline"),
        ("import foedus.learning", "inline"),
        ("jax.devices(); foedus.runtime.local()", "handed over"),
    ],
)
def test_calls_run_in_the_thread_that_makes_them_if_it_is_said_in_time(first: str, expected: str):
    program = f"""
import time, jax, jax.numpy as jnp, foedus
{first}
busy = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, v: v @ v + 1, jnp.zeros((64, 64))))
busy(1).block_until_ready()
begin = time.perf_counter()
result = busy(3000)
called = time.perf_counter() - begin
result.block_until_ready()
print("inline" if called > (time.perf_counter() - begin) / 2 else "handed over")
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@fd.computation(fd.at_clients(sequence(int32)))
def total(x: Any) -> Any:
    return fd.federated_sum(fd.federated_map(lambda s: s.fold(lambda a, v: a + v, 0), x))


@pytest.mark.parametrize(
    ("workers", "together", "text"),
    [
        (1, 1, "5 members of CLIENTS: 1 worker, one after another (there is one worker; "),
        (2, 1, "5 members of CLIENTS: 2 workers, one after another (runs are dealt out by the number "),
        (9, 2, "5 members of CLIENTS: 5 workers, 2 runs at a time (runs are dealt out by the number of "),
    ],
)
def test_how_a_stage_was_run_is_reported(workers: int, together: int, text: str):
    runtime = fd.runtime.local(workers=workers, together=together)
    with fd.use(runtime):
        assert total([[1, 2], [], [3], [4], [5, 6]]) == 21
    (schedule,) = runtime.schedules
    assert str(schedule).startswith(text)


def test_numbers_without_sequences_are_not_shared():
    runtime = fd.runtime.local(workers=3)
    with fd.use(runtime):
        fd.computation(fd.at_clients(fd.float32))(lambda x: fd.federated_sum(x))([1.0, 2.0, 3.0])
    assert [s.workers for s in runtime.schedules] == [1]
    assert "no member has a sequence" in str(runtime.schedules[0])


@pytest.mark.parametrize(("workers", "together"), [(0, None), (-1, 1), (1, 0)])
def test_there_is_at_least_one_of_each(workers: int, together: int | None):
    with pytest.raises(ArgumentError, match="expected"):
        fd.runtime.local(workers=workers, together=together)


def test_few_programs_serve_cohorts_of_all_sizes():
    """Shapes are rounded up, so that the number of clients seldom makes another program."""
    runtime = fd.runtime.local(workers=2)
    rng = np.random.default_rng(0)
    values = {i: rng.integers(0, 9, 1 + i % 7, dtype=np.int32) for i in range(100)}
    population = cohort_of(values, sequence(int32))
    with fd.use(runtime):
        for size in range(33, 97):
            total(population.take(rng.choice(100, size, replace=False)))
    # 33 to 96 clients fall into three sizes, of two programs each; the runs of 64 and more are longer.
    assert runtime.statistics.compiled <= 8
