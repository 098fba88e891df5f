# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The two ways in which the local runtime runs leaves: traced by JAX, and natively."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foedus.data import Elements, Ragged, Span, to_member
from foedus.errors import UnsupportedError, place
from foedus.foreign import NoJax, kind
from foedus.ir import Foreign, Node, walk
from foedus.sequences import EagerSequence, FlatSequence, Sequence
from foedus.types import STRING, Tensor, Type
from foedus.types import Sequence as SequenceType
from foedus.types import walk as walk_type


def reason_against_jax(node: Node) -> str | None:
    """Why a part of a program cannot be compiled, or None if it can."""
    for part in walk(node):
        if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk_type(part.type)):
            return "there are strings"
        if isinstance(part, Foreign):
            traceable = kind(part.kind).as_jax(part.payload)
            if isinstance(traceable, NoJax):
                return traceable.reason
    return None


@dataclass(frozen=True)
class _Known:
    """Implements ``foedus.data.Hints`` for a sequence of one known length."""

    length: int

    def counts(self) -> tuple[int, ...]:
        return (self.length,)

    def derived(self, of: Callable[[int], Iterable[int]]) -> tuple[int, ...]:
        return tuple(sorted({value for count in self.counts() for value in of(count)}))

    def row_sizes(self) -> tuple[int, ...]:
        return (1,)

    def most_rows(self) -> int:
        return 1

    def slack(self) -> int:
        return 0


@final
class Traced:
    """Leaves as functions that JAX traces."""

    def call(self, node: Foreign) -> Callable[[Any], Any]:
        """See ``Leaves.call``."""
        traceable = kind(node.kind).as_jax(node.payload)
        if isinstance(traceable, NoJax):
            raise UnsupportedError(
                f"Local code of the kind {node.kind!r} cannot be compiled here",
                found=traceable.reason,
                at=place(),
            )
        return traceable

    def sequence(self, value: Any) -> Sequence:
        """See ``Leaves.sequence``."""
        return FlatSequence.of(value, lambda plain: plain) if isinstance(value, Span) else value

    def select(self, function: Callable[[Any], Any], whole: Any, keys: Any, element: Type) -> Any:
        """See ``Leaves.select``."""
        columns = lax.map(lambda key: function((whole, key)), keys)
        length = int(keys.shape[0])
        none = np.zeros(0, np.int64)
        return Span(Ragged(element, columns, none, none), jnp.int32(0), jnp.int32(length), (), _Known(length))


@final
class Native:
    """Leaves as their framework runs them, one call after another."""

    def call(self, node: Foreign) -> Callable[[Any], Any]:
        """See ``Leaves.call``."""
        return lambda argument: kind(node.kind).run(node.payload, settled(argument))

    def sequence(self, value: Any) -> Sequence:
        """See ``Leaves.sequence``."""
        return EagerSequence.of(value, lambda plain: plain) if isinstance(value, Elements) else value

    def select(self, function: Callable[[Any], Any], whole: Any, keys: Any, element: Type) -> Any:
        """See ``Leaves.select``."""
        parts = [function((whole, key)) for key in np.asarray(keys)]
        return to_member(jax.tree.map(np.asarray, parts), SequenceType(element), "the selected parts")


def settled(value: Any) -> Any:
    """Plain values as NumPy arrays, which is what front ends take natively."""
    if isinstance(value, tuple):
        return tuple(settled(item) for item in value)
    if isinstance(value, Elements | Sequence) or callable(value):
        return value
    return np.asarray(value, dtype=object if isinstance(value, str) else None)
