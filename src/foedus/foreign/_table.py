# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The table of kinds. Each is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import cast

from foedus.errors import ArgumentError, MissingExtraError
from foedus.foreign._kind import Kind

_MODULES = {
    "jax": "foedus.frontends.jax",
    "numpy": "foedus.frontends.numpy",
    "stablehlo": "foedus.frontends.stablehlo",
}
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
    try:
        module = importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise MissingExtraError(
            f"Local code of the kind {name!r} needs a package that is not installed",
            found=str(error),
            hint=f'pip install "foedus[{name}]"',
        ) from error
    _LOADED[name] = cast("Kind", module.KIND)
    return _LOADED[name]
