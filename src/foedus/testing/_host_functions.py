# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The pool of host functions that generated programs are made of: plain Python for values of any type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foedus.lang import host
from foedus.types import float32, int32, sequence, string


def _length(value: Any) -> int:
    """How many characters and numbers there are in a value."""
    match value:
        case None:
            return 0
        case str():
            return len(value)
        case np.ndarray() | np.generic():
            return value.size
        case Mapping():
            return sum(_length(item) for item in value.values())
        case _:
            return sum(_length(item) for item in value)


@host(returns=int32)
def length(value: Any) -> int:
    """How many characters and numbers there are."""
    return _length(value)


@host(returns=string)
def spelled(value: Any) -> str:
    """A string as long as that, at most four signs."""
    return "länge"[: _length(value) % 5]


@host(returns=sequence(float32))
def listed(value: Any) -> list[float]:
    """A sequence of at most three numbers."""
    return [1.5 * i for i in range(_length(value) % 4)]


@host(returns=string)
def motto() -> str:
    """A string out of nothing."""
    return "foedus"
