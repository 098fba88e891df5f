# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.aggregators``: factories of aggregation processes, with TFF's trees of state and measurements."""

from __future__ import annotations

import abc
from collections import OrderedDict
from typing import Any, final

import jax
import jax.numpy as jnp

from foedus import lang
from foedus.lang import federated_map, federated_sum, federated_value, federated_zip
from foedus.tff._absent import Absent
from foedus.tff.templates import AggregationProcess, MeasuredProcessOutput, computation
from foedus.tff.types import foedus_type
from foedus.types import CLIENTS, EMPTY, SERVER, Type, at_clients, at_server, float32

__all__ = [
    "AggregationFactory",
    "ClippingFactory",
    "DifferentiallyPrivateFactory",
    "DiscreteFourierTransformFactory",
    "DistributedDpSumFactory",
    "EliasGammaEncodedSumFactory",
    "EncodedSumFactory",
    "HadamardTransformFactory",
    "MeanFactory",
    "PrivateQuantileEstimationProcess",
    "SecureModularSumFactory",
    "SecureSumFactory",
    "SumFactory",
    "UnweightedAggregationFactory",
    "UnweightedMeanFactory",
    "UnweightedReservoirSamplingFactory",
    "WeightedAggregationFactory",
    "ZeroingFactory",
    "add_measurements",
    "as_weighted_aggregator",
    "clipping_factory",
    "concat_factory",
    "entropy_compression_aggregator",
    "extract_dp_event_from_state",
    "federated_max",
    "federated_min",
    "federated_sample",
    "secure_quantized_sum",
    "zeroing_factory",
]


class UnweightedAggregationFactory(abc.ABC):
    """Makes aggregation processes for values without weights."""

    @abc.abstractmethod
    def create(self, value_type: Any) -> AggregationProcess:
        """The process for one type of values.

        Args:
            value_type: What each client has.
        """


class WeightedAggregationFactory(abc.ABC):
    """Makes aggregation processes for values with weights."""

    @abc.abstractmethod
    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """The process for one type of values and of weights.

        Args:
            value_type: What each client has.
            weight_type: The type of its weight.
        """


AggregationFactory = UnweightedAggregationFactory | WeightedAggregationFactory
"""Either factory."""


@final
class SumFactory(UnweightedAggregationFactory):
    """Adds the clients' values."""

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``; state and measurements are empty."""

        @computation()
        def initialize() -> Any:
            return federated_value((), SERVER)

        @computation(at_server(EMPTY), at_clients(foedus_type(value_type)))
        def next_(state: Any, value: Any) -> Any:
            return MeasuredProcessOutput(state, federated_sum(value), federated_value((), SERVER))

        return AggregationProcess(initialize, next_)


def _states(first: AggregationProcess, second: AggregationProcess, names: tuple[str, str]) -> Any:
    @computation()
    def initialize() -> Any:
        return federated_zip(OrderedDict(zip(names, (first.initialize(), second.initialize()), strict=True)))

    return initialize


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
        self._value_sum = value_sum_factory or SumFactory()
        self._weight_sum = weight_sum_factory or SumFactory()
        self._divide = _divide_or_zero if no_nan_division else _divide

    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """See ``WeightedAggregationFactory.create``."""
        value, weight = foedus_type(value_type), foedus_type(weight_type)
        values, weights = self._value_sum.create(value_type), self._weight_sum.create(weight_type)
        initialize = _states(values, weights, ("value_sum_process", "weight_sum_process"))

        @computation(initialize.type.result, at_clients(value), at_clients(weight))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            total = values.next(state.value_sum_process, federated_map(_scale, (value, weight)))
            mass = weights.next(state.weight_sum_process, weight)
            return MeasuredProcessOutput(
                federated_zip(OrderedDict(value_sum_process=total.state, weight_sum_process=mass.state)),
                federated_map(self._divide, (total.result, mass.result)),
                federated_zip(OrderedDict(mean_value=total.measurements, mean_weight=mass.measurements)),
            )

        return AggregationProcess(initialize, next_)


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
        self._value_sum = value_sum_factory or SumFactory()
        self._count_sum = count_sum_factory or SumFactory()

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``."""
        values, counts = self._value_sum.create(value_type), self._count_sum.create(float32)
        initialize = _states(values, counts, ("value_sum_process", "count_sum_process"))

        @computation(initialize.type.result, at_clients(foedus_type(value_type)))
        def next_(state: Any, value: Any) -> Any:
            total = values.next(state.value_sum_process, value)
            count = counts.next(state.count_sum_process, federated_value(jnp.float32(1), CLIENTS))
            return MeasuredProcessOutput(
                federated_zip(OrderedDict(value_sum_process=total.state, count_sum_process=count.state)),
                federated_map(_divide, (total.result, count.result)),
                federated_zip(OrderedDict(mean_value=total.measurements, mean_count=count.measurements)),
            )

        return AggregationProcess(initialize, next_)


def _scale(value: Any, weight: Any) -> Any:
    # In the wider of the two dtypes: half precision has no place for most weights.
    return jax.tree.map(lambda x: (x * weight).astype(x.dtype), value)


def _divide(total: Any, weight: Any) -> Any:
    return jax.tree.map(lambda x: (x / weight).astype(x.dtype), total)


def _divide_or_zero(total: Any, weight: Any) -> Any:
    by = jnp.where(weight == 0, 1, weight)
    return jax.tree.map(lambda x: jnp.where(weight == 0, 0, x / by).astype(x.dtype), total)


@final
class _Weighted(WeightedAggregationFactory):
    """An aggregation that takes weights and does without them."""

    def __init__(self, unweighted: UnweightedAggregationFactory) -> None:
        self._unweighted = unweighted

    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """See ``WeightedAggregationFactory.create``."""
        inner = self._unweighted.create(value_type)
        value: Type = foedus_type(value_type)

        @computation(inner.initialize.type.result, at_clients(value), at_clients(foedus_type(weight_type)))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            return inner.next(state, value)

        return AggregationProcess(inner.initialize, next_)


def as_weighted_aggregator(unweighted_aggregator: UnweightedAggregationFactory) -> WeightedAggregationFactory:
    """A factory of processes that take weights, and ignore them.

    Args:
        unweighted_aggregator: What aggregates.
    """
    return _Weighted(unweighted_aggregator)


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.aggregators.{name}", instead)


_CLIPS = "clipping and zeroing are not here yet; clip in the client's own code"
_SECURE = "use federated_secure_sum in a computation"
_PRIVATE = "aggregators with noise are not here yet"
_SAMPLES = "values of single clients do not leave them here"
_ENCODES = "transforms and compression are not here yet"
ClippingFactory = _absent("ClippingFactory", _CLIPS)
ZeroingFactory = _absent("ZeroingFactory", _CLIPS)
clipping_factory = _absent("clipping_factory", _CLIPS)
zeroing_factory = _absent("zeroing_factory", _CLIPS)
PrivateQuantileEstimationProcess = _absent("PrivateQuantileEstimationProcess", _CLIPS)
SecureSumFactory = _absent("SecureSumFactory", _SECURE)
SecureModularSumFactory = _absent("SecureModularSumFactory", _SECURE)
secure_quantized_sum = _absent("secure_quantized_sum", _SECURE)
DifferentiallyPrivateFactory = _absent("DifferentiallyPrivateFactory", _PRIVATE)
DistributedDpSumFactory = _absent("DistributedDpSumFactory", _PRIVATE)
extract_dp_event_from_state = _absent("extract_dp_event_from_state", _PRIVATE)
UnweightedReservoirSamplingFactory = _absent("UnweightedReservoirSamplingFactory", _SAMPLES)
federated_sample = _absent("federated_sample", _SAMPLES)
DiscreteFourierTransformFactory = _absent("DiscreteFourierTransformFactory", _ENCODES)
EliasGammaEncodedSumFactory = _absent("EliasGammaEncodedSumFactory", _ENCODES)
EncodedSumFactory = _absent("EncodedSumFactory", _ENCODES)
HadamardTransformFactory = _absent("HadamardTransformFactory", _ENCODES)
concat_factory = _absent("concat_factory", _ENCODES)
entropy_compression_aggregator = _absent("entropy_compression_aggregator", _ENCODES)
add_measurements = _absent("add_measurements", "write a factory whose process measures")
federated_max = lang.federated_max
federated_min = lang.federated_min
