# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``foedus data``."""

from __future__ import annotations

import click

from foedus.simulation import datasets


def list_data_sets() -> None:
    """Prints a line for each data set."""
    known = datasets.available()
    width = max(len(data_set.name) for data_set in known)
    for data_set in known:
        click.echo(f"{data_set.name.ljust(width)}  {data_set.description}")


def describe_data_set(name: str) -> None:
    """Prints what is in a data set.

    Args:
        name: Its name.
    """
    data_set = datasets.named(name)
    splits = data_set.load()
    click.echo(f"{data_set.name}: {data_set.description}")
    for part, data in (("train", splits.train), ("test", splits.test)):
        click.echo(f"\n{part}\n" + "\n".join(f"  {line}" for line in data.summary().splitlines()))
