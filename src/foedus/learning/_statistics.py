# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The statistics that clients gather while they go through batches, and the report that is made of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from foedus.learning.models import Forward, Model

LOSS = "loss"
EXAMPLES = "examples"


def cast_like(template: Any, value: Any) -> Any:
    """Casts leaves back to the dtypes they had, where a metric, an optimizer or a model widened them."""
    return jax.tree.map(lambda a, b: jnp.asarray(b).astype(jnp.asarray(a).dtype), template, value)


def no_statistics(model: Model) -> Any:
    """The statistics of no examples."""
    return {
        EXAMPLES: jnp.int64(0),
        LOSS: jnp.float32(0),
        "metrics": {metric.name: metric.zero() for metric in model.metrics},
    }


def gather(model: Model, statistics: Any, outcome: Forward, mask: Any) -> Any:
    """Takes one batch in.

    Args:
        model: The model.
        statistics: The statistics so far.
        outcome: What the model made of the batch.
        mask: bool[rows], which rows are real.

    Returns:
        The statistics with the batch.
    """
    metrics = {
        metric.name: cast_like(
            statistics["metrics"][metric.name],
            metric.accumulate(statistics["metrics"][metric.name], outcome.predictions, outcome.labels, mask),
        )
        for metric in model.metrics
    }
    rows = jnp.sum(mask, dtype=jnp.int32)
    loss = jnp.sum(jnp.where(mask, outcome.losses, 0)) + rows * outcome.penalty
    return {
        EXAMPLES: statistics[EXAMPLES] + rows.astype(jnp.int64),
        LOSS: statistics[LOSS] + loss.astype(jnp.float32),
        "metrics": metrics,
    }


def report(model: Model, statistics: Any) -> dict[str, Any]:
    """What is reported of statistics: the mean loss, the number of examples, and the metrics."""
    count = jnp.maximum(statistics[EXAMPLES], 1).astype(jnp.float32)
    metrics = {metric.name: metric.report(statistics["metrics"][metric.name]) for metric in model.metrics}
    return {LOSS: statistics[LOSS] / count, **metrics, EXAMPLES: statistics[EXAMPLES]}
