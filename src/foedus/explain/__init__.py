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
from foedus.explain._local_code import CodeWay, LocalCode
from foedus.explain._type_lines import show_lines

__all__ = [
    "PROGRAM",
    "CodeWay",
    "Crossing",
    "Explanation",
    "LocalCode",
    "Protection",
    "bytes_of",
    "crossings",
    "explain",
    "show_lines",
    "total_weight_type",
]
