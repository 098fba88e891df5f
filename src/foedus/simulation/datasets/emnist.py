# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Handwritten characters of 28x28 pixels, with their writers as clients: TFF's federated EMNIST.

Sources: G. Cohen, S. Afshar, J. Tapson and A. van Schaik, "EMNIST: an extension of MNIST to handwritten
letters", 2017, arXiv:1702.05373; S. Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018,
arXiv:1812.01097, for the writers.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from foedus.errors import CorruptDataError, MissingDataError, place
from foedus.simulation._splits import Splits
from foedus.simulation._sql_file import read_splits
from foedus.simulation._sql_read import open_sql
from foedus.simulation.datasets._acquire import VARIABLE, Folders, acquire, folders
from foedus.simulation.datasets._drawn_characters import drawn_characters
from foedus.types import struct

ELEMENT_TYPE = struct(label="int32", pixels=("float32", (28, 28)))
"""The type of one example; pixels go from 0 for ink to 1 for paper."""

_FILE = "emnist_all.sqlite"
_URL = "https://storage.googleapis.com/tff-datasets-public/emnist_all.sqlite.lzma"


class Characters(Enum):
    """Which characters to load."""

    DIGITS = "digits_only"
    """The digits: labels 0 to 9."""
    ALL = "all"
    """Digits, capital and small letters: labels 0 to 61."""


def load(
    *, characters: Characters = Characters.DIGITS, cache_dir: str | os.PathLike[str] | None = None
) -> Splits:
    """Federated EMNIST, from a file of yours or downloaded once.

    It looks for ``emnist_all.sqlite`` or ``emnist_all.sqlite.lzma`` in ``cache_dir``, then in the folder that
    the environment variable ``FOEDUS_DATA_DIR`` names, then, without ``cache_dir``, in the user's cache. A
    file of the same format counts, whatever is in it. If there is none, the packed file is downloaded (a
    download that broke off is gone on with) and unpacked. An example is
    ``<label=int32,pixels=float32[28,28]>``.

    Args:
        characters: Which characters.
        cache_dir: A folder to look in and to download to; None for ``~/.cache/foedus``, which also takes
            what is unpacked if the folder may only be read.

    Returns:
        Training and test examples of the same writers. Examples are read from the file for each cohort;
        ``load().train.in_memory()`` reads them all at once.

    Raises:
        MissingDataError: If there is no file and it cannot be downloaded, or the file lacks these characters.
        CorruptDataError: If the file is damaged.
        OutputError: If a download cannot be written.
    """
    return open_file(characters, where=folders(cache_dir), url=_URL)


def open_file(characters: Characters, *, where: Folders, url: str) -> Splits:
    """As ``load``, with every place to look at as an argument."""
    path = acquire(_FILE, url, where=where, check=_check)
    present = read_splits(path)
    train, test = (f"{characters.value}_{part}" for part in ("train", "test"))
    if missing := [name for name in (train, test) if name not in present]:
        others = [
            other for other in Characters if f"{other.value}_train" in present and other is not characters
        ]
        advice = "".join(f"ask for characters=Characters.{other.name}, or " for other in others)
        raise MissingDataError(
            f"{path.name} has no split {missing[0]!r}",
            found=f"splits {', '.join(present) or 'none'}",
            expected=f"{train} and {test}",
            at=place(str(path)),
            hint=f"{advice}set {VARIABLE} to a folder with a file that has it; the whole set is at {url}",
        )
    return Splits(
        open_sql(path, train, element_type=ELEMENT_TYPE), open_sql(path, test, element_type=ELEMENT_TYPE)
    )


def _check(path: Path) -> None:
    if not read_splits(path):
        raise CorruptDataError("The file holds no data", found="no split", at=place(str(path)))


def synthetic(*, characters: Characters = Characters.DIGITS, writers: int = 20, seed: int = 0) -> Splits:
    """A small stand-in of the same types, drawn by chance: for tests, and for a first try without the file.

    Each class has a shape of its own, and each writer a pressure, an offset and favourite classes of its own,
    so that models learn something and clients differ. Saved by ``save_sql`` as
    ``emnist_all.sqlite``, with the splits ``digits_only_train`` and ``digits_only_test``, it is a file that
    ``load`` takes.

    Args:
        characters: How many classes: 10 or 62.
        writers: How many clients.
        seed: What all of it is drawn from; a writer's examples depend on nothing else.

    Returns:
        10 to 60 training examples and 2 to 10 test examples of each writer, in memory.

    Raises:
        ArgumentError: If there is to be no writer.

    Example:
        >>> synthetic(writers=3).train.ids
        ('writer000', 'writer001', 'writer002')
    """
    classes = 10 if characters is Characters.DIGITS else 62
    return drawn_characters(classes, writers=writers, seed=seed)
