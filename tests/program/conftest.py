# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A process to train that needs no framework, and its clients."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from foedus import data, types
from foedus.data import ClientId, Cohort


class Output(NamedTuple):
    state: Any
    result: Any
    measurements: Any


class RandomWalk:
    """Its state goes towards the mean of the clients' numbers, with noise that depends on the state alone."""

    state_type = types.struct(w=types.tensor("float32", (3,)), key=types.KEY, round=types.int32)

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.before = before
        self.seen: list[tuple[ClientId, ...]] = []

    def initialize(self, seed: int) -> Any:
        return {"w": np.zeros(3, np.float32), "key": data.derive_key(seed), "round": 0}

    def next(self, state: Any, clients: Cohort) -> Output:
        number = int(state["round"]) + 1
        self.before(number)
        self.seen.append(clients.ids)
        key = data.derive_key(np.asarray(state["key"]).tobytes())
        noise = (key[0] % 1000) / np.float32(1000)
        w = (state["w"] * np.float32(0.9) + clients.value.mean(axis=0) + noise).astype(np.float32)
        loss = np.float32(np.abs(w).sum())
        result = {"loss": loss, "accuracy": np.float32(1 / (1 + loss))}
        return Output(
            {"w": w, "key": key, "round": np.int32(number)}, result, {"clients": {"count": len(clients)}}
        )

    def evaluate(self, state: Any, clients: Cohort) -> Any:
        distance = np.abs(state["w"] - clients.value.mean(axis=0)).sum()
        return {"loss": distance, "accuracy": np.float64(1 / (1 + distance))}


@dataclass
class Source:
    values: dict[ClientId, Any]

    @property
    def ids(self) -> tuple[ClientId, ...]:
        return tuple(self.values)

    def cohort(self, ids: Sequence[ClientId], /) -> Cohort:
        return data.cohort_of({i: self.values[i] for i in ids}, types.tensor("float32", (3,)))


def some_clients(count: int = 8) -> Source:
    values = np.arange(3 * count, dtype=np.float32).reshape(count, 3) / count
    return Source({f"client {i}": values[i] for i in range(count)})


def kill_before(number: int) -> Callable[[int], None]:
    """Ends the process, without any chance to clean up, as a round begins."""

    def kill(now: int) -> None:
        if now == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


@pytest.fixture
def process() -> Any:
    return RandomWalk()


@pytest.fixture
def clients() -> Any:
    return some_clients()


@pytest.fixture
def walk() -> Any:
    """The class, for those that need more than one."""
    return RandomWalk
