# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences one element after another: their meaning."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, final

import jax.numpy as jnp
import numpy as np

from foedus.data import Elements, has_rows, permutation, row_counts, units
from foedus.sequences._sequence import (
    PaddedStep,
    Sequence,
    Step,
    require_batches,
    require_no_batches,
)
from foedus.types import Struct, container_of, pack, parts_of

Read: TypeAlias = Callable[[int], Iterable[tuple[Any, int]]]
"""Gives the elements of one repetition, each with its number of rows; what is no batch has none."""


@final
class EagerSequence(Sequence):
    """Elements one after another in plain Python: the meaning of a sequence.

    Args:
        read: Gives the elements.
        batched: Whether the elements are batches.
    """

    def __init__(self, read: Read, *, batched: bool) -> None:
        self._read = read
        self._batched = batched

    @classmethod
    def of(cls, elements: Elements, convert: Callable[[Any], Any]) -> EagerSequence:
        """One client's stored sequence.

        Args:
            elements: Where it lies.
            convert: From a plain element to what reads it.

        Returns:
            The sequence.
        """
        type_ = elements.ragged.transformed
        kinds, batched = units(type_), has_rows(type_)

        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            for plain in elements.repetition(repetition):
                yield convert(plain), max(row_counts(plain, kinds)) if batched else 0

        return cls(read, batched=batched)

    def __iter__(self) -> Iterator[Any]:
        return (element for element, _ in self._read(0))

    @property
    def count(self) -> Any:
        return jnp.int32(sum(1 for _ in self._read(0)))

    def fold(self, step: Step, init: Any) -> Any:
        carry = init
        for element in self:
            carry = step(carry, element)
        return carry

    def fold_padded(self, step: PaddedStep, init: Any) -> Any:
        require_batches(self._batched)
        carry = init
        for element, rows in self._read(0):
            carry = step(carry, element, jnp.ones(rows, dtype=bool))
        return carry

    def batch(self, size: int) -> Sequence:
        require_no_batches(self._batched)

        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            elements = iter(self._read(repetition))
            while run := [element for element, _ in itertools.islice(elements, size)]:
                yield _stack(run), len(run)

        return EagerSequence(read, batched=True)

    def repeat(self, count: int) -> Sequence:
        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            again = range(repetition * count, (repetition + 1) * count)
            return itertools.chain.from_iterable(self._read(r) for r in again)

        return EagerSequence(read, batched=self._batched)

    def take(self, count: int) -> Sequence:
        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            return itertools.islice(iter(self._read(repetition)), count)

        return EagerSequence(read, batched=self._batched)

    def shuffle(self, key: Any) -> Sequence:
        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            elements = list(self._read(repetition))
            return (elements[i] for i in permutation(np.asarray(key), len(elements), repetition))

        return EagerSequence(read, batched=self._batched)

    def map(self, fn: Callable[[Any], Any]) -> Sequence:
        def read(repetition: int) -> Iterable[tuple[Any, int]]:
            return ((fn(element), rows) for element, rows in self._read(repetition))

        return EagerSequence(read, batched=self._batched)


def _stack(elements: list[Any]) -> Any:
    """Stacks elements in their containers along a new first dimension."""
    parts = [parts_of(element) for element in elements]
    first = parts[0]
    if first is None:
        return jnp.stack([jnp.asarray(element) for element in elements])
    columns = [_stack([(one or [])[i][1] for one in parts]) for i in range(len(first))]
    fields = tuple((name, Struct(())) for name, _ in first)
    return pack(Struct(fields, container_of(elements[0])), columns)
