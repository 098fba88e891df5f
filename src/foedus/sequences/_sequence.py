# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What compiled and eager code sees of a sequence."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from foedus.errors import TracingError, place

Step = Callable[[Any, Any], Any]
PaddedStep = Callable[[Any, Any, Any], Any]


class Sequence(abc.ABC):
    """What a JAX function gets for an argument of type ``T*``: something to fold over, never to hold whole.

    The methods that return a sequence declare a transform; nothing is computed before a fold.
    """

    @property
    @abc.abstractmethod
    def count(self) -> Any:
        """int32, how many elements there are."""

    @abc.abstractmethod
    def fold(self, step: Step, init: Any) -> Any:
        """Folds over the elements in order, each in exactly its own shape.

        Args:
            step: ``(carry, element) -> carry``, with the same structure, shapes and dtypes as ``init``.
            init: The first carry.

        Returns:
            The last carry.
        """

    @abc.abstractmethod
    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        """Folds over batches that may be padded to one length, which is much faster than exact shapes.

        Args:
            step: ``(carry, batch, mask) -> carry``. ``mask`` is bool[rows]; the result must not depend on
                rows where it is False (they repeat a real row, so they are finite wherever the data are).
            init: The first carry.

        Returns:
            The last carry.
        """

    @abc.abstractmethod
    def batch(self, size: int) -> Sequence:
        """Runs of ``size`` elements stacked along a new first dimension; the last may be shorter."""

    @abc.abstractmethod
    def repeat(self, count: int) -> Sequence:
        """The whole sequence ``count`` times."""

    @abc.abstractmethod
    def take(self, count: int) -> Sequence:
        """The first ``count`` elements."""

    @abc.abstractmethod
    def shuffle(self, key: Any) -> Sequence:
        """All elements in an order drawn from ``key`` (uint32[2]), a new one for every repetition."""

    @abc.abstractmethod
    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        """Every element through ``fn``."""


def require_batches(batched: bool) -> None:
    if not batched:
        raise TracingError(
            "Only batches can be padded", at=place(), hint="call batch(size) first, or use fold"
        )


def require_no_batches(batched: bool) -> None:
    if batched:
        raise TracingError("Batches of batches are not supported", at=place())
