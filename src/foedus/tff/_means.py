# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sums and means by TFF's names."""

from __future__ import annotations

import math
from typing import Any, final

from foedus.aggregators import mean
from foedus.aggregators import sum as plain_sum
from foedus.tff._aggregations import (
    Trees,
    UnweightedAggregationFactory,
    WeightedAggregationFactory,
    native_sum,
    process_of,
    renamed,
)
from foedus.tff.templates import AggregationProcess, computation
from foedus.tff.types import foedus_type
from foedus.types import at_clients

_SUM = Trees(None, lambda measured: measured)
_MEAN = Trees(
    {"value_sum_process": "value_sum", "weight_sum_process": "weight_sum"},
    renamed({"mean_value": "value_sum", "mean_weight": "weight_sum"}),
)
_UNWEIGHTED_MEAN = Trees(
    {"value_sum_process": "value_sum", "count_sum_process": "weight_sum"},
    renamed({"mean_value": "value_sum", "mean_count": "weight_sum"}),
)


@final
class SumFactory(UnweightedAggregationFactory):
    """Adds the clients' values."""

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``; state and measurements are empty."""
        return process_of(plain_sum(), _SUM, value_type)


@final
class MeanFactory(WeightedAggregationFactory):
    """Averages the clients' values by weight.

    Args:
        value_sum_factory: How weighted values are added; ``SumFactory()`` if not given.
        weight_sum_factory: How weights are added; ``SumFactory()`` if not given.
        no_nan_division: Whether weights that add up to zero give zero instead of NaN.
    """

    def __init__(
        self,
        value_sum_factory: UnweightedAggregationFactory | None = None,
        weight_sum_factory: UnweightedAggregationFactory | None = None,
        no_nan_division: bool = False,
    ) -> None:
        self._mean = mean(
            value_sum=native_sum("value_sum_factory", value_sum_factory),
            weight_sum=native_sum("weight_sum_factory", weight_sum_factory),
            of_nothing=0.0 if no_nan_division else math.nan,
        )

    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """See ``WeightedAggregationFactory.create``."""
        return process_of(self._mean, _MEAN, value_type, weight_type)


@final
class UnweightedMeanFactory(UnweightedAggregationFactory):
    """Averages the clients' values, each counting once.

    Args:
        value_sum_factory: How values are added; ``SumFactory()`` if not given.
        count_sum_factory: How clients are counted; ``SumFactory()`` if not given.
    """

    def __init__(
        self,
        value_sum_factory: UnweightedAggregationFactory | None = None,
        count_sum_factory: UnweightedAggregationFactory | None = None,
    ) -> None:
        self._mean = mean(
            value_sum=native_sum("value_sum_factory", value_sum_factory),
            weight_sum=native_sum("count_sum_factory", count_sum_factory),
            of_nothing=math.nan,
        )

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``."""
        return process_of(self._mean, _UNWEIGHTED_MEAN, value_type)


@final
class _IgnoringWeights(WeightedAggregationFactory):
    """An aggregation that takes weights and does without them."""

    def __init__(self, unweighted: UnweightedAggregationFactory) -> None:
        self._unweighted = unweighted

    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """See ``WeightedAggregationFactory.create``."""
        inner = self._unweighted.create(value_type)
        value, weight = foedus_type(value_type), foedus_type(weight_type)

        @computation(inner.initialize.type.result, at_clients(value), at_clients(weight))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            return inner.next(state, value)

        return AggregationProcess(inner.initialize, next_)


def as_weighted_aggregator(unweighted_aggregator: UnweightedAggregationFactory) -> WeightedAggregationFactory:
    """A factory of processes that take weights, and ignore them.

    Args:
        unweighted_aggregator: What aggregates.
    """
    return _IgnoringWeights(unweighted_aggregator)
