# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The data sets that there are, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from foedus.errors import ArgumentError, place
from foedus.simulation._splits import Splits
from foedus.simulation.datasets import digits, emnist


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set that comes with Foedus or is fetched by it.

    Args:
        name: Its name.
        description: What it is, in one line.
        load: Loads it as its module does without arguments.
    """

    name: str
    description: str
    load: Callable[[], Splits]


def available() -> tuple[DataSet, ...]:
    """All data sets, sorted by name; nothing is loaded."""
    return (
        DataSet(
            "digits", "1,797 digits of 8x8 pixels on 14 writing forms; comes with the package", digits.load
        ),
        DataSet(
            "emnist", "digits of 28x28 pixels by thousands of writers; your file, or a download", emnist.load
        ),
    )


def named(name: str) -> DataSet:
    """The data set of a name.

    Args:
        name: Such as ``digits``.

    Raises:
        ArgumentError: If there is none.
    """
    known = {data_set.name: data_set for data_set in available()}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    raise ArgumentError(
        "There is no data set of this name",
        found=repr(name),
        expected=", ".join(known),
        at=place(),
        hint=f"did you mean {close[0]!r}?" if close else None,
    )
