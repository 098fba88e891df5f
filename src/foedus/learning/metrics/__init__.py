# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as monoids: zero, accumulate, and a report; they merge by addition."""

from foedus.learning.metrics._metric import Metric, accuracy, mean_of, mean_squared_error

__all__ = ["Metric", "accuracy", "mean_of", "mean_squared_error"]
