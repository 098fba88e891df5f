# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Ready-made federated data sets, a module each."""

from foedus.simulation.datasets import digits, emnist
from foedus.simulation.datasets._catalogue import DataSet, available, named

__all__ = ["DataSet", "available", "digits", "emnist", "named"]
