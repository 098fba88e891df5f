# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.analytics``: federated analytics."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "HierarchicalHistogramDecoder",
    "IbltFactory",
    "build_hierarchical_histogram_computation",
    "build_hierarchical_histogram_process",
    "count_distinct",
    "data_processing",
    "differential_privacy",
    "heavy_hitters",
    "histogram_processing",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.analytics.{name}", instead)


_LATER = "analytics are not here yet; counts and histograms are federated_sum of what a client computes"
IbltFactory = _absent("IbltFactory", _LATER)
build_hierarchical_histogram_computation = _absent("build_hierarchical_histogram_computation", _LATER)
build_hierarchical_histogram_process = _absent("build_hierarchical_histogram_process", _LATER)
HierarchicalHistogramDecoder = _absent("HierarchicalHistogramDecoder", _LATER)
heavy_hitters = _absent("heavy_hitters", _LATER)
count_distinct = _absent("count_distinct", _LATER)
data_processing = _absent("data_processing", _LATER)
differential_privacy = _absent("differential_privacy", _LATER)
histogram_processing = _absent("histogram_processing", _LATER)
