# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Aggregators: from values at clients to one value at the server, composed by nesting."""

from foedus.aggregators._aggregator import Aggregator
from foedus.aggregators._mean import mean
from foedus.aggregators._sum import sum

__all__ = ["Aggregator", "mean", "sum"]
