# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics refuse what NumPy's rules would stretch. What they report is a law, in ``tests/laws``."""

from __future__ import annotations

from typing import Any

import numpy as np

from foedus.errors import ArgumentError
from foedus.learning import metrics

MASK = np.ones(2, bool)


def test_labels_of_accuracy_have_no_column_of_their_own(refused: Any):
    accuracy = metrics.accuracy()
    with refused(
        ArgumentError,
        """
        The metric 'accuracy' cannot compare rows: the shape of the labels does not fit
          found     [2, 1]
          expected  [2]
          at        metrics, HERE
          hint      give labels and predictions the same dimensions, for example labels[:, 0] for one column
        """,
    ):
        accuracy.accumulate(accuracy.zero(), np.zeros((2, 3)), np.zeros((2, 1), np.int32), MASK)


def test_squares_are_of_equal_shapes(refused: Any):
    error = metrics.mean_squared_error("mse")
    with refused(
        ArgumentError,
        """
        The metric 'mse' cannot compare rows: the shape of the labels does not fit
          found     [2]
          expected  [2, 1]
          at        metrics, HERE
          hint      give labels and predictions the same dimensions, for example labels[:, 0] for one column
        """,
    ):
        error.accumulate(error.zero(), np.zeros((2, 1)), np.zeros(2), MASK)


def test_values_have_one_row_an_example(refused: Any):
    mean = metrics.mean_of("all", lambda predictions, labels: np.float32(1))
    with refused(
        ArgumentError,
        """
        The metric 'all' cannot compare rows: the shape of its values does not fit
          found     []
          expected  [2]
          at        metrics, HERE
          hint      give labels and predictions the same dimensions, for example labels[:, 0] for one column
        """,
    ):
        mean.accumulate(mean.zero(), np.zeros((2, 1)), np.zeros(2), MASK)
