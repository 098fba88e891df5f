# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The table of kinds. Each is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import cast

from foedus.errors import ArgumentError, MissingExtraError
from foedus.foreign._kind import Kind

_MODULES = {
    "jax": ("foedus.frontends.jax", "foedus"),
    "numpy": ("foedus.frontends.numpy", "foedus"),
    "stablehlo": ("foedus.frontends.stablehlo", "foedus"),
    "tensorflow": ("foedus.frontends.tensorflow", "foedus[tensorflow]"),
}
"""The module of each kind, and what to install for it: Foedus alone, or with an extra."""
_LOADED: dict[str, Kind] = {}


def kind(name: str) -> Kind:
    """The front end of a framework.

    Args:
        name: Its name, as leaves carry it.

    Returns:
        What implements ``Kind``.

    Raises:
        ArgumentError: If there is no such kind.
        MissingExtraError: If its framework is not installed.
    """
    if name in _LOADED:
        return _LOADED[name]
    if name not in _MODULES:
        raise ArgumentError("There is no such kind of local code", found=name, expected=", ".join(_MODULES))
    module_name, requirement = _MODULES[name]
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise MissingExtraError(
            f"Local code of the kind {name!r} needs a package that is not installed",
            found=str(error),
            hint=f'pip install "{requirement}"',
        ) from error
    _LOADED[name] = cast("Kind", module.KIND)
    return _LOADED[name]
