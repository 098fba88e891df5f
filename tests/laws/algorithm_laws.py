# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of learning algorithms, as functions that return what breaks them: nothing, where a law holds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import numpy as np

import foedus as fd
from foedus import runtime
from foedus.learning import LearningProcess
from foedus.types import parts_of

from .runtime_laws import Make, differences


class Algorithm:
    """A learning algorithm and clients to run it on.

    Args:
        build: Makes the algorithm.
        data: The clients' data: two sets, for rounds with different clients.
    """

    def __init__(
        self, build: Callable[[], LearningProcess], data: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        self.build = build
        self.data = data
        self._runtimes: dict[Make, Any] = {}

    @cached_property
    def process(self) -> LearningProcess:
        """The algorithm, built once for all laws."""
        return self.build()

    def runtime(self, make: Make) -> Any:
        """A runtime that keeps what it has compiled from law to law."""
        return self._runtimes.setdefault(make, make())

    def mixed(self) -> Algorithm:
        """The same algorithm with the clients in another order."""
        other = copy.copy(self)
        other.process = self.process
        other.data = (dict(reversed(self.data[0].items())), dict(reversed(self.data[1].items())))
        return other


Law = Callable[[Make, Algorithm], list[str]]


def train(make: Make, algorithm: Algorithm, rounds: int, *, state: Any = None, seed: int = 1) -> Any:
    """The state after some rounds, and the last one's results."""
    results = None
    with fd.use(algorithm.runtime(make)):
        state = algorithm.process.initialize(seed) if state is None else state
        for _ in range(rounds):
            output = algorithm.process.next(state, algorithm.data[int(state.round) % 2])
            state, results = output.state, (output.result, output.measurements)
    return state, results


def agrees(make: Make, algorithm: Algorithm) -> list[str]:
    """A round gives what it gives in the reference runtime."""
    expected = train(runtime.reference, algorithm, 1)
    return list(differences(expected, train(make, algorithm, 1)))


def repeats_itself(make: Make, algorithm: Algorithm) -> list[str]:
    """The same seed gives the same bits; another seed gives another state."""
    one, other, odd = (train(make, algorithm, 2, seed=seed)[0] for seed in (1, 1, 2))
    failures = list(differences(one, other, exact=True))
    return failures if list(differences(one, odd)) else [*failures, "another seed changes nothing"]


def resumes(make: Make, algorithm: Algorithm) -> list[str]:
    """Going on from a state that was put into plain arrays and back gives the bits of not stopping."""
    whole = train(make, algorithm, 3)
    stopped = through_arrays(train(make, algorithm, 1)[0])
    return list(differences(whole, train(make, algorithm, 2, state=stopped), exact=True))


def through_arrays(state: Any) -> Any:
    """A copy of a state, of which every leaf has been nothing but bytes with a dtype and a shape."""

    def again(leaf: Any) -> Any:
        array = np.asarray(leaf)
        return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)

    return jax.tree.map(again, state)


def ignores_order(make: Make, algorithm: Algorithm) -> list[str]:
    """The order in which clients are given changes no bit."""
    return list(differences(train(make, algorithm, 2), train(make, algorithm.mixed(), 2), exact=True))


def keeps_types(make: Make, algorithm: Algorithm) -> list[str]:
    """The state after a round has the containers, dtypes and shapes of the first one, in plain NumPy
    arrays."""
    first, later = (train(make, algorithm, rounds)[0] for rounds in (0, 1))
    unlike = jax.tree.map(lambda a, b: (a.dtype, a.shape) != (b.dtype, b.shape), first, later)
    failures = ["the state's type changes"] if any(jax.tree.leaves(unlike)) else []
    odd = [type(leaf) for leaf in _leaves(later) if not isinstance(leaf, np.ndarray | np.generic)]
    return failures + [f"{cls} in a state" for cls in odd]


def _leaves(value: Any) -> list[Any]:
    parts = parts_of(value)
    return [value] if parts is None else [leaf for _, part in parts for leaf in _leaves(part)]


def compiles_once(make: Make, algorithm: Algorithm) -> list[str]:
    """A second round compiles nothing, and calls no more programs than the first."""
    process, counted = algorithm.process, make()
    statistics = []
    with fd.use(counted):
        state = process.initialize(1)
        for _ in range(3):
            state = process.next(state, algorithm.data[0]).state
            statistics.append(counted.statistics)
    one, two, three = statistics
    if (two.compiled, three.compiled) != (one.compiled, one.compiled):
        return [f"the second round compiled {two.compiled - one.compiled} programs"]
    calls = three.calls - two.calls
    return [] if calls == two.calls - one.calls <= 4 else [f"{calls} calls a round"]


def explains_itself(make: Make, algorithm: Algorithm) -> list[str]:
    """The reference logs exactly the crossings that ``explain`` lists."""
    train(runtime.reference, algorithm, 1)
    explained = fd.explain(algorithm.process.process.next).crossings
    logged = algorithm.runtime(runtime.reference).crossings
    return [] if explained == logged else [f"explained {explained}", f"logged {logged}"]
