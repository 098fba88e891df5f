# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Dealing runs of clients to workers, and how a stage was run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foedus as fd
from foedus.data import cohort_of
from foedus.errors import ArgumentError
from foedus.runtime._crew import Crew, Pace, Shift, deal, group_size
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
    pace.note([0.0, 3.0], [1.0, 1.0])  # A worker without work tells nothing.
    assert pace.behind() == [0, 0]
    pace.note([1.0, 1.0], [1.0, 1000.0])
    assert pace.behind() == [0, 0.5]


def test_what_is_short_depends_on_how_much_there_is_to_do():
    pace = Pace(2)
    assert not pace.is_short([1.0, 1.0]), "nothing is known yet"
    pace.note([100.0, 100.0], [0.001, 0.001])
    assert pace.is_short([200.0, 100.0])
    assert not pace.is_short([100.0, 9000.0])


@given(st.integers(1, 32), st.integers(1, 9))
def test_groups_are_parts_of_the_tree_and_leave_something_to_even_out(runs: int, workers: int):
    size = group_size(runs, workers)
    assert size.bit_count() == 1
    assert size == 1 or runs >= 4 * size * workers


def test_workers_work_at_the_same_time():
    both = threading.Barrier(2, timeout=20)
    shift = Crew(2).begin([both.wait, both.wait])
    assert sorted(shift.begun()) == [0, 1]
    shift.finish()


class Slow:
    """An array that is computed when it is told to be."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def block_until_ready(self) -> None:
        assert self.told.wait(20)
        raise ValueError("not computed")


def test_what_a_task_gives_is_there_before_it_is_computed():
    slow = Slow()
    shift = Crew(2).begin([lambda: slow, lambda: 1])
    assert shift.begun() == [slow, 1]
    slow.told.set()
    with pytest.raises(ValueError, match="not computed"):
        shift.finish()


@pytest.mark.parametrize("soon", [False, True])
@pytest.mark.parametrize("wait", [Shift.begun, Shift.finish])
def test_errors_of_tasks_come_through(wait: Callable[[Shift], Any], soon: bool):
    def fails() -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        wait(Crew(2).begin([fails, lambda: 1], soon=soon))


@pytest.mark.parametrize("soon", [False, True])
def test_the_caller_does_the_first_task_itself_only_where_it_returns_soon(soon: bool):
    shift = Crew(2).begin([threading.get_ident] * 2, soon=soon)
    first, second = shift.begun()
    assert (first == threading.get_ident()) == soon
    assert second not in (first, threading.get_ident())
    assert len(shift.finish()) == 2


class Later:
    """An array that is computed some time after the call that makes it has returned."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_ready(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_what_the_caller_began_is_waited_for_at_the_end():
    later = Later(3)
    shift = Crew(1).begin([lambda: [later]], soon=True)
    assert shift.begun() == [[later]]
    assert later.looks == 2
    (took,) = shift.finish()
    assert later.looks < 0 < took


@pytest.mark.parametrize(
    ("variable", "expected"), [({}, "inline"), ({"JAX_CPU_ENABLE_ASYNC_DISPATCH": "true"}, "handed over")]
)
def test_calls_run_in_the_thread_that_makes_them_unless_the_environment_says_otherwise(
    variable: dict[str, str], expected: str
):
    program = """
        import time, jax, jax.numpy as jnp, foedus as fd
        fd.runtime.local(workers=1)
        busy = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, v: v @ v + 1, jnp.zeros((64, 64))))
        busy(1).block_until_ready()
        begin = time.perf_counter()
        result = busy(3000)
        called = time.perf_counter() - begin
        result.block_until_ready()
        print("inline" if called > (time.perf_counter() - begin) / 2 else "handed over")
    """
    environment = {k: v for k, v in os.environ.items() if k != "JAX_CPU_ENABLE_ASYNC_DISPATCH"} | variable
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[0] == expected


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
