# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Baseline tasks: a model and a training process for a data set, one file each."""

from foedus.simulation.baselines import digits, emnist

__all__ = ["digits", "emnist"]
