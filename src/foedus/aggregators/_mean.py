# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The mean, weighted or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.aggregators._aggregator import Aggregator, require_floats, require_number
from foedus.aggregators._sum import sum as plain_sum
from foedus.lang import computation, federated_map, federated_value, federated_zip
from foedus.process import Output, Process
from foedus.types import CLIENTS, EMPTY, Type, at_clients, at_server, float32


@final
@dataclass(frozen=True, slots=True)
class _Mean(Aggregator):
    value_sum: Aggregator
    weight_sum: Aggregator
    of_nothing: float

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        weighted = weight_type != EMPTY
        require_floats(value_type, "A mean")
        if weighted:
            require_number(weight_type)
        value_sum = self.value_sum.create(value_type)
        weight_sum = self.weight_sum.create(weight_type if weighted else float32)
        of_nothing = self.of_nothing

        @computation
        def initialize() -> Any:
            return federated_zip({"value_sum": value_sum.initialize(), "weight_sum": weight_sum.initialize()})

        @computation(
            at_server(initialize.type.result.member), at_clients(value_type), at_clients(weight_type)
        )
        def next_(state: Any, value: Any, weight: Any) -> Any:
            nothing = federated_value((), CLIENTS)
            if weighted:
                value = federated_map(_scale, (value, weight))
            else:
                weight = federated_value(np.float32(1), CLIENTS)
            values = value_sum.next(state.value_sum, value, nothing)
            weights = weight_sum.next(state.weight_sum, weight, nothing)
            mean = federated_map(_dividing(of_nothing), (values.result, weights.result))
            return Output(
                federated_zip({"value_sum": values.state, "weight_sum": weights.state}),
                mean,
                federated_zip({"value_sum": values.measurements, "weight_sum": weights.measurements}),
            )

        return Process(initialize, next_)


def _scale(value: Any, weight: Any) -> Any:
    # In the wider of the two dtypes: half precision has no place for most weights.
    return jax.tree.map(lambda x: (x * weight).astype(x.dtype), value)


def _dividing(of_nothing: float) -> Callable[[Any, Any], Any]:
    def divide(total: Any, weight: Any) -> Any:
        by = jnp.where(weight == 0, 1, weight)
        return jax.tree.map(lambda x: jnp.where(weight == 0, of_nothing, x / by).astype(x.dtype), total)

    return divide


def mean(
    *,
    value_sum: Aggregator | None = None,
    weight_sum: Aggregator | None = None,
    of_nothing: float = 0.0,
) -> Aggregator:
    """Averages the clients' values, element by element.

    Without weights every client counts once. Where the weights add up to zero the mean is zero: nobody asked
    for a change. NaN at a client makes the mean NaN; ``zero`` and ``clip`` keep it away.

    Args:
        value_sum: How weighted values are added; ``sum()`` if not given.
        weight_sum: How weights are added; ``sum()`` if not given.
        of_nothing: What the mean is where the weights add up to zero; NaN for what a division gives.

    Returns:
        An aggregator of floating point or complex numbers with a scalar weight or none.
    """
    return _Mean(value_sum or plain_sum(), weight_sum or plain_sum(), of_nothing)
