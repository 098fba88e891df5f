# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a run: clients, and the members of the tiers above them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

from foedus.data._arguments import cohorts_of
from foedus.data._keys import ClientId
from foedus.errors import DataError, ExecutionError, place
from foedus.types import CLIENTS, PlacementLiteral, PlainValue, Type

Tiers: TypeAlias = Mapping[PlacementLiteral, Mapping[ClientId, Iterable[ClientId]]]
"""For each tier its members, and for each member the clients below it."""


@final
@dataclass(frozen=True, slots=True)
class Members:
    """The members of every placement in a run.

    Args:
        given: The ids at each placement, in the order in which they were given.
        tiers: For each tier, each client's member.
    """

    given: Mapping[PlacementLiteral, tuple[ClientId, ...]]
    tiers: Mapping[PlacementLiteral, Mapping[ClientId, ClientId]]

    def ids(self, placement: PlacementLiteral) -> list[ClientId]:
        """The members of a placement in the order of their ids.

        Raises:
            ExecutionError: If nothing says which there are.
        """
        return sorted(self.in_given_order(placement))

    def in_given_order(self, placement: PlacementLiteral) -> tuple[ClientId, ...]:
        """The members of a placement in the order in which they were given."""
        found = self.given.get(placement)
        if found is None:
            name = "clients" if placement == CLIENTS else f"members of {placement}"
            example = (
                "clients=3" if placement == CLIENTS else 'tiers={REGIONS: {"north": [0, 1], "south": [2]}}'
            )
            raise ExecutionError(
                f"Nothing says which {name} there are",
                at=place(),
                hint=f"tell the runtime, for example local({example})",
            )
        return found

    def above(self, lower: PlacementLiteral, upper: PlacementLiteral) -> dict[ClientId, ClientId]:
        """For each member of a placement the member of a tier above that it belongs to.

        Raises:
            DataError: If a member belongs to none.
        """
        below = self.tiers.get(upper, {})
        if lower == CLIENTS:
            own = {client: client for client in self.ids(CLIENTS)}
        else:
            own = {member: client for client, member in self.tiers.get(lower, {}).items()}
        found = {member: below.get(own.get(member, member)) for member in self.ids(lower)}
        lost = next((member for member, parent in found.items() if parent is None), None)
        if lost is not None:
            name = "Client" if lower == CLIENTS else f"The member of {lower}"
            raise DataError(f"{name} {lost!r} belongs to no member of {upper}", at=place())
        return {member: parent for member, parent in found.items() if parent is not None}


def members_of(
    given: PlainValue, parameter: Type | None, clients: tuple[ClientId, ...] | None, tiers: Tiers
) -> Members:
    """Finds out who takes part in a run.

    Args:
        given: The argument, as ``to_argument`` took it apart.
        parameter: Its type, None where there is none.
        clients: The clients for programs without an argument at clients.
        tiers: The members of tiers, and the clients below each.

    Returns:
        The members of every placement.

    Raises:
        ExecutionError: If arguments at one placement are of different members.
    """
    ids: dict[PlacementLiteral, tuple[ClientId, ...]] = {}
    for placement, cohort in [] if parameter is None else cohorts_of(given, parameter):
        first = ids.setdefault(placement, cohort.ids)
        if set(first) != set(cohort.ids):
            raise ExecutionError(
                f"The arguments at {placement} are of different members",
                found=f"{len(cohort.ids)}: {str(sorted(cohort.ids)[:5])[1:-1]}",
                expected=f"{len(first)}: {str(sorted(first)[:5])[1:-1]}",
                at=place(),
            )
    if clients is not None:
        ids.setdefault(CLIENTS, clients)
    below = {
        tier: {c: member for member, own in members.items() for c in own} for tier, members in tiers.items()
    }
    for tier, members in tiers.items():
        ids.setdefault(tier, tuple(members))
    return Members(ids, below)
