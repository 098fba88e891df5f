# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where the examples of clients lie: what every source offers, and the one that is in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, final

import numpy as np

from foedus.data import ClientId, Ragged, map_columns
from foedus.types import Type

Array: TypeAlias = np.ndarray[Any, Any]


class Store(Protocol):
    """A source of examples, addressed by the index of a client."""

    @property
    def element(self) -> Type:
        """The type of a stored example."""
        ...

    @property
    def ids(self) -> tuple[ClientId, ...]:
        """All clients, in an order that never changes."""
        ...

    @property
    def counts(self) -> Array:
        """int64[clients]: how many examples each has, known without reading them."""
        ...

    def read(self, chosen: Array) -> Ragged:
        """The examples of some clients.

        Args:
            chosen: int64[n], the clients' indices in ``ids``.

        Returns:
            One sequence for each of them, in that order, without transforms.
        """
        ...


@final
@dataclass(frozen=True, slots=True, eq=False)
class Resident:
    """Examples in memory: all that is read shares its columns.

    Args:
        ids: The clients.
        ragged: One sequence for each of them, without transforms.
    """

    ids: tuple[ClientId, ...]
    ragged: Ragged

    def __post_init__(self) -> None:
        assert not self.ragged.transforms, "transforms belong to the client data; please report"
        shut = replace(self.ragged, columns=map_columns(_read_only, self.ragged.columns))
        object.__setattr__(self, "ragged", shut)

    @property
    def element(self) -> Type:
        """See ``Store``."""
        return self.ragged.element

    @property
    def counts(self) -> Array:
        """See ``Store``."""
        return self.ragged.count

    def read(self, chosen: Array) -> Ragged:
        """See ``Store``; nothing is copied."""
        return replace(self.ragged, first=self.ragged.first[chosen], count=self.ragged.count[chosen])


def _read_only(column: Array) -> Array:
    view = column.view()
    view.setflags(write=False)
    return view
