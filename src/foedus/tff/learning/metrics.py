# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.metrics``: how clients' metrics become one report."""

from __future__ import annotations

from foedus.tff._absent import Absent
from foedus.tff.learning._keras_metrics import (
    NumBatchesCounter,
    NumExamplesCounter,
    create_functional_metric_fns,
    create_keras_metric_finalizer,
)
from foedus.tff.learning._metric_sums import SumThenFinalizeFactory, sum_then_finalize

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


_SECURE = "metrics are plain sums; secure ones are not here yet"
_SAMPLED = "metrics of single clients do not leave them here"
FinalizeThenSampleFactory = _absent("FinalizeThenSampleFactory", _SAMPLED)
SecureSumFactory = _absent("SecureSumFactory", _SECURE)
create_default_secure_sum_quantization_ranges = _absent(
    "create_default_secure_sum_quantization_ranges", _SECURE
)
finalize_then_sample = _absent("finalize_then_sample", _SAMPLED)
secure_sum_then_finalize = _absent("secure_sum_then_finalize", _SECURE)
