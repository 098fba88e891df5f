# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What can be trained: anything with a state that one round with some clients turns into the next one."""

from __future__ import annotations

from typing import Any, Protocol

from foedus.data import Cohort
from foedus.types import Type


class Step(Protocol):
    """What a round gives."""

    @property
    def state(self) -> Any:
        """The state after it."""
        ...

    @property
    def result(self) -> Any:
        """The metrics of training: numbers in nested containers."""
        ...

    @property
    def measurements(self) -> Any:
        """What the stages of the round say of themselves: numbers in nested containers."""
        ...


class Trainable(Protocol):
    """A process as ``train`` sees it.

    Its state must hold all that the next round depends on, so that going on from a stored state gives the
    same bits as not stopping. A process may also have an attribute ``fingerprint``, a string that changes
    when its behaviour does; ``train`` then refuses to go on with another process in the same folder.
    """

    @property
    def state_type(self) -> Type:
        """The type of the state at the server."""
        ...

    def initialize(self, seed: int) -> Any:
        """The state before the first round.

        Args:
            seed: What its random numbers are derived from.

        Returns:
            The state.
        """
        ...

    def next(self, state: Any, clients: Cohort) -> Step:
        """One round.

        Args:
            state: What the round before gave.
            clients: The data of the clients that take part.

        Returns:
            The new state and the round's metrics.
        """
        ...

    def evaluate(self, state: Any, clients: Cohort) -> Any:
        """How good a state is on the data of some clients.

        Args:
            state: The state.
            clients: The data.

        Returns:
            Metrics: numbers in nested containers.
        """
        ...
