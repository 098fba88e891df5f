# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers of Keras that take Keras' own steps."""

from __future__ import annotations

from typing import Any, final

import jax

from foedus.frontends.keras import open_optimizer
from foedus.tff.learning._optimizer import Optimizer, filled


@final
class KerasSteps(Optimizer):
    """Any optimizer of Keras with any options; its state is what its variables hold, in Keras' order.

    Args:
        optimizer: The optimizer; it is copied.

    Raises:
        ArgumentError: If it takes steps only together with Keras' own training loop.
        NotImplementedError: If its state begins with the weights, which are not known when a state is made.
    """

    def __init__(self, optimizer: Any) -> None:
        self._opened = open_optimizer(optimizer)
        if self._opened.copies_weights:
            raise NotImplementedError(
                f"foedus.tff does not take tf.keras.optimizers.{type(optimizer).__name__}: its state begins "
                "with a copy of the weights, and TFF makes a state from their shapes alone. Use one of "
                "tff.learning.optimizers, or foedus.learning."
            )

    def initialize(self, specs: Any) -> list[Any]:
        return self._opened.init([filled(spec, 0.0) for spec in jax.tree.leaves(specs)])

    def next(self, state: list[Any], weights: Any, gradients: Any) -> tuple[list[Any], Any]:
        new, after = self._opened.step(state, gradients, weights)
        return after, new
