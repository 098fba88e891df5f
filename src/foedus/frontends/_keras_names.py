# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Names of a Keras model's variables that do not depend on what was built before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_NUMBERED = re.compile(r"(.*?)(?:_\d+)?$")


def stable_names(paths: Sequence[str]) -> list[str]:
    """Names of variables that do not depend on how many models were built before.

    Keras numbers layers over the whole process; here they are numbered inside their model.

    Args:
        paths: The variables' paths, such as ``sequential_3/dense_7/kernel``.

    Returns:
        One name a path, such as ``dense/kernel`` and, for a second dense layer, ``dense_1/kernel``.
    """
    renamed: dict[tuple[str, ...], str] = {}
    taken: Counter[str] = Counter()
    names: list[str] = []
    for path in paths:
        parts = path.split("/")
        parts = parts[1:] if len(parts) > 1 else parts
        new: list[str] = []
        for depth, part in enumerate(parts[:-1]):
            key = tuple(parts[: depth + 1])
            if key not in renamed:
                found = _NUMBERED.fullmatch(part)
                base = "/".join([*new, found.group(1) if found else part])
                renamed[key] = base.rsplit("/", 1)[-1] + (f"_{taken[base]}" if taken[base] else "")
                taken[base] += 1
            new.append(renamed[key])
        names.append("/".join([*new, parts[-1]]))
    repeated = Counter(names)
    return [f"{name}#{i}" if repeated[name] > 1 else name for i, name in enumerate(names)]
