# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``foedus explain``."""

from __future__ import annotations

import os
import pkgutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from foedus.errors import ArgumentError, OutputError
from foedus.explain import Explanation, explain
from foedus.lang import Computation
from foedus.learning import LearningProcess
from foedus.process import EstimationProcess, IterativeProcess, Process
from foedus.types import CLIENTS, SERVER, PlacementLiteral


def _find(target: str) -> Any:
    """What ``MODULE:NAME`` names, with the modules of the current folder in reach."""
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ArgumentError("This names no computation", found=target, expected="MODULE:NAME")
    sys.path.insert(0, os.getcwd())
    try:
        return pkgutil.resolve_name(target)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"There is no module {error.name!r}",
            found=target,
            hint="run this in the folder that has it, or install it",
        ) from error
    except AttributeError as error:
        raise ArgumentError(f"The module {module} has no {name!r}", found=target) from error
    except ValueError as error:
        raise ArgumentError("This names no computation", found=target, expected="MODULE:NAME") from error
    finally:
        sys.path.remove(os.getcwd())


def _named(found: Any, target: str) -> tuple[str, Computation]:
    """The computation that was found, or one step of the process, with the name to tell of it."""
    if callable(found) and not isinstance(found, Computation):
        found = found()
    if isinstance(found, Computation):
        return found.name, found
    if isinstance(found, LearningProcess):
        return found.name, found.process.next
    if isinstance(found, Process | EstimationProcess | IterativeProcess):
        return target.partition(":")[2], found.next
    raise ArgumentError(
        "This is no computation",
        found=f"{target}, a {type(found).__name__}",
        expected="a computation, a process, or a function without arguments that returns one",
    )


def _members(tiers: tuple[str, ...], explanation: Explanation) -> dict[PlacementLiteral, int]:
    """The numbers of members that were told as ``NAME=N``."""
    known = {p.name: p for p in explanation.placements if p not in (CLIENTS, SERVER)}
    members: dict[PlacementLiteral, int] = {}
    for text in tiers:
        name, equals, number = text.partition("=")
        if not (equals and number.isdecimal()):
            raise ArgumentError("This is no number of members", found=text, expected="NAME=N")
        if name not in known:
            raise ArgumentError(
                f"The computation has no tier {name!r}", expected=", ".join(known) or "no tiers"
            )
        members[known[name]] = int(number)
    return members


def explain_target(
    target: str, *, form: str | None, clients: int | None, tiers: tuple[str, ...], output: str | None
) -> None:
    """Prints the explanation of a computation, or writes it to a file.

    Args:
        target: ``MODULE:NAME``.
        form: ``text``, ``json`` or ``html``; None for what the file's name ends in, else text.
        clients: For how many clients to count bytes in all.
        tiers: How many members tiers have, each as ``NAME=N``.
        output: The file; None prints.
    """
    name, computation = _named(_find(target), target)
    explanation = replace(explain(computation, clients), name=name)
    members = {**explanation.members, **_members(tiers, explanation)}
    explanation = replace(explanation, members=members)
    ending = Path(output or "").suffix.removeprefix(".").lower()
    match form or ending:
        case "json":
            text = explanation.to_json()
        case "html" | "htm":
            text = explanation.to_html().rstrip("\n")
        case _:
            text = str(explanation)
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            "The explanation cannot be written",
            found=f"{output}: {error.strerror}",
            hint="choose another file",
        ) from error
    click.echo(f"Written to {output}.")
