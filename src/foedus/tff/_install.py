# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Existing programs without a changed line: ``import tensorflow_federated`` gives these modules."""

from __future__ import annotations

import sys
from types import ModuleType

from foedus.errors import EnvironmentMismatchError, place

_NAMES = ("tensorflow_federated", "federated_language")
_OURS = "foedus.tff"


def install() -> None:
    """Makes ``import tensorflow_federated as tff`` and ``import federated_language`` give ``foedus.tff``.

    Modules below it are found as well, such as ``tensorflow_federated.simulation.datasets``.

    Raises:
        EnvironmentMismatchError: If one of the real packages is imported already.
    """
    ours = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    real = next((name for name in _NAMES if _is_real(sys.modules.get(name))), None)
    if real is not None:
        raise EnvironmentMismatchError(
            f"The real {real} is imported already, and its name cannot be given to another package",
            found=getattr(sys.modules[real], "__file__", None) or real,
            at=place(),
            hint="call foedus.tff.install() before anything imports it",
        )
    for name, module in ours.items():
        for alias in _NAMES:
            sys.modules[alias + name.removeprefix(_OURS)] = module


def _is_ours(name: str) -> bool:
    return name == _OURS or name.startswith(f"{_OURS}.")


def _is_real(module: ModuleType | None) -> bool:
    return module is not None and not _is_ours(module.__name__)
