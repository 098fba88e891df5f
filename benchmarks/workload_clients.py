# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A workload's clients as Foedus takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from workload_data import Workload, columns, offsets

from foedus.data import Cohort, Ragged
from foedus.simulation import ClientData
from foedus.types import Sequence, Type


class Clients(Protocol):
    """Who can be drawn for a round."""

    @property
    def element_type(self) -> Type:
        """The type of an example."""
        ...

    def cohort(self, ids: Iterable[Any]) -> Cohort:
        """The examples of some clients."""
        ...


@dataclass(frozen=True)
class Population:
    """More clients than are stored: a client has the examples of the stored one that its number comes to.

    Args:
        stored: One sequence for each stored client. No example is copied, for however many clients.
    """

    stored: Ragged

    @property
    def element_type(self) -> Type:
        """The type of an example."""
        return self.stored.element

    def cohort(self, ids: Iterable[Any]) -> Cohort:
        """The examples of some clients."""
        chosen = tuple(ids)
        at = np.asarray(chosen) % len(self.stored.first)
        own = replace(self.stored, first=self.stored.first[at], count=self.stored.count[at])
        return Cohort(chosen, Sequence(self.stored.element), own)


def clients(workload: Workload) -> Clients:
    """The clients of a workload; their examples are memory-mapped."""
    starts = offsets(workload)
    stored = len(starts) - 1
    data = ClientData.from_arrays(columns(workload), np.repeat(np.arange(stored), np.diff(starts)))
    if workload.pool <= stored:
        return data
    return Population(data.cohort().value)
