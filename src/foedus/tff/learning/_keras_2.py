# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Words of Keras 2 that Keras 3 does not understand, or takes for nothing."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple


class _Leftover(NamedTuple):
    """A word of Keras 2.

    Args:
        said: How Keras 3 complains of it, a pattern.
        found: What it is called.
        instead: What to write now.
    """

    said: str
    found: str
    instead: str


_LEFTOVERS = [
    _Leftover(
        r"keras\.optimizers\.legacy",
        "`tf.keras.optimizers.legacy`",
        "The optimizers of Keras 3 are in tf.keras.optimizers itself.",
    ),
    _Leftover(
        r"module 'keras[\w.]*' has no attribute 'experimental'",
        "a module `experimental`",
        "What it held is one level up, such as tf.keras.optimizers.SGD and tf.keras.layers.Rescaling.",
    ),
    _Leftover(r"\{'lr': |'lr'$", "the argument `lr`", "Write learning_rate instead."),
    _Leftover(
        r"Argument `decay` is no longer supported",
        "the argument `decay`",
        "Keras 3 ignores it; use tff.learning.optimizers.schedule_learning_rate.",
    ),
]


def built(make: Callable[[], Any], name: str) -> Any:
    """What a user's function makes with Keras.

    Args:
        make: The function, without arguments.
        name: The argument that it was given as, for the error's text.

    Returns:
        What it returns.

    Raises:
        TypeError: If it uses what is in Keras 2 alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Argument `decay` is no longer supported", UserWarning)
            return make()
    except (AttributeError, ImportError, TypeError, ValueError, UserWarning) as error:
        leftover = next((one for one in _LEFTOVERS if re.search(one.said, str(error))), None)
        if leftover is None:
            raise
        raise TypeError(
            f"Expected `{name}` to use Keras 3, found {leftover.found} of Keras 2. {leftover.instead}"
        ) from error
