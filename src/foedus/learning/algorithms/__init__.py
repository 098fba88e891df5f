# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning algorithms, one file each, built from the four stages."""

from foedus.learning.algorithms.fed_avg import fed_avg
from foedus.learning.algorithms.fed_eval import fed_eval

__all__ = ["fed_avg", "fed_eval"]
