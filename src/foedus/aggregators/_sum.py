# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The plain sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from foedus.aggregators._aggregator import Aggregator
from foedus.errors import CompositionError, place
from foedus.lang import computation, federated_sum, federated_value
from foedus.process import Output, Process
from foedus.types import EMPTY, SERVER, Type, at_clients, at_server


@final
@dataclass(frozen=True, slots=True)
class _Sum(Aggregator):
    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        if weight_type != EMPTY:
            raise CompositionError("A sum has no weights", found=weight_type, expected=EMPTY, at=place())

        @computation
        def initialize() -> Any:
            return federated_value((), SERVER)

        @computation(at_server(EMPTY), at_clients(value_type), at_clients(EMPTY))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            return Output(state, federated_sum(value), federated_value((), SERVER))

        return Process(initialize, next_)


def sum() -> Aggregator:
    """Adds the clients' values, element by element.

    NaN at a client makes the sum NaN.

    Returns:
        An aggregator of numbers without weights; its state and measurements are empty.
    """
    return _Sum()
