# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Runs ``examples/landing_page.py`` as it is, and writes down the weights after each of its rounds.

Arguments: the program, and where the weights go. It prints what the program prints.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(path: str, into: str) -> None:
    """Runs the program, which prints the loss of each round when it has the state after it."""
    after: list[Any] = []

    def noting(loss: Any) -> None:
        after.append(names["state"].model.trainable)
        print(float(loss))

    names: dict[str, Any] = {"__name__": "__main__", "print": noting}
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), names)
    w, b = (np.stack([np.asarray(weights[i]) for weights in after]) for i in range(2))
    np.savez(into, w=w, b=b)


if __name__ == "__main__":
    main(*sys.argv[1:])
