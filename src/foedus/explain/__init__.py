# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Who sees what: explanations of computations."""

from foedus.explain._crossings import (
    PROGRAM,
    Crossing,
    Protection,
    bytes_of,
    crossings,
    total_weight_type,
)
from foedus.explain._explanation import Explanation, explain

__all__ = [
    "PROGRAM",
    "Crossing",
    "Explanation",
    "Protection",
    "bytes_of",
    "crossings",
    "explain",
    "total_weight_type",
]
