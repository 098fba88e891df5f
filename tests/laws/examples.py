# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an example program is: a program, and data for any number of clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import foedus as fd
from foedus.data import Tiers
from foedus.lang import Computation
from foedus.types import Federated

Ids = tuple[str, ...]
Data = Callable[[Ids], Any]

FEW = (1, 2, 33)
"""Numbers of clients where little depends on them: the last is the first with runs of more than one
client."""
MANY = (1, 2, 31, 32, 33, 100)
"""Around the 32 runs into which a reduction is cut, and an odd number on every level of merging."""


@dataclass(frozen=True)
class Example:
    """A program and arguments for it.

    Args:
        program: The program.
        data: What makes each argument, given the clients' ids; for values at clients ``{id: value}`` or a
            cohort.
        counts: With how many clients it is run.
        tiers: For each tier its members, and the clients below each, given all clients' ids.
    """

    program: Computation
    data: tuple[Data, ...]
    counts: tuple[int, ...]
    tiers: Callable[[Ids], Tiers] = lambda ids: {}

    @property
    def name(self) -> str:
        return self.program.name

    def arguments(self, ids: Ids) -> tuple[Any, ...]:
        return tuple(make(ids) for make in self.data)


def clients(count: int) -> Ids:
    """Ids whose order is neither the one in which they are given nor its reverse."""
    return tuple(f"client {37 * i % 101}" for i in range(count))


def example(
    table: list[Example],
    *types: Any,
    data: tuple[Data, ...] = (),
    counts: tuple[int, ...] = (0, *FEW),
    tiers: Callable[[Ids], Tiers] = lambda ids: {},
) -> Callable[[Callable[..., Any]], Computation]:
    """Puts a function with types for its parameters into a table of examples."""

    def add(fn: Callable[..., Any]) -> Computation:
        # Without types, `computation(fn)` needs the function itself.
        program = fd.computation(*types)(fn) if types else fd.computation(fn)
        table.append(Example(program, data, counts, tiers))
        return program

    return add


def at_clients(spec: Any) -> Federated:
    """The type of values at clients, of whatever specifies their type."""
    return fd.at_clients(fd.to_type(spec))


def at_server(spec: Any) -> Federated:
    """The type of a value at the server, of whatever specifies its type."""
    return fd.at_server(fd.to_type(spec))


def each(make: Callable[[np.random.Generator, int], Any]) -> Data:
    """One value a client, drawn by a generator of that client's own."""
    return lambda ids: {name: make(np.random.default_rng(i), i) for i, name in enumerate(ids)}


def same(value: Any) -> Data:
    """A value at the server."""
    return lambda ids: value


def whole(dtype: str, shape: tuple[int, ...] = ()) -> Callable[[np.random.Generator, int], Any]:
    """Integers from the whole range of a dtype, so that sums of them overflow."""
    limits = np.iinfo(dtype)
    return lambda rng, i: rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def real(dtype: Any = "float32", shape: tuple[int, ...] = ()) -> Callable[[np.random.Generator, int], Any]:
    """Positive numbers of one magnitude: what is made of them by sums is well-conditioned."""
    return lambda rng, i: np.asarray(rng.uniform(0.5, 1.5, shape)).astype(dtype)
