# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.simulation.datasets.emnist``: handwritten characters, with their writers as clients."""

from __future__ import annotations

import os

from foedus.simulation.datasets import emnist
from foedus.tff.simulation.datasets._client_data import ClientData, of_foedus

__all__ = ["get_synthetic", "load_data"]


def load_data(
    only_digits: bool = True, cache_dir: str | os.PathLike[str] | None = None
) -> tuple[ClientData, ClientData]:
    """Federated EMNIST, from a file of yours or downloaded once; see ``foedus.simulation.datasets.emnist``.

    Args:
        only_digits: Whether to load the digits alone.
        cache_dir: A folder to look in and to download to; before the user's own cache, the folder counts
            that the environment variable ``FOEDUS_DATA_DIR`` names.

    Returns:
        Training and test examples of the same writers: ``OrderedDict(label=int32, pixels=float32[28,28])``.
    """
    splits = emnist.load(characters=_characters(only_digits), cache_dir=cache_dir)
    return of_foedus(splits.train), of_foedus(splits.test)


def get_synthetic(num_clients: int = 2) -> ClientData:
    """A few clients with drawn digits.

    Args:
        num_clients: How many.
    """
    return of_foedus(emnist.synthetic(writers=num_clients).train)


def _characters(only_digits: bool) -> emnist.Characters:
    return emnist.Characters.DIGITS if only_digits else emnist.Characters.ALL
