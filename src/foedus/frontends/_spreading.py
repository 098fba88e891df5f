# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How a local function takes the fields of a struct: as one value, or one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from foedus.errors import TracingError, place
from foedus.types import Struct, Type


def spreads(fn: Callable[..., Any], parameter: Type | None) -> bool:
    """Whether the fields of the argument are passed one by one.

    Args:
        fn: The user's function.
        parameter: The type of its argument, None where it takes none.

    Returns:
        True if the argument is a struct and the function takes as many arguments as it has fields, but not
        one.

    Raises:
        TracingError: If the number of the function's parameters fits neither.
    """
    if not isinstance(parameter, Struct):
        return False
    try:
        signature = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in signature if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    if len(required) == 1 or (not required and len(positional) == 1):
        return False
    if len(required) <= len(parameter.fields) <= len(positional):
        return True
    raise TracingError(
        f"The function {getattr(fn, '__name__', 'given')!r} takes {len(required)} arguments",
        found=", ".join(p.name for p in positional) or "none",
        expected=f"one argument, or one for each of the {len(parameter.fields)} fields of {parameter}",
        at=place(),
    )
