# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The mean of model updates that a few broken or unusual clients cannot spoil."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from foedus.tff.aggregators import (
    AggregationFactory,
    MeanFactory,
    PrivateQuantileEstimationProcess,
    UnweightedAggregationFactory,
    UnweightedMeanFactory,
    WeightedAggregationFactory,
    clipping_factory,
    zeroing_factory,
)


def robust_aggregator(
    *,
    zeroing: bool = True,
    clipping: bool = True,
    weighted: bool = True,
    debug_measurements_fn: Callable[[Any], AggregationFactory] | None = None,
) -> AggregationFactory:
    """The mean of the clients' updates, with what is far too large replaced by zeros, and what is large
    clipped.

    Both norms are learned in every round (Andrew et al., "Differentially Private Learning with Adaptive
    Clipping", 2021): updates are replaced above twice the 98 % quantile of their greatest element plus one,
    which begins at 10 and is learned fast, and clipped to the 80 % quantile of their L2 norm, which begins
    at 1.

    Args:
        zeroing: Whether updates that are far too large are replaced by zeros.
        clipping: Whether updates are clipped.
        weighted: Whether the mean has weights.
        debug_measurements_fn: From the factory of the mean to one that measures more.

    Returns:
        A factory with or without weights.

    Raises:
        TypeError: If ``debug_measurements_fn`` returns something else than such a factory.
    """
    made: AggregationFactory = MeanFactory() if weighted else UnweightedMeanFactory()
    if debug_measurements_fn is not None:
        made = debug_measurements_fn(made)
        wanted = WeightedAggregationFactory if weighted else UnweightedAggregationFactory
        if not isinstance(made, wanted):
            raise TypeError(
                f"Expected `debug_measurements_fn` to return a {wanted.__name__}, as it was given one, "
                f"found {made!r}."
            )
    if clipping:
        norm = PrivateQuantileEstimationProcess.no_noise(
            initial_estimate=1.0, target_quantile=0.8, learning_rate=0.2
        )
        made = clipping_factory(norm, made)
    if not zeroing:
        return made
    largest = PrivateQuantileEstimationProcess.no_noise(
        initial_estimate=10.0,
        target_quantile=0.98,
        learning_rate=math.log(10.0),
        multiplier=2.0,
        increment=1.0,
    )
    return zeroing_factory(largest, made)
