# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How a client goes through its examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from foedus.errors import ArgumentError, place


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """How a client goes through its examples in a round.

    In every epoch the examples are shuffled anew and cut into batches; the last batch of an epoch may be
    shorter.

    Args:
        size: Examples in a batch.
        epochs: How often a client goes through its examples.
        shuffle: Whether the order is drawn from the round's key; else examples come as they are stored.

    Raises:
        ArgumentError: If a number is not positive.
    """

    size: int
    epochs: int = 1
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name in ("size", "epochs"):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ArgumentError(
                    f"Batches.{name} must be a positive whole number", found=repr(count), at=place()
                )

    def of(self, examples: Any, key: Any) -> Any:
        """The batches of a sequence of examples, inside JAX code.

        Args:
            examples: A ``foedus.frontends.jax.Sequence``.
            key: uint32[2], for the order.

        Returns:
            The sequence of batches.
        """
        ordered = examples.shuffle(key) if self.shuffle else examples
        batches = ordered.batch(self.size)
        return batches.repeat(self.epochs) if self.epochs > 1 else batches
