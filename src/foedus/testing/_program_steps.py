# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What generated programs do: for every operator of the language a step that applies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from hypothesis import strategies as st

from foedus.intrinsics import TABLE
from foedus.ir import Intrinsic
from foedus.lang import (
    Computation,
    Value,
    apply_operator,
    computation,
    federated_aggregate,
    federated_apply,
    federated_broadcast,
    federated_eval,
    federated_key,
    federated_map,
    federated_max,
    federated_mean,
    federated_min,
    federated_secure_modular_sum,
    federated_secure_select,
    federated_secure_sum,
    federated_secure_sum_bitwidth,
    federated_select,
    federated_sum,
    federated_value,
    federated_zip,
    sequence_map,
    sequence_reduce,
    sequence_sum,
)
from foedus.testing import _host_functions as on_host
from foedus.testing import _local_functions as local
from foedus.types import (
    CLIENTS,
    KEY,
    SERVER,
    STRING,
    Federated,
    Function,
    PlacementLiteral,
    PythonValue,
    Struct,
    Tensor,
    Type,
    is_above,
    tier,
    walk,
)
from foedus.types import Sequence as SequenceType

REGIONS = tier("REGIONS")
TOWNS = tier("TOWNS", above=REGIONS)
PLACEMENTS = (CLIENTS, TOWNS, REGIONS, SERVER)
"""All placements of generated programs, the lowest first."""

T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """A computation while it is written.

    Args:
        draw: Given by hypothesis.
        pool: The placed values that there are.
    """

    draw: st.DrawFn
    pool: list[Value]

    def one_of(self, *options: T) -> T:
        """One of some options."""
        return self.draw(st.sampled_from(options))

    def at(self, *placements: PlacementLiteral) -> Value:
        """A value at one of some placements; where there is none, one is made at the first of them."""
        found = [value for value in self.pool if placed(value).placement in placements]
        return self.one_of(*found) if found else federated_eval(local.three, placements[0])

    def anywhere(self) -> Value:
        """Any value."""
        return self.one_of(*self.pool)

    def target_of(self, value: Value) -> PlacementLiteral:
        """A placement above that of a value."""
        above = [p for p in PLACEMENTS if is_above(p, placed(value).placement)]
        return self.one_of(SERVER, *above)


Step: TypeAlias = Callable[[Draft], Value]
"""Makes one more value."""


def placed(value: Value) -> Federated:
    """The type of a placed value."""
    assert isinstance(value.type, Federated)
    return value.type


def _kinds(value: Value) -> set[str]:
    """What a placed value is made of: the kinds of dtypes, ``*`` for sequences, ``?`` for what has no known
    shape.
    """
    parts = [t for t in walk(placed(value).member) if not isinstance(t, Struct)]
    unknown = any(isinstance(t, Tensor) and (t.shape is None or None in t.shape) for t in parts)
    kinds = {"?"} if unknown else set[str]()
    for part in parts:
        if isinstance(part, Tensor):
            kinds.add("U" if part.dtype == STRING else part.dtype.kind)
        else:
            kinds.add("*")
    return kinds


def _for_jax(value: Value) -> Value:
    """A value without strings: itself, or what host code makes of it."""
    return federated_map(on_host.length, value) if "U" in _kinds(value) else value


def _numeric(value: Value, kinds: str = "iuf") -> Value:
    """A value of numbers of known shape: itself, or what it adds up to."""
    return value if _kinds(value) <= set(kinds) else federated_map(local.total, _for_jax(value))


def _sequence(draft: Draft) -> Value:
    """A sequence without strings at any placement; where there is none, host code makes one."""
    found = [v for v in draft.pool if isinstance(placed(v).member, SequenceType) and "U" not in _kinds(v)]
    return draft.one_of(*found) if found else federated_map(on_host.listed, draft.anywhere())


# ---------------------------------------------------------------- functions of the language


@computation
def _described(value: Any) -> Any:
    """A computation that computations call."""
    return federated_map(local.described, value)


@computation
def _described_twice(value: Any) -> Any:
    """A computation that calls another."""
    return federated_zip({"once": _described(value), "twice": _described(_described(value))})


@computation
def _summarized(value: Any) -> Any:
    """Local code that functions of the language call."""
    return {"total": local.total(value)}


def _in_the_language(value: Any) -> Any:
    return [_summarized(value), 7]


def _constant(name: str, type_: Type, _value: Any) -> Any:
    return Computation(Intrinsic(name, Function(None, type_)), name)()


def _joined(name: str, value: Any) -> Any:
    return apply_operator(name, value, value)


def _by_three(name: str, value: Any) -> Any:
    return apply_operator(name, value, 3)


# ---------------------------------------------------------------- steps


def _value(draft: Draft) -> Value:
    constants: list[PythonValue] = [{"c": 1.5, "d": [1, 2]}, "words", True, {}, {"name": "n", "size": 2}]
    return federated_value(draft.one_of(*constants), draft.one_of(*PLACEMENTS))


def _eval(draft: Draft) -> Value:
    return federated_eval(draft.one_of(local.three, local.three, on_host.motto), draft.one_of(*PLACEMENTS))


def _broadcast(draft: Draft) -> Value:
    value = draft.at(SERVER, REGIONS, TOWNS)
    below = [p for p in PLACEMENTS if is_above(placed(value).placement, p)]
    return federated_broadcast(value, to=draft.one_of(CLIENTS, *below))


def _key(draft: Draft) -> Value:
    keys = [value for value in draft.pool if value.type == Federated(KEY, SERVER, all_equal=True)]
    key = draft.one_of(*keys) if keys else federated_apply(local.key, _for_jax(draft.at(SERVER)))
    return federated_key(key, draft.one_of("noise", "order"))


def _map(draft: Draft) -> Value:
    value = draft.anywhere()
    if draft.one_of(False, False, False, True):
        return federated_map(draft.one_of(on_host.length, on_host.spelled, on_host.listed), value)
    functions = [
        local.total,
        local.masked_total,
        local.number_of_batches,
        local.described,
        local.counts,
        _in_the_language,
    ]
    value = _for_jax(value)
    if "*" not in _kinds(value):
        functions += [local.doubled, lambda x: (x, x)]
    return federated_map(draft.one_of(*functions), value)


def _map_of_two(draft: Draft) -> Value:
    value = _for_jax(draft.anywhere())
    other = _for_jax(draft.at(placed(value).placement))
    return federated_map(lambda a, b: local.total((a, b)), (value, other))


def _zip(draft: Draft) -> Value:
    value = draft.anywhere()
    return federated_zip({"a": value, "b": (draft.at(placed(value).placement), value)})


def _field(draft: Draft) -> Value:
    structs = [v for v in draft.pool if isinstance(m := placed(v).member, Struct) and m.fields]
    return draft.one_of(*draft.one_of(*structs)) if structs else _zip(draft)


def _aggregate(draft: Draft) -> Value:
    value = _for_jax(draft.at(CLIENTS, TOWNS, REGIONS))
    zero = {"count": 0, "sum": 0.0}
    fold = (local.accumulate, local.merge, local.report)
    return federated_aggregate(value, zero, *fold, to=draft.target_of(value))


def _reduction(reduce: Callable[..., Value], kinds: str, draft: Draft) -> Value:
    value = _numeric(draft.at(CLIENTS, TOWNS, REGIONS), kinds)
    return reduce(value, to=draft.target_of(value))


def _weighted_mean(draft: Draft) -> Value:
    value = _numeric(draft.at(CLIENTS, TOWNS, REGIONS), "f")
    weight = _for_jax(draft.at(placed(value).placement))
    weights = federated_map(draft.one_of(local.positive, local.count_from_one), weight)
    return federated_mean(value, weights, to=draft.target_of(value))


def _secure(reduce: Callable[..., Value], limit: int, draft: Draft) -> Value:
    value = _for_jax(draft.at(CLIENTS, TOWNS, REGIONS))
    to = draft.target_of(value)
    if draft.draw(st.booleans()):
        return reduce(federated_map(local.count, value), limit, to=to)
    limits: list[PythonValue] = [limit, {"a": limit, "b": limit}]
    return reduce(federated_map(local.counts, value), draft.one_of(*limits), to=to)


def _select(select: Callable[..., Value], draft: Draft) -> Value:
    keys = federated_map(local.keys, _for_jax(draft.at(CLIENTS)))
    return select(keys, 8, _for_jax(draft.at(SERVER)), local.part)


def _sequence_map(draft: Draft) -> Value:
    return sequence_map(draft.one_of(local.total, local.described, _in_the_language), _sequence(draft))


def _sequence_reduce(draft: Draft) -> Value:
    return sequence_reduce(_sequence(draft), {"last": 0.0, "sum": 0.0}, local.step)


def _sequence_sum(draft: Draft) -> Value:
    value = _sequence(draft)
    summable = _kinds(value) - {"*"} <= set("iuf")
    return sequence_sum(value if summable else sequence_map(local.total, value))


def _generic(name: str, draft: Draft) -> Value:
    value = _numeric(draft.anywhere())
    if TABLE[name].nullary:
        return federated_map(partial(_constant, name, placed(value).member), value)
    body = _by_three if name in ("generic_multiply", "generic_divide") else _joined
    return federated_map(partial(body, name), value)


def _call(draft: Draft) -> Value:
    return draft.one_of(_described, _described_twice)(_for_jax(draft.anywhere()))


STEPS: Mapping[str, Step] = {
    "federated_value": _value,
    "federated_eval": _eval,
    "federated_broadcast": _broadcast,
    "federated_key": _key,
    "federated_map": _map,
    "federated_zip": _zip,
    "federated_aggregate": _aggregate,
    "federated_sum": partial(_reduction, federated_sum, "iuf"),
    "federated_mean": partial(_reduction, federated_mean, "f"),
    "federated_weighted_mean": _weighted_mean,
    "federated_min": partial(_reduction, federated_min, "iuf"),
    "federated_max": partial(_reduction, federated_max, "iuf"),
    "federated_secure_sum": partial(_secure, federated_secure_sum, 7),
    "federated_secure_sum_bitwidth": partial(_secure, federated_secure_sum_bitwidth, 3),
    "federated_secure_modular_sum": partial(_secure, federated_secure_modular_sum, 5),
    "federated_select": partial(_select, federated_select),
    "federated_secure_select": partial(_select, federated_secure_select),
    "sequence_map": _sequence_map,
    "sequence_reduce": _sequence_reduce,
    "sequence_sum": _sequence_sum,
    **{name: partial(_generic, name) for name in TABLE if name.startswith("generic_")},
    "two values": _map_of_two,
    "a field": _field,
    "a call": _call,
}
"""A step for each operator, by its name, and some more."""


def more(draft: Draft) -> Value:
    """Does any step, now and then inside of a computation that is called for it."""
    given = draft.anywhere()
    if draft.one_of(False, False, False, False, True):
        return computation(given.type)(lambda value: more(Draft(draft.draw, [value])))(given)
    return draft.one_of(*STEPS.values())(draft)
