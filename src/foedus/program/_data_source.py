# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where the data of clients comes from, as far as a training loop needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from foedus.data import ClientId, Cohort


class DataSource(Protocol):
    """Clients that can be asked for their data; ``foedus.simulation.ClientData`` is one."""

    @property
    def ids(self) -> tuple[ClientId, ...]:
        """All clients, each once: all strings or all whole numbers."""
        ...

    def cohort(self, ids: Sequence[ClientId], /) -> Cohort:
        """The data of some clients.

        Args:
            ids: The clients.

        Returns:
            Their data, in the order asked for.
        """
        ...
