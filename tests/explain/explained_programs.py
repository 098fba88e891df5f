# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs to explain, and arguments to run them with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import foedus as fd
from foedus.lang import Computation

REGIONS = fd.tier("REGIONS")
COUNTRIES = fd.tier("COUNTRIES")
DISTRICTS = fd.tier("DISTRICTS", above=COUNTRIES)

SALES = fd.to_type({"sales": fd.float32, "visits": fd.int32})


@fd.computation(fd.at_clients(SALES), fd.at_server(fd.float32))
def in_regions(shops: Any, target: Any) -> Any:
    """Up to a tier and from there, down to a tier and from there, and past it."""
    regional = fd.federated_sum(shops, to=REGIONS)
    targets = fd.federated_broadcast(target, to=REGIONS)
    missing = fd.federated_map(lambda total, t: t - total["sales"], (regional, targets))
    gaps = fd.federated_map(lambda shop, m: m - shop["sales"], (shops, fd.federated_broadcast(missing)))
    return fd.federated_mean(missing), fd.federated_max(gaps)


@fd.computation(fd.at_clients(fd.float32))
def in_two_tiers(x: Any) -> Any:
    districts = fd.federated_sum(x, to=DISTRICTS)
    return fd.federated_mean(fd.federated_sum(districts, to=COUNTRIES))


@fd.computation(
    fd.at_clients(fd.tensor("int32", (8,))),
    fd.at_clients(fd.tensor("int32", (2,))),
    fd.at_server(fd.tensor("float32", (10, 4))),
)
def protected(counts: Any, keys: Any, table: Any) -> Any:
    """Every way in which values can travel."""
    rows = fd.federated_select(keys, 10, table, lambda t, k: t[k])
    hidden = fd.federated_secure_select(keys, 10, table, lambda t, k: t[k])
    number = fd.federated_map(lambda a, b: np.float32(1), (rows, hidden))
    return {
        "sum": fd.federated_secure_sum(counts, 100),
        "bits": fd.federated_secure_sum_bitwidth(counts, 7),
        "modular": fd.federated_secure_modular_sum(counts, 64),
        "most": fd.federated_max(counts),
        "clients": fd.federated_sum(number),
        "same": fd.federated_value(7, fd.CLIENTS),
    }


@fd.host(returns="int32")
def length(word: Any) -> Any:
    return len(word)


@fd.host(returns="int32")
def longer(total: Any, word: Any) -> Any:
    return np.int32(total + len(word))


@fd.computation(fd.at_clients(fd.string))
def letters(words: Any) -> Any:
    """Host code at both ends, and values whose bytes nobody knows."""
    lengths = fd.federated_map(length, words)
    total = fd.federated_aggregate(words, np.int32(0), longer, lambda a, b: a + b, lambda a: 2 * a)
    return total, fd.federated_sum(lengths)


@fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32))
def nothing_crosses(x: Any, y: Any) -> Any:
    return fd.federated_map(lambda v: v + 1, x), y


@fd.computation(fd.float32)
def local_alone(x: Any) -> Any:
    return x + 1


@fd.computation(fd.sequence("float32"))
def operators_alone(s: Any) -> Any:
    """The language's operators on what is not placed."""
    return fd.sequence_sum(fd.sequence_map(local_alone, s))


def crossing_often(steps: int, *, alike: bool) -> Computation:
    """A program with two crossings a step: all of them sums, or one down and one up in turn."""

    @fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32))
    def often(x: Any, y: Any) -> Any:
        results = []
        for i in range(steps):
            if alike:
                up = fd.federated_map(lambda v, i=i: v + i, x)
                results += [fd.federated_sum(up), fd.federated_sum(fd.federated_map(lambda v: v * 2, up))]
                continue
            moved = fd.federated_apply(lambda v, i=i: v + i, y)
            both = fd.federated_map(lambda a, b: a * b, (x, fd.federated_broadcast(moved)))
            results.append(fd.federated_sum(both))
        return tuple(results)

    return often


@dataclass(frozen=True)
class Run:
    """A program and what it is run with.

    Args:
        program: The program.
        arguments: Its arguments.
        tiers: The members of its tiers.
    """

    program: Computation
    arguments: tuple[Any, ...]
    tiers: dict[Any, Any] = field(default_factory=dict)


SHOPS = [{"sales": np.float32(i), "visits": np.int32(i)} for i in range(3)]
KEYS = np.array([1, 9], np.int32)
RUNS = {
    "in_regions": Run(in_regions, (SHOPS, 2.0), {REGIONS: {"north": [0, 1], "south": [2]}}),
    "in_two_tiers": Run(
        in_two_tiers,
        ([1.0, 2.0, 3.0],),
        {
            DISTRICTS: {"a": [0], "b": [1], "c": [2]},
            COUNTRIES: {"one": [0, 1], "other": [2]},
        },
    ),
    "protected": Run(
        protected, ([np.arange(8, dtype=np.int32)] * 3, [KEYS] * 3, np.ones((10, 4), np.float32))
    ),
    "letters": Run(letters, (["a", "bc", "def"],)),
    "nothing_crosses": Run(nothing_crosses, ([1.0, 2.0], 3.0)),
    "local_alone": Run(local_alone, (3.0,)),
    "operators_alone": Run(operators_alone, ([1.0, 2.0],)),
    "often": Run(crossing_often(4, alike=False), ([1.0, 2.0], 3.0)),
}
