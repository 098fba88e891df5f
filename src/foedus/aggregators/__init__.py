# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Aggregators: from values at clients to one value at the server, composed by nesting."""

from foedus.aggregators._aggregator import Aggregator
from foedus.aggregators._clip import clip
from foedus.aggregators._concat import concat
from foedus.aggregators._mean import mean
from foedus.aggregators._measured import measured
from foedus.aggregators._quantile import quantile
from foedus.aggregators._sum import sum
from foedus.aggregators._zero import ZeroedWeight, zero

__all__ = ["Aggregator", "ZeroedWeight", "clip", "concat", "mean", "measured", "quantile", "sum", "zero"]
