# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays that compiled code may write over, kept from one call to the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, final

import jax

_FREE_BYTES = 2**29
"""How much is kept of what nobody uses."""


@final
class Spare:
    """Nested arrays by what they are for: fresh memory costs more than what is written into it."""

    def __init__(self) -> None:
        self._free: list[tuple[Hashable, int, Any]] = []
        self._lock = Lock()

    def take(self, purpose: Hashable, make: Callable[[], Any]) -> tuple[Any, int]:
        """Arrays with anything in them, and how many bytes they take.

        Args:
            purpose: What they are for; what was given back for the same is given out again.
            make: Makes them if there are none.
        """
        with self._lock:
            for number, (known, size, arrays) in enumerate(self._free):
                if known == purpose:
                    self._free.pop(number)
                    return arrays, size
        made = make()
        return made, sum(leaf.nbytes for leaf in jax.tree.leaves(made))

    def give_back(self, purpose: Hashable, arrays: Any, size: int) -> None:
        """Takes arrays that nobody needs any more; what was given back first goes if it gets too much."""
        with self._lock:
            self._free.append((purpose, size, arrays))
            while sum(size for _, size, _ in self._free) > _FREE_BYTES:
                self._free.pop(0)
