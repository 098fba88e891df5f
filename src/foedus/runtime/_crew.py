# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Workers that fold runs of members at the same time: threads on a CPU, one a device on accelerators.

XLA's CPU client runs calls that come from several threads side by side, and inside those threads where it is
told so. So one compiled program serves all workers, and their results lie in one memory.
"""

from __future__ import annotations

import atexit
import heapq
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import jax
import numpy as np

from foedus.errors import ArgumentError, place

SOON = 0.02
"""How many seconds an interrupt may wait for what is computed in the thread that it is for."""
_GROUPS_EACH = 4
_PATIENCE = 0.05


@dataclass(frozen=True)
class Deal:
    """Which worker folds which runs; neighbouring runs are dealt out in groups.

    Args:
        spans: For each worker int32[slots, size, 3]: of each run of its groups the first member, and the
            members from there to before the end that it folds; where there is no run there are none.
        groups: int32[groups, 2]: of each group its worker and its slot.
        size: How many runs a group has; the last one may have fewer.
        loads: How much each worker has to do.
    """

    spans: list[np.ndarray[Any, Any]]
    groups: np.ndarray[Any, Any]
    size: int
    loads: list[float]


_WEIGHT = 0.2
"""How much the last measurement counts beside those before it."""


@final
class Pace:
    """How fast workers have been at a stage: one begins after another, and all should end at the same time.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        self._late = [0.0] * workers
        self._seconds = 0.0
        self._calls = 0

    def behind(self) -> list[float]:
        """By how much work each worker is behind the first when it begins."""
        return [late / self._seconds for late in self._late] if self._seconds else self._late

    def is_short(self, loads: list[float]) -> bool:
        """Whether so much work is known to take so little that nobody would interrupt it."""
        return 0 < self._seconds * max(loads) < SOON

    def note(self, loads: list[float], took: list[float]) -> None:
        """Notes how long workers took; not the first time, for one may take much longer to be called at all.

        Args:
            loads: How much each had to do.
            took: Seconds from when they were called to when each was done.
        """
        self._calls += 1
        if self._calls == 1 or not all(loads):
            return
        seconds, most = took[0] / loads[0], took[0] / 2
        weight = _WEIGHT if self._seconds else 1.0
        for worker, (load, done) in enumerate(zip(loads, took, strict=True)):
            late = done - took[0] - (load - loads[0]) * seconds
            self._late[worker] += weight * (min(max(late, -most), most) - self._late[worker])
        self._seconds += weight * (seconds - self._seconds)


def group_size(runs: int, workers: int) -> int:
    """How many neighbouring runs make a group: as many as leave each worker some groups to be evened out
    with.

    Args:
        runs: How many runs there are.
        workers: How many workers.

    Returns:
        A power of two, so that a group is a part of the tree in which runs are merged (spec, N3).
    """
    size = 1
    while runs >= 2 * size * _GROUPS_EACH * workers:
        size *= 2
    return size


def deal(
    bounds: np.ndarray[Any, Any],
    work: np.ndarray[Any, Any],
    *,
    behind: list[float],
    slots: int,
    size: int,
) -> Deal:
    """Deals groups to workers: the longest first, each to the worker with the least to do that has a
    free slot.

    Args:
        bounds: Where the runs begin, and the end of the last.
        work: How much there is to do at each member.
        behind: For each worker, by how much work it is behind when it begins.
        slots: How many groups a worker can take.
        size: How many runs a group has.

    Returns:
        Who does what.
    """
    edges = bounds.tolist()
    load = np.add.reduceat(work, bounds[:-1:size]).tolist()
    free = [(own, worker) for worker, own in enumerate(behind)]
    heapq.heapify(free)
    taken: list[list[int]] = [[] for _ in behind]
    for group in sorted(range(len(load)), key=load.__getitem__, reverse=True):
        while True:
            done, worker = heapq.heappop(free)
            if len(taken[worker]) < slots:
                break
        taken[worker].append(group)
        heapq.heappush(free, (done + load[group], worker))
    groups = [(0, 0)] * len(load)
    spans = [[[(0, 0, 0)] * size for _ in range(slots)] for _ in behind]
    for worker, own in enumerate(taken):
        for slot, group in enumerate(sorted(own)):
            groups[group] = worker, slot
            for i, run in enumerate(range(group * size, min((group + 1) * size, len(edges) - 1))):
                spans[worker][slot][i] = edges[run], edges[run], edges[run + 1]
    loads = [sum((load[group] for group in own), 0.0) for own in taken]
    return Deal([np.array(own, np.int32) for own in spans], np.array(groups, np.int32), size, loads)


@final
class Crew:
    """The workers of one runtime.

    Args:
        workers: How many; None for as many as there are processor cores, or accelerators.

    Raises:
        ArgumentError: If there are fewer accelerators.
    """

    def __init__(self, workers: int | None) -> None:
        devices = jax.local_devices()
        self.on_cpu = devices[0].platform == "cpu"
        most = _cores() if self.on_cpu else len(devices)
        if workers is not None and workers > most and not self.on_cpu:
            raise ArgumentError(
                "There are not as many workers",
                found=workers,
                expected=f"1 to {most}, the number of {devices[0].platform} devices",
                at=place("workers"),
            )
        self.size = workers or most
        self._devices = [None] * self.size if self.on_cpu else devices[: self.size]
        self._inboxes: list[_Inbox] = []
        self._background = ThreadPoolExecutor(2, thread_name_prefix="foedus-background")

    def device(self, worker: int) -> Any:
        """The device of a worker, None where all are on the default one."""
        return self._devices[worker]

    def do(self, tasks: Sequence[_Task], *, soon: bool = False) -> tuple[list[Any], list[float]]:
        """Does tasks at the same time, one a worker, and waits until what they give is computed.

        Args:
            tasks: What to do.
            soon: Whether they are known to take little time. Then the caller does the first one: to hand it
                over takes about as long as a small model's training.

        Returns:
            What they gave, and how many seconds passed until each was done.
        """
        self._hire(len(tasks))
        shift = _Shift()
        for number, task in enumerate(tasks):
            if number or not soon:
                self._inboxes[number].put((number, task, shift))
        if soon:
            shift.do(0, tasks[0])
        return shift.results(len(tasks))

    def soon(self, task: _Task) -> Future[Any]:
        """Begins a task in the background."""
        return self._background.submit(_in_wide_numbers, task)

    def _hire(self, count: int) -> None:
        """Starts threads until there are enough; they end with the crew, or with the process."""
        while len(self._inboxes) < count:
            inbox: _Inbox = queue.SimpleQueue()
            thread = threading.Thread(target=_work, args=(inbox,), name="foedus-worker", daemon=True)
            thread.start()
            weakref.finalize(self, inbox.put, None).atexit = False
            _AT_WORK[thread] = inbox
            self._inboxes.append(inbox)


@final
class _Shift:
    """Tasks that workers are at, and what comes of them."""

    def __init__(self) -> None:
        self._called = time.perf_counter()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()

    def do(self, number: int, task: _Task) -> None:
        """Does one of the tasks."""
        try:
            result = jax.block_until_ready(task())
        except BaseException as error:
            # Whatever the caller waits for.
            self._done.put((number, None, 0, error))
        else:
            self._done.put((number, result, time.perf_counter() - self._called, None))

    def results(self, count: int) -> tuple[list[Any], list[float]]:
        """Waits for so many tasks: what they gave, and after how many seconds each was done."""
        results, seconds = [None] * count, [0.0] * count
        for _ in range(count):
            number, result, took, error = self._next()
            if error is not None:
                raise error
            results[number], seconds[number] = result, took
        return results, seconds

    def _next(self) -> _Done:
        while True:  # In small steps, so that an interrupt reaches Python meanwhile on every system.
            try:
                return self._done.get(timeout=_PATIENCE)
            except queue.Empty:
                continue


_Task: TypeAlias = Callable[[], Any]
_Done: TypeAlias = tuple[int, Any, float, BaseException | None]
"""A task's number, its result, after how many seconds it was there, or what was raised."""
_Inbox: TypeAlias = "queue.SimpleQueue[tuple[int, _Task, _Shift] | None]"
"""Where a worker finds its tasks; None ends it."""


def _work(inbox: _Inbox) -> None:
    with jax.enable_x64(True):
        while (order := inbox.get()) is not None:
            number, task, shift = order
            shift.do(number, task)
            del order, task, shift


_AT_WORK: weakref.WeakKeyDictionary[threading.Thread, _Inbox] = weakref.WeakKeyDictionary()


@atexit.register
def _dismiss_all() -> None:
    """Ends all workers, and waits until they have: XLA does not survive being torn down while it computes."""
    threads = list(_AT_WORK.items())
    for _, inbox in threads:
        inbox.put(None)
    for thread, _ in threads:
        thread.join()


def _in_wide_numbers(task: _Task) -> Any:
    with jax.enable_x64(True):
        return task()


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
