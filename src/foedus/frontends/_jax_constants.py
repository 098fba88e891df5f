# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays that a function captures: frozen when it is traced, and warned about when they are large."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from foedus.errors import LargeConstantWarning, user_line

_MANY_BYTES = 2**25


def frozen(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose captured NumPy arrays are copies, so that changing them later does not change the
    program.

    Args:
        fn: The user's function.

    Returns:
        A function that does the same; arrays inside captured lists, tuples and dicts are copied too. What it
        reads from global names stays as it is, since a pure function does not rebind them.
    """
    if not isinstance(fn, types.FunctionType) or not fn.__closure__:
        return fn
    try:
        kept = [cell.cell_contents for cell in fn.__closure__]
    except ValueError:  # A captured name that is bound only later, as in a function that calls itself.
        return fn
    copies = [_copy(value) for value in kept]
    if all(one is other for one, other in zip(kept, copies, strict=True)):
        return fn
    cells = tuple(types.CellType(value) for value in copies)
    made = types.FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, cells)
    made.__kwdefaults__ = fn.__kwdefaults__
    return made


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        copies = [_copy(item) for item in value]
        changed = any(one is not other for one, other in zip(value, copies, strict=True))
        return type(value)(copies) if changed else value
    if type(value) is dict:
        made = {key: _copy(item) for key, item in value.items()}
        return made if any(made[key] is not value[key] for key in value) else value
    return value


def warn_of_large(constants: Iterable[Any], name: str) -> None:
    """Warns of captured arrays that together are large.

    Args:
        constants: The arrays that a trace found.
        name: What the function is called.
    """
    total = sum(getattr(constant, "nbytes", 0) for constant in constants)
    if total > _MANY_BYTES:
        warnings.warn(
            f"The local code {name!r} has captured arrays of {total / 2**20:.0f} MiB ({user_line()}), which "
            "become part of the program; pass them as an argument",
            LargeConstantWarning,
            stacklevel=2,
        )
