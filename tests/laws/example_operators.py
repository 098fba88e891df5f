# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs with tiers, secure sums, selections, operators on sequences and host code on which every runtime
must give what the reference gives.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

import foedus as fd
from foedus.data import Tiers
from foedus.types import Sequence, to_type

from .examples import Example, Ids, at_clients, at_server, each, example, real, same, whole

OPERATORS: list[Example] = []
COUNTS = (3, 9, 40)
REGIONS = fd.tier("REGIONS")
TOWNS = fd.tier("TOWNS", above=REGIONS)


def regions(ids: Ids) -> Tiers:
    """Every third client each; the names are not in order."""
    return {REGIONS: {"south": ids[::3], "east": ids[1::3], "north": ids[2::3]}}


def regions_one_empty(ids: Ids) -> Tiers:
    return {REGIONS: {"nowhere": (), **regions(ids)[REGIONS]}}


def towns(ids: Ids) -> Tiers:
    """Regions of towns of clients."""
    return {
        REGIONS: {"b": ids[::2], "a": ids[1::2]},
        TOWNS: {"b2": ids[::4], "a1": ids[1::2], "b1": ids[2::4]},
    }


@example(
    OPERATORS, at_clients("int32"), data=(each(whole("int32")),), counts=(0, *COUNTS), tiers=regions_one_empty
)
def sums_of_regions(x: Any) -> Any:
    """A region with nobody has the sum of nobody; each client gets back its own region's."""
    sums = fd.federated_sum(x, to=REGIONS)
    back = fd.federated_broadcast(sums)
    return sums, fd.federated_map(lambda v, s: v * 3 + s, (x, back)), fd.federated_sum(sums)


def _times(one: Any, other: Any) -> Any:
    return jnp.sum(one[:, :, None] * other[None, :, :], axis=1, dtype=one.dtype)


@example(
    OPERATORS,
    at_clients(("int32", (2, 2))),
    data=(each(whole("int32", (2, 2))),),
    counts=COUNTS,
    tiers=regions,
)
def folds_of_regions_that_do_not_commute(x: Any) -> Any:
    identity = np.eye(2, dtype=np.int32)
    products = fd.federated_aggregate(x, identity, _times, _times, lambda m: m.T, to=REGIONS)
    return fd.federated_aggregate(products, identity, _times, _times, lambda m: m), products


@example(OPERATORS, at_clients("float32"), data=(each(real()),), counts=COUNTS, tiers=regions)
def means_of_regions(x: Any) -> Any:
    """What the server makes of them goes to the regions, and from there to the clients."""
    weights = fd.federated_map(lambda v: v * v, x)
    means = fd.federated_mean(x, weights, to=REGIONS)
    spread = fd.federated_broadcast(fd.federated_max(means), to=REGIONS)
    gaps = fd.federated_map(lambda m, top: top - m, (means, spread))
    return fd.federated_mean(fd.federated_map(lambda v, g: v + g, (x, fd.federated_broadcast(gaps)))), gaps


@example(OPERATORS, at_clients("int64"), data=(each(whole("int64")),), counts=(4, 9, 40), tiers=towns)
def tiers_of_tiers(x: Any) -> Any:
    in_towns = fd.federated_sum(x, to=TOWNS)
    in_regions = fd.federated_max(in_towns, to=REGIONS)
    constants = fd.federated_value(np.int64(7), TOWNS)
    both = fd.federated_map(
        lambda a, b, c: a * 5 + b + c, (in_towns, fd.federated_broadcast(in_regions, to=TOWNS), constants)
    )
    return fd.federated_sum(both), in_regions, fd.federated_sum(fd.federated_broadcast(both))


def _counts(rng: np.random.Generator, i: int) -> Any:
    return {"a": rng.integers(0, 9, 3, dtype=np.int32), "b": (rng.integers(0, 2**40), np.uint8(i))}


@example(
    OPERATORS,
    at_clients({"a": ("int32", (3,)), "b": ("int64", "uint8")}),
    data=(each(_counts),),
    counts=(0, 1, 9),
)
def secure_sums(x: Any) -> Any:
    """Bounds are one for all leaves, or one each; all sums are exact."""
    return (
        fd.federated_secure_sum(x, np.int64(2**40)),
        fd.federated_secure_sum(x, {"a": np.int32(8), "b": (np.int64(2**41), np.int32(100))}),
        fd.federated_secure_sum_bitwidth(x, np.int32(41)),
        fd.federated_secure_modular_sum(x, np.int32(7)),
    )


@example(OPERATORS, at_clients("int32"), data=(each(whole("int32")),), counts=COUNTS, tiers=regions)
def secure_sums_of_regions(x: Any) -> Any:
    """Remainders of negative numbers, summed on the way."""
    sums = fd.federated_secure_modular_sum(x, np.int32(1000), to=REGIONS)
    return fd.federated_sum(sums), sums


def _keys(rng: np.random.Generator, i: int) -> Any:
    return rng.integers(0, 6, 4, dtype=np.int32)


@example(
    OPERATORS,
    at_clients(("int32", (4,))),
    at_server({"table": ("float32", (6, 2)), "names": ("int32", (6,))}),
    data=(
        each(_keys),
        same({"table": np.arange(12, dtype=np.float32).reshape(6, 2), "names": np.arange(6, dtype=np.int32)}),
    ),
    counts=(0, 1, 9),
)
def selections(keys: Any, table: Any) -> Any:
    """Each client gets the rows that it asked for, in the order of its keys."""

    def row(all_: Any, key: Any) -> Any:
        return {"row": all_["table"][key], "name": all_["names"][key]}

    def work(s: Any) -> Any:
        zero = (np.zeros(2, np.float32), np.int32(1))
        return s.fold(lambda c, e: (c[0] + e["row"], c[1] * 31 + e["name"]), zero)

    open_, secret = (
        select(keys, np.int32(6), table, row) for select in (fd.federated_select, fd.federated_secure_select)
    )
    return fd.federated_sum(fd.federated_map(work, open_)), fd.federated_map(work, secret)


INTS = Sequence(to_type("int32"))


@example(
    OPERATORS,
    at_clients(INTS),
    at_server(INTS),
    data=(each(lambda rng, i: rng.integers(0, 99, 3 * i % 7, dtype=np.int32)), same([3, 1, 2])),
    counts=(0, 1, 9),
)
def operators_on_sequences(x: Any, y: Any) -> Any:
    """At clients and at the server; one mapped and reduced gives the same as one folded."""
    squares = fd.sequence_map(lambda v: v * v, x)
    noted = fd.sequence_reduce(squares, np.int32(1), lambda c, v: c * 31 + v)
    at_home = fd.sequence_reduce(y, np.int32(1), lambda c, v: c * 31 + v)
    return fd.federated_sum((fd.sequence_sum(squares), noted)), fd.sequence_sum(y), at_home


@fd.host(returns="int32")
def letters(text: Any) -> Any:
    return len(text)


@fd.host(returns=str)
def shout(text: Any, times: Any) -> Any:
    return text.upper() + "!" * int(times)


WORDS = ("a", "federation", "", "of Länder", "trailing\0")


@example(
    OPERATORS,
    at_clients(str),
    at_server("int32"),
    data=(each(lambda rng, i: WORDS[i % 5]), same(2)),
    counts=(0, 1, 9),
)
def host_code_and_strings(x: Any, times: Any) -> Any:
    """What cannot be compiled runs natively, beside what can."""
    lengths = fd.federated_map(letters, x)
    loud = fd.federated_map(shout, (x, fd.federated_broadcast(times)))
    return fd.federated_sum(fd.federated_map(lambda n: n * n, lengths)), loud, x


@example(
    OPERATORS,
    at_clients(("int32", (None,))),
    data=(each(lambda rng, i: np.arange(i % 4, dtype=np.int32)),),
    counts=(0, 1, 9),
)
def arrays_of_different_shapes(x: Any) -> Any:
    doubled = fd.federated_map(lambda v: v * 2, x)
    return doubled, fd.federated_sum(fd.federated_map(lambda v: jnp.sum(v), doubled))
