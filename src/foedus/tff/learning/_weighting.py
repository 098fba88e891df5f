# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How clients count, and how they go through their data, by TFF's names."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from foedus.learning import ClientWeight, Weighting


class ClientWeighting(Enum):
    """How much a client's update counts in the mean."""

    UNIFORM = 0
    """Once."""
    NUM_EXAMPLES = 1
    """As often as it has examples."""


class LoopImplementation(Enum):
    """How TensorFlow goes through a data set; accepted, and without a meaning here."""

    DATASET_ITERATOR = "dataset_iterator"
    """By an iterator."""
    DATASET_REDUCE = "dataset_reduce"
    """By ``reduce``."""


def weighting_of(given: Any) -> ClientWeight:
    """What a weighting of TFF means.

    Args:
        given: A ``ClientWeighting``, None, or a function of a client's own metrics, ``num_examples`` among
            them.

    Raises:
        TypeError: If it is none.
    """
    if given is None or given is ClientWeighting.NUM_EXAMPLES:
        return Weighting.EXAMPLES
    if given is ClientWeighting.UNIFORM:
        return Weighting.UNIFORM
    if callable(given):
        return _by_metrics(given)
    raise TypeError(f"Expected a tff.learning.ClientWeighting or a function, found {given!r}.")


def _by_metrics(weigh: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda metrics: weigh({**metrics, "num_examples": metrics["examples"]})
