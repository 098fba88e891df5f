# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Says that there is no such client, and which ones were perhaps meant."""

from __future__ import annotations

import difflib
import itertools

from foedus.data import ClientId
from foedus.errors import DataError, place

_MOST_COMPARED = 2_000


def unknown_client(client: object, ids: tuple[ClientId, ...]) -> DataError:
    """The error for an id that no client has.

    Args:
        client: What was asked for.
        ids: The ids that there are.
    """
    if not ids:
        return DataError(f"There is no client {client!r}", found="data without clients", at=place())
    close = _close(client, ids)
    return DataError(
        f"There is no client {client!r}",
        found=f"{len(ids):,} clients: {', '.join(map(repr, ids[:3]))}{', ...' if len(ids) > 3 else ''}",
        at=place(),
        hint=f"did you mean {' or '.join(map(repr, close))}?" if close else "`ids` holds all of them",
    )


def _close(client: object, ids: tuple[ClientId, ...]) -> list[ClientId]:
    twin = next((i for i in ids if str(i) == str(client)), None)
    if twin is not None:  # a number was given as a string, or the other way round
        return [twin]
    if not isinstance(client, str):
        return []
    # Comparing takes long: only ids of about this length, and not more than some thousands of them.
    alike = (i for i in ids if isinstance(i, str) and abs(len(i) - len(client)) <= 2)
    return list(difflib.get_close_matches(client, list(itertools.islice(alike, _MOST_COMPARED)), n=3))
