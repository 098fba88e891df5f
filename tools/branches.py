# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Prints the branches that the tests take, by package, and fails where a package up to `lang` takes too few.

Reads on standard input what `coverage json` writes; `CONTRIBUTING.md` has the whole command.

    python -m coverage json -q -o - | python tools/branches.py
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

LEAST = 97.0
"""The share of branches, in percent, that each of these packages has to take."""
PACKAGES = ("errors", "types", "intrinsics", "ir", "foreign", "data", "passes", "wire", "lang")


def by_package(report: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """How many branches of each package are taken, and how many there are."""
    taken: Counter[str] = Counter()
    known: Counter[str] = Counter()
    for path, file in report["files"].items():
        parts = PurePath(path).parts
        inside = parts[parts.index("foedus") + 1 :]
        package = inside[0] if len(inside) > 1 else "foedus"
        taken[package] += file["summary"]["covered_branches"]
        known[package] += file["summary"]["num_branches"]
    return {package: (taken[package], known[package]) for package in sorted(known)}


def main() -> int:
    found = by_package(json.load(sys.stdin))
    short = [package for package in PACKAGES if package not in found]
    for package, (taken, known) in found.items():
        share = 100 * taken / known if known else 100.0
        print(f"{package:<12} {taken:>5} of {known:>5} branches  {share:6.2f} %")
        if package in PACKAGES and share < LEAST:
            short.append(package)
    if short:
        print(f"Less than {LEAST} % of the branches: {', '.join(short)}", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
