# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping, zeroing and the estimation of quantiles by TFF's names."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, final

import jax.numpy as jnp

from foedus import lang, process
from foedus.aggregators import ZeroedWeight, clip, quantile, zero
from foedus.lang import federated_value, federated_zip
from foedus.tff._aggregations import (
    Factory,
    Trees,
    UnweightedAggregationFactory,
    around,
    native,
    native_sum,
    renamed,
)
from foedus.tff._computations import Computation
from foedus.tff.templates import EstimationProcess
from foedus.types import SERVER, at_clients, float32

_CLIPPING = Trees(
    {"clipping_norm": "norm", "inner_agg": "inner", "clipped_count_agg": "clipped_count"},
    renamed({"clipping": "inner", "clipping_norm": "norm", "clipped_count": "clipped_count"}),
)
_ZEROING = Trees(
    {"zeroing_norm": "norm", "inner_agg": "inner", "zeroed_count_agg": "zeroed_count"},
    renamed({"zeroing": "inner", "zeroing_norm": "norm", "zeroed_count": "zeroed_count"}),
)


def _limit(norm: Any) -> Any:
    if not isinstance(norm, EstimationProcess):
        return norm
    return process.EstimationProcess(norm.initialize.foedus, norm.next.foedus, norm.report.foedus)


def clipping_factory(
    clipping_norm: float | EstimationProcess,
    inner_agg_factory: Factory,
    clipped_count_sum_factory: UnweightedAggregationFactory | None = None,
) -> Factory:
    """Scales each client's value down to an L2 norm before it is aggregated; see ``foedus.aggregators.clip``.

    Args:
        clipping_norm: A number, or an estimation process that learns from the clients' norms.
        inner_agg_factory: What aggregates the clipped values, with weights or without.
        clipped_count_sum_factory: How the clipped clients are counted; ``SumFactory()`` if not given.

    Returns:
        A factory with weights where the one inside has them.
    """
    made = clip(
        native("inner_agg_factory", inner_agg_factory),
        norm=_limit(clipping_norm),
        clipped_count_sum=native_sum("clipped_count_sum_factory", clipped_count_sum_factory),
    )
    return around(inner_agg_factory, made, _CLIPPING)


def zeroing_factory(
    zeroing_norm: float | EstimationProcess,
    inner_agg_factory: Factory,
    norm_order: float = math.inf,
    zeroed_count_sum_factory: UnweightedAggregationFactory | None = None,
) -> Factory:
    """Replaces each client's value by zeros if its norm is too large; see ``foedus.aggregators.zero``.

    As in TFF the client's weight stays, so that it draws a mean towards zero.

    Args:
        zeroing_norm: A number, or an estimation process that learns from the clients' norms.
        inner_agg_factory: What aggregates, with weights or without.
        norm_order: 1, 2 or infinity.
        zeroed_count_sum_factory: How the clients with too large a norm are counted; ``SumFactory()`` if not
            given.

    Returns:
        A factory with weights where the one inside has them.
    """
    made = zero(
        native("inner_agg_factory", inner_agg_factory),
        norm=_limit(zeroing_norm),
        order=norm_order,
        weight=ZeroedWeight.KEPT,
        zeroed_count_sum=native_sum("zeroed_count_sum_factory", zeroed_count_sum_factory),
    )
    return around(inner_agg_factory, made, _ZEROING)


class QuantileState(NamedTuple):
    """What is known of a quantile.

    Args:
        current_estimate: float32[], the estimate.
        target_quantile: float32[], which quantile it is, for reading.
        learning_rate: float32[], how fast it is learned, for reading.
        below_estimate_state: Nothing.
    """

    current_estimate: Any
    target_quantile: Any
    learning_rate: Any
    below_estimate_state: Any


_SECURE = "aggregators with secure sums are not here yet; leave out `secure_estimation`"
_QUERY = "queries of tensorflow_privacy are not here; use PrivateQuantileEstimationProcess.no_noise"


@final
class PrivateQuantileEstimationProcess(EstimationProcess):
    """Estimates a quantile of the clients' numbers; made with ``no_noise``."""

    def __init__(self, quantile_estimator_query: Any, record_aggregation_factory: Any = None) -> None:
        raise NotImplementedError(f"foedus.tff has no private estimation of quantiles: {_QUERY}")

    @classmethod
    def no_noise(
        cls,
        initial_estimate: float,
        target_quantile: float,
        learning_rate: float,
        multiplier: float = 1.0,
        increment: float = 0.0,
        secure_estimation: bool = False,
    ) -> EstimationProcess:
        """Estimates a quantile C and reports ``multiplier`` C + ``increment``; see
        ``foedus.aggregators.quantile``.

        Args:
            initial_estimate: The first estimate of C, positive.
            target_quantile: Which quantile, from 0 to 1.
            learning_rate: How fast it is learned, positive.
            multiplier: Of what is reported, positive.
            increment: Of what is reported, at least zero.
            secure_estimation: Must be False.

        Returns:
            A process that takes a float32 of each client.

        Raises:
            NotImplementedError: If the estimation is to be secure.
            ValueError: If a number is out of its range.
        """
        if secure_estimation:
            raise NotImplementedError(f"foedus.tff has no secure estimation of quantiles: {_SECURE}")
        if not 0 < multiplier < math.inf:
            raise ValueError(f"Expected `multiplier` to be positive, found {multiplier}.")
        if not 0 <= increment < math.inf:
            raise ValueError(f"Expected `increment` to be nonnegative, found {increment}.")
        estimated = quantile(target_quantile, initial=initial_estimate, learning_rate=learning_rate)
        made = _with_state_of_queries(estimated, target_quantile, learning_rate)
        if (multiplier, increment) == (1.0, 0.0):
            return made
        return made.map(lambda c: multiplier * c + increment)


def _with_state_of_queries(
    estimated: process.EstimationProcess, target: float, rate: float
) -> EstimationProcess:
    """An estimation process whose state has the tree of a query's and of the aggregation of its records."""

    @lang.computation
    def initialize() -> Any:
        gamma, eta = (federated_value(jnp.float32(number), SERVER) for number in (target, rate))
        nothing = federated_value((), SERVER)
        query = QuantileState(estimated.initialize(), gamma, eta, nothing)
        return federated_zip((federated_zip(query), nothing))

    @lang.computation(initialize.type.result, at_clients(float32))
    def next_(state: Any, value: Any) -> Any:
        before, records = state
        learned: Any = estimated.next(before.current_estimate, value)
        query = QuantileState(
            learned, before.target_quantile, before.learning_rate, before.below_estimate_state
        )
        return federated_zip((federated_zip(query), records))

    @lang.computation(initialize.type.result)
    def report(state: Any) -> Any:
        return estimated.report(state[0].current_estimate)

    return EstimationProcess(Computation(initialize), Computation(next_), Computation(report))
