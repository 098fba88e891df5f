# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The local runtime: what it counts, and interrupts. The laws are in `tests/laws`."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import foedus as fd
from foedus.errors import TracingError
from foedus.runtime import _columns, _local

from ..laws.runtime_laws import as_cohort, on_disk, small_pieces


def test_a_second_call_compiles_nothing():
    runtime = fd.runtime.local()

    @fd.computation(fd.at_clients(fd.float32))
    def program(x: Any) -> Any:
        return fd.federated_mean(fd.federated_map(lambda v: 2 * v, x))

    with fd.use(runtime):
        assert program([1.0, 2.0]) == 3
        once = runtime.statistics
        assert program([3.0, 4.0]) == 7
    twice = runtime.statistics
    assert once.compiled == once.calls == 1
    assert (twice.compiled, twice.calls, twice.native) == (1, 2, 0)


def test_the_number_of_calls_does_not_grow_with_the_clients():
    @fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32))
    def program(x: Any, rate: Any) -> Any:
        total = fd.federated_sum(fd.federated_map(lambda v, r: v * r, (x, fd.federated_broadcast(rate))))
        sent = fd.federated_broadcast(fd.federated_map(lambda t: t + 1, total))
        return fd.federated_mean(fd.federated_map(lambda v, t: v / t, (x, sent)))

    calls = []
    for count in (3, 40, 200):
        runtime = fd.runtime.local()
        with fd.use(runtime):
            program([1.0] * count, 2.0)
        calls.append(runtime.statistics.calls)
    assert len(set(calls)) == 1
    assert calls[0] <= 4


@pytest.mark.parametrize("most", ["_MOST_COMPILED", "_MOST_PLANS"])
def test_programs_and_plans_that_were_not_used_for_long_are_forgotten(
    most: str, monkeypatch: pytest.MonkeyPatch
):
    def plus(number: float) -> Any:
        @fd.computation(fd.at_clients(fd.float32))
        def program(x: Any) -> Any:
            return fd.federated_sum(fd.federated_map(lambda v: v + number, x))

        return program

    monkeypatch.setattr(_local, most, 2)
    runtime, programs = fd.runtime.local(), [plus(float(number)) for number in range(4)]

    def compiled_by(number: int) -> int:
        before = runtime.statistics.compiled
        with fd.use(runtime):
            assert programs[number]([1.0, 2.0]) == 3 + 2 * number
        return runtime.statistics.compiled - before

    assert [compiled_by(number) for number in (0, 1, 2, 3)] == [1, 1, 1, 1]
    assert [compiled_by(number) for number in (3, 2, 0, 2, 3)] == [0, 0, 1, 0, 1]


def test_the_next_piece_is_read_while_one_is_worked_on(monkeypatch: pytest.MonkeyPatch):
    @fd.computation(fd.at_clients(fd.sequence(fd.float32)))
    def program(x: Any) -> Any:
        return fd.federated_sum(fd.federated_map(lambda s: s.fold(lambda total, v: total + v, 0.0), x))

    both = threading.Barrier(2, timeout=20)
    read, call = _columns.Placed.load, _local.LocalRuntime.call
    pieces, calls = list[int](), list[Any]()

    def reading(self: Any, chosen: Any, piece: int, rooms: Any) -> Any:
        pieces.append(piece)
        if piece == 1:
            both.wait()
        return read(self, chosen, piece, rooms)

    def calling(self: Any, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            both.wait()
        return call(self, *arguments)

    monkeypatch.setattr(_columns.Placed, "load", reading)
    monkeypatch.setattr(_local.LocalRuntime, "call", calling)
    clients = [[float(i), 1.0, 2.0] for i in range(100)]
    cohort = on_disk(as_cohort(clients, program.type.parameter))
    with fd.use(fd.runtime.local(workers=1)), small_pieces(400):
        assert program(cohort) == sum(map(sum, clients))
    assert pieces == [0, 1, 2]


def test_strings_are_run_natively():
    runtime = fd.runtime.local()

    @fd.host(returns="int32")
    def length(text: Any) -> int:
        return len(text)

    @fd.computation(fd.at_clients(fd.string))
    def program(x: Any) -> Any:
        return fd.federated_sum(fd.federated_map(length, x))

    with fd.use(runtime):
        assert program(["a", "bcd"]) == 4
    assert runtime.statistics.native == 1


def test_local_code_that_depends_on_the_length_fails_with_its_line(refused):
    """It is traced at small lengths, and compiled at those of the data."""

    def short(batch: Any) -> Any:
        if len(batch) > 10:
            raise KeyError("too long")
        return batch.sum()

    @fd.computation(fd.at_clients(fd.types.sequence(fd.float32)))
    def program(x: Any) -> Any:
        def total(sequence: Any) -> Any:
            return sequence.batch(20).fold(lambda c, b: c + short(b), jnp.float32(0))

        return fd.federated_map(total, x)

    message = """
    Local code failed while it was compiled
      found     KeyError: 'too long'
      at        HERE
    """
    with fd.use(fd.runtime.local()):
        assert program([[1.0, 2.0]]) == [3]
        with refused(TracingError, message):
            program([[1.0] * 15])


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Presses Ctrl-C in the main thread after some time, and once more if the block still runs."""
    done = threading.Event()

    def press() -> None:
        for patience in (seconds, 5 * seconds):
            if not done.wait(patience):
                _thread.interrupt_main(signal.SIGINT)

    presses = threading.Thread(target=press)
    presses.start()
    try:
        yield
    finally:
        done.set()
        presses.join()


def test_ctrl_c_in_a_long_round_leaves_the_runtime_usable():
    runtime = fd.runtime.local()

    @fd.computation(fd.at_clients(fd.int64))
    def program(steps: Any) -> Any:
        def busy(n: Any) -> Any:
            return jax.lax.fori_loop(0, n, lambda i, v: jnp.sin(v) + i % 2, jnp.float64(1)) < 9

        return fd.federated_sum(fd.federated_map(lambda n: busy(n).astype("int32"), steps))

    with fd.use(runtime):
        assert program([1, 2]) == 2
        with pytest.raises(KeyboardInterrupt), interrupted_after(0.2):
            program([2 * 10**8, 1])
        compiled = runtime.statistics.compiled
        assert program([3, 4]) == 2
    assert runtime.statistics.compiled == compiled, "what was compiled is kept"


def test_ready_made_batches_are_compiled_beside_what_is_broadcast():
    batches = fd.types.sequence(fd.types.tensor(fd.float32, (None,)))

    @fd.computation(fd.at_clients(batches), fd.at_server(fd.float32))
    def scaled(x: Any, by: Any) -> Any:
        def walk(s: Any, by: Any) -> Any:
            return s.fold(lambda total, batch: total + by * batch.sum(), 0.0)

        return fd.federated_sum(fd.federated_map(walk, (x, fd.federated_broadcast(by))))

    runtime = fd.runtime.local()
    with fd.use(runtime):
        assert scaled([[[1.0, 2.0], [3.0]], []], 2.0) == 12
    assert runtime.statistics.native == 0
