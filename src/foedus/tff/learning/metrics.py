# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.metrics``: metrics. They are added up over clients and then reported, everywhere."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "FinalizeThenSampleFactory",
    "NumBatchesCounter",
    "NumExamplesCounter",
    "SecureSumFactory",
    "SumThenFinalizeFactory",
    "create_default_secure_sum_quantization_ranges",
    "create_functional_metric_fns",
    "create_keras_metric_finalizer",
    "finalize_then_sample",
    "secure_sum_then_finalize",
    "sum_then_finalize",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.learning.metrics.{name}", instead)


_COUNTED = "every process counts examples and batches"
_SECURE = "metrics are plain sums; secure ones are not here yet"
_SAMPLED = "metrics of single clients do not leave them here"
_KERAS = "give Keras metrics to from_keras_model"
FinalizeThenSampleFactory = _absent("FinalizeThenSampleFactory", _SAMPLED)
NumBatchesCounter = _absent("NumBatchesCounter", _COUNTED)
NumExamplesCounter = _absent("NumExamplesCounter", _COUNTED)
SecureSumFactory = _absent("SecureSumFactory", _SECURE)
SumThenFinalizeFactory = _absent("SumThenFinalizeFactory", "build_fed_eval adds metrics up over rounds")
create_default_secure_sum_quantization_ranges = _absent(
    "create_default_secure_sum_quantization_ranges", _SECURE
)
create_functional_metric_fns = _absent("create_functional_metric_fns", _KERAS)
create_keras_metric_finalizer = _absent("create_keras_metric_finalizer", _KERAS)
finalize_then_sample = _absent("finalize_then_sample", _SAMPLED)
secure_sum_then_finalize = _absent("secure_sum_then_finalize", _SECURE)
sum_then_finalize = _absent(
    "sum_then_finalize", "it is what every process does, and can be given as `metrics_aggregator`"
)
