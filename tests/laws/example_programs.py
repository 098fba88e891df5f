# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Programs on which every runtime must give what the reference gives: values, structs, reductions and levels.

Those on sequences are in ``example_sequences``, those with later operators in ``example_operators``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

import foedus as fd
from foedus.types import KEY

from .examples import FEW, MANY, Example, at_clients, at_server, each, example, real, same, whole

VALUES: list[Example] = []
_WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_REAL = {
    "h": "float16",
    "b": ml_dtypes.bfloat16,
    "s": "float32",
    "d": "float64",
    "c": "complex64",
    "z": "complex128",
}


@example(
    VALUES,
    at_clients({name: name for name in _WHOLE}),
    data=(each(lambda rng, i: {name: whole(name)(rng, i) for name in _WHOLE}),),
    counts=(0, *MANY),
)
def sum_of_integers_wraps(x: Any) -> Any:
    return fd.federated_sum(x)


@example(
    VALUES,
    at_clients({name: (dtype, (2,)) for name, dtype in _REAL.items()}),
    data=(each(lambda rng, i: {name: real(dtype, (2,))(rng, i) for name, dtype in _REAL.items()}),),
    counts=(0, *MANY),
)
def sum_of_floats(x: Any) -> Any:
    return fd.federated_sum(x)


@example(VALUES, at_clients(("float64", (3,))), data=(each(real("float64", (3,))),), counts=MANY)
def mean_of_vectors(x: Any) -> Any:
    return fd.federated_mean(x)


@example(
    VALUES,
    at_clients({"w": ("float32", (2, 2)), "b": "float16"}),
    at_clients("float32"),
    data=(
        each(lambda rng, i: {"w": real("float32", (2, 2))(rng, i), "b": real("float16")(rng, i)}),
        each(lambda rng, i: real()(rng, i) * (i % 3)),
    ),
    counts=(2, 31, 32, 33, 100),  # The first client has weight zero.
)
def weighted_mean_with_zero_weights(x: Any, weight: Any) -> Any:
    return fd.federated_mean(x, weight)


@example(
    VALUES,
    at_clients("float32"),
    at_clients("int16"),
    data=(each(real()), each(lambda rng, i: rng.integers(1, 30000, dtype=np.int16))),
    counts=MANY,
)
def weighted_mean_with_whole_weights(x: Any, weight: Any) -> Any:
    return fd.federated_mean(x, weight)


@example(VALUES, at_clients("float32"), data=(each(real()),), counts=(1, 33))
def mean_with_no_weight_at_all(x: Any) -> Any:
    return fd.federated_mean(x, fd.federated_map(lambda v: v * 0, x))


def _with_nan(rng: np.random.Generator, i: int) -> Any:
    return {
        "f": np.where(np.arange(3) == i, np.nan, rng.normal(size=3)).astype(np.float32),
        "i": whole("int8", (4,))(rng, i),
        "u": whole("uint64")(rng, i),
        "d": rng.normal(),
    }


@example(
    VALUES,
    at_clients({"f": ("float32", (3,)), "i": ("int8", (4,)), "u": "uint64", "d": "float64"}),
    data=(each(_with_nan),),
    counts=MANY,
)
def extremes(x: Any) -> Any:
    return {"least": fd.federated_min(x), "greatest": fd.federated_max(x)}


@example(
    VALUES, at_clients("float32"), at_server("float32"), data=(each(real()), same(np.float32(1))), counts=FEW
)
def share_above(readings: Any, threshold: Any) -> Any:
    over = fd.federated_map(
        lambda r, t: (r > t).astype("float32"), (readings, fd.federated_broadcast(threshold))
    )
    return fd.federated_mean(over)


def _times(one: Any, other: Any) -> Any:
    """The product of two matrices of integers, by sums alone, which wrap."""
    return jnp.sum(one[:, :, None] * other[None, :, :], axis=1, dtype=one.dtype)


@example(VALUES, at_clients(("int32", (2, 2))), data=(each(whole("int32", (2, 2))),), counts=(0, *MANY))
def aggregate_that_does_not_commute(x: Any) -> Any:
    return fd.federated_aggregate(x, np.eye(2, dtype=np.int32), _times, _times, lambda m: m.T)


class Hash(NamedTuple):
    text: Any
    power: Any


@example(VALUES, at_clients("uint8"), data=(each(whole("uint8")),), counts=(0, *MANY))
def aggregate_with_a_zero_of_another_type(x: Any) -> Any:
    """A rolling hash: ``accumulate`` and ``merge`` take different things."""
    return fd.federated_aggregate(
        x,
        Hash(np.uint64(0), np.uint64(1)),
        lambda h, v: Hash(h.text * 1_000_003 + v, h.power * 1_000_003),
        lambda a, b: Hash(a.text * b.power + b.text, a.power * b.power),
        lambda h: {"hash": h.text, "odd": h.text % 2 == 1},
    )


@example(VALUES, at_clients("int32"), data=(each(whole("int32")),), counts=(0, *MANY))
def aggregate_that_shows_the_grouping(x: Any) -> Any:
    """No fold in another order or grouping gives the same; the spec's N3 says which one it is."""
    return fd.federated_aggregate(
        x, np.int32(1), lambda a, v: a * 31 + v, lambda a, b: a * 17 + b * 7 + 1, lambda a: a
    )


@example(VALUES, at_clients("float64"), data=(each(real("float64")),), counts=(0, *MANY))
def aggregate_of_moments(x: Any) -> Any:
    """Count, mean and sum of squares, merged as Chan, Golub and LeVeque do."""

    def merge(a: Any, b: Any) -> Any:
        n = a["n"] + b["n"]
        safe = jnp.maximum(n, 1)
        d = b["mean"] - a["mean"]
        return {
            "n": n,
            "mean": a["mean"] + d * b["n"] / safe,
            "m2": a["m2"] + b["m2"] + d * d * a["n"] * b["n"] / safe,
        }

    zero = {"n": np.int64(0), "mean": np.float64(0), "m2": np.float64(0)}
    one = {"n": np.int64(1), "m2": np.float64(0)}
    return fd.federated_aggregate(x, zero, lambda a, v: merge(a, {**one, "mean": v}), merge, lambda a: a)


@example(VALUES, at_clients("float32"), data=(each(real()),), counts=(1, 2, 33, 100))
def three_levels(x: Any) -> Any:
    """A later level uses what clients computed in an earlier one, and what the server made in between."""
    total = fd.federated_sum(x)
    half = fd.federated_apply(lambda t: t / 2, total)
    shifted = fd.federated_map(lambda v, h: v + h, (x, fd.federated_broadcast(half)))
    greatest = fd.federated_max(shifted)
    scaled = fd.federated_map(lambda v, s, m: v * s / m, (x, shifted, fd.federated_broadcast(greatest)))
    return fd.federated_mean(scaled, shifted), total, scaled


@example(VALUES, at_clients("int32"), data=(each(whole("int32")),), counts=FEW)
def results_at_clients(x: Any) -> Any:
    """Come back in the order in which the clients were given."""
    doubled = fd.federated_map(lambda v: v * 2, x)
    return {"doubled": doubled, "even": fd.federated_map(lambda v: v % 2 == 0, x)}


@example(
    VALUES, at_clients("int32"), at_server(("float32", (2,))), data=(each(whole("int32")), same([1.5, 2]))
)
def arguments_passed_on(x: Any, y: Any) -> Any:
    return y, x, fd.federated_broadcast(y)


@example(
    VALUES,
    at_server(KEY),
    at_clients("int32"),
    data=(same(np.array([3, 4], np.uint32)), each(whole("int32"))),
    counts=FEW,
)
def keys(key: Any, x: Any) -> Any:
    """A client's key depends on the server's key, its id and the purpose."""
    one, other = fd.federated_key(key, "one"), fd.federated_key(key, "other")
    drawn = fd.federated_map(lambda k, v: jax.random.bits(k) + v.astype("uint32"), (one, x))
    again = fd.federated_key(
        fd.federated_apply(lambda k, s: k + s.astype("uint32"), (key, fd.federated_sum(x))), "one"
    )
    return one, other, drawn, fd.federated_sum(again)


@example(VALUES)
def values_made_at_clients() -> Any:
    """No argument says which clients there are: the runtime does."""
    made = fd.federated_eval(lambda: jnp.arange(3, dtype="int32"), fd.CLIENTS)
    constant = fd.federated_value(np.int32(7), fd.CLIENTS)
    at_server = fd.federated_eval(lambda: jnp.float32(0.5), fd.SERVER)
    both = fd.federated_map(lambda a, b: a * b, (made, constant))
    return fd.federated_sum(both), at_server, fd.federated_value(np.int64(2**40), fd.SERVER)


@example(
    VALUES, at_server("int32"), at_server({"a": "float64"}), data=(same(5), same({"a": 0.25})), counts=(0, 2)
)
def server_alone(x: Any, y: Any) -> Any:
    z = fd.federated_zip({"x": x, "rest": (y, fd.federated_value(True, fd.SERVER))})
    return fd.federated_apply(lambda z: {"sum": z["x"] + z["rest"][0]["a"], "not": ~z["rest"][1]}, z)


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


@example(
    VALUES,
    at_clients(OrderedDict(z="int32", a={"b": "float32", "a": ("int8", "bool")})),
    data=(
        each(
            lambda rng, i: OrderedDict(
                z=whole("int32")(rng, i), a={"b": real()(rng, i), "a": (np.int8(i), i % 2 == 0)}
            )
        ),
    ),
    counts=(1, 33),
)
def containers(x: Any) -> Any:
    """Structs in structs; fields of a dict go by name, those of other containers as they come."""
    made = fd.federated_map(lambda v: Point(v["z"], Pair([v["a"]["b"]], v["a"]["a"])), x)
    numbers = fd.federated_map(lambda p: Pair(p.x, (p.y.left, {"n": p.y.right[0]})), made)
    return made, fd.federated_sum(numbers)


@example(
    VALUES,
    at_clients("int32"),
    at_clients("int32"),
    data=(each(whole("int32")), lambda ids: each(whole("int32"))(ids[::-1])),
)
def two_cohorts_in_different_order(x: Any, y: Any) -> Any:
    pairs = fd.federated_map(lambda a, b: a * 3 + b, (x, y))
    return fd.federated_sum(pairs), pairs


@fd.computation(fd.float32, fd.float32)
def halfway(a: Any, b: Any) -> Any:
    return (a + b) / 2


@fd.computation
def spread(x: Any) -> Any:
    return fd.federated_max(x), fd.federated_min(x)


@example(VALUES, at_clients("float32"), data=(each(real()),), counts=FEW)
def computations_in_computations(x: Any) -> Any:
    """Of given types and of any, called and given to operators; a function of the language at clients."""
    greatest, least = spread(x)
    middle = fd.federated_apply(halfway, (greatest, least))
    down = fd.federated_broadcast(middle)
    nearer = fd.federated_map(lambda pair: {"h": halfway(pair[0], pair[1]), "v": pair[0]}, (x, down))
    return fd.federated_sum(nearer), middle


@example(
    VALUES,
    at_clients(()),
    at_clients("int64"),
    at_server(()),
    data=(each(lambda rng, i: ()), each(whole("int64")), same(())),
)
def nothing_in_structs(x: Any, y: Any, z: Any) -> Any:
    """Empty structs, an argument that nobody uses, and one call made twice."""
    once, twice = (fd.federated_sum(fd.federated_map(lambda v: v // 2, y)) for _ in range(2))
    return fd.federated_sum({"x": x, "y": y}), z, fd.federated_broadcast(z), once, twice


@example(VALUES, at_clients("int32"), data=(each(lambda rng, i: np.int32(2**31 - 1 - i)),))
def overflow_in_local_code(x: Any) -> Any:
    """Wraps at clients and at the server, also where dtypes are converted."""
    up = fd.federated_map(
        lambda v: {"same": v + v, "wide": v.astype("int64") + v, "narrow": v.astype("int8")}, x
    )
    total = fd.federated_sum(up)
    return fd.federated_apply(lambda t: (t["same"] * t["same"], t["wide"] * t["wide"], -t["narrow"]), total)
