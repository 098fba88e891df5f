# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Aggregations around others that change neither values nor state, by TFF's names."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from foedus.aggregators import concat, measured
from foedus.lang import federated_zip
from foedus.tff._aggregations import Factory, Trees, WeightedAggregationFactory, around, native
from foedus.types import EMPTY, Federated, Struct


def concat_factory(inner_agg_factory: Factory) -> Factory:
    """Aggregates each client's value as one vector; see ``foedus.aggregators.concat``.

    Args:
        inner_agg_factory: What aggregates vectors, with weights or without.

    Returns:
        A factory with weights where the one inside has them, for values of one dtype.
    """
    made = concat(native("inner_agg_factory", inner_agg_factory))
    return around(inner_agg_factory, made, Trees(None, lambda measurements: measurements))


def add_measurements(
    inner_agg_factory: Factory,
    *,
    client_measurement_fn: Callable[..., Any] | None = None,
    server_measurement_fn: Callable[[Any], Any] | None = None,
) -> Factory:
    """Adds measurements to those of an aggregation; see ``foedus.aggregators.measured``.

    Args:
        inner_agg_factory: What aggregates, with weights or without.
        client_measurement_fn: From the clients' values, and their weights where there are some, to an
            ``OrderedDict`` of values at the server.
        server_measurement_fn: From the result at the server to an ``OrderedDict`` of values there.

    Returns:
        A factory with weights where the one inside has them. New measurements stand beside those that were
        there, or in their place where they have the same name.

    Raises:
        ValueError: If neither function is given, or one takes another number of arguments.
    """
    count = 2 if isinstance(inner_agg_factory, WeightedAggregationFactory) else 1
    _require_parameters("client_measurement_fn", client_measurement_fn, count)
    _require_parameters("server_measurement_fn", server_measurement_fn, 1)
    made = measured(
        native("inner_agg_factory", inner_agg_factory),
        of_values=client_measurement_fn,
        of_result=server_measurement_fn,
    )
    given = [
        name for name, fn in (("values", client_measurement_fn), ("result", server_measurement_fn)) if fn
    ]
    return around(inner_agg_factory, made, Trees(None, lambda found: _merged(found, ["inner", *given])))


def _require_parameters(name: str, fn: Callable[..., Any] | None, count: int) -> None:
    if fn is None:
        return
    try:
        inspect.signature(fn).bind(*range(count))
    except TypeError:
        wanted = "a single parameter" if count == 1 else "two parameters"
        raise ValueError(f"Expected `{name}` to take {wanted}, found {inspect.signature(fn)}.") from None


def _merged(found: Any, names: list[str]) -> Any:
    """The fields of several measurements in one struct, without those that are empty."""
    inner, *new = (found[name] for name in names)
    parts = [part for part in (inner, *new) if part.type.member != EMPTY] or [inner]
    if len(parts) == 1:
        return parts[0]
    merged: OrderedDict[str, Any] = OrderedDict()
    for part in parts:
        merged |= {name: part[name] for name in _fields(part.type)}
    return federated_zip(merged)


def _fields(type_: Federated) -> list[str]:
    fields = type_.member.fields if isinstance(type_.member, Struct) else ((None, type_.member),)
    names = [name for name, _ in fields if name is not None]
    if len(names) < len(fields):
        raise TypeError(f"Expected measurements with names, to add others to them, found {type_.member}.")
    return names
