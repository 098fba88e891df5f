# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``foedus explain``."""

from __future__ import annotations

import os
import pkgutil
import sys
from typing import Any

import click

from foedus.errors import ArgumentError
from foedus.explain import explain
from foedus.lang import Computation
from foedus.process import Process


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


def _computation(found: Any, target: str) -> Computation:
    if callable(found) and not isinstance(found, Computation):
        found = found()
    found = getattr(found, "process", found)
    if isinstance(found, Process):
        return found.next
    if isinstance(found, Computation):
        return found
    raise ArgumentError(
        "This is no computation",
        found=f"{target}, a {type(found).__name__}",
        expected="a computation, a process, or a function without arguments that returns one",
    )


def explain_target(target: str) -> None:
    """Prints the explanation of a computation.

    Args:
        target: ``MODULE:NAME``.
    """
    click.echo(str(explain(_computation(_find(target), target))))
