# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.simulation.datasets.shakespeare``: what roles say in plays, from a file of yours."""

from __future__ import annotations

import os
from pathlib import Path

from foedus import simulation
from foedus.errors import MissingDataError, place
from foedus.tff.simulation.datasets._client_data import ClientData, of_foedus
from foedus.types import struct

__all__ = ["load_data"]

_FILE = "shakespeare.sqlite"


def load_data(cache_dir: str | os.PathLike[str] | None = None) -> tuple[ClientData, ClientData]:
    """The Shakespeare data set, from a file of yours.

    Args:
        cache_dir: A folder with ``shakespeare.sqlite``; else the folder counts that the environment variable
            ``FOEDUS_DATA_DIR`` names.

    Returns:
        Training and test data, ``OrderedDict(snippets=str)``.

    Raises:
        MissingDataError: If there is no such file; it is not downloaded.
    """
    folders = [Path(folder) for folder in (cache_dir, os.environ.get("FOEDUS_DATA_DIR")) if folder]
    path = next((folder / _FILE for folder in folders if (folder / _FILE).is_file()), None)
    if path is None:
        raise MissingDataError(
            f"{_FILE} is not here",
            found=f"no such file in {', '.join(map(str, folders)) or 'any folder'}",
            at=place(),
            hint="download and unpack it, and pass its folder as cache_dir or set FOEDUS_DATA_DIR to it",
        )
    element = struct(snippets="str")
    train, test = (simulation.open_sql(path, split, element_type=element) for split in ("train", "test"))
    return of_foedus(train), of_foedus(test)
