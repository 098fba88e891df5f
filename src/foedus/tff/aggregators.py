# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.aggregators``: factories of aggregation processes, with TFF's trees of state and measurements."""

from __future__ import annotations

from foedus import lang
from foedus.tff._absent import Absent
from foedus.tff._aggregations import (
    AggregationFactory,
    UnweightedAggregationFactory,
    WeightedAggregationFactory,
)
from foedus.tff._limits import PrivateQuantileEstimationProcess, clipping_factory, zeroing_factory
from foedus.tff._means import MeanFactory, SumFactory, UnweightedMeanFactory, as_weighted_aggregator
from foedus.tff._measurements import add_measurements, concat_factory

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


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.aggregators.{name}", instead)


_SECURE = "use federated_secure_sum in a computation"
_PRIVATE = "aggregators with noise are not here yet"
_SAMPLES = "values of single clients do not leave them here"
_ENCODES = "transforms and compression are not here yet"
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
entropy_compression_aggregator = _absent("entropy_compression_aggregator", _ENCODES)
ClippingFactory = clipping_factory
ZeroingFactory = zeroing_factory
federated_max = lang.federated_max
federated_min = lang.federated_min
