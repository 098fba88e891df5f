# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/tff.md from the modules of ``foedus.tff``."""

from __future__ import annotations

from pathlib import Path

import foedus.tff as tff
from foedus.tff._names import page

if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "tff.md").write_text(page(tff), encoding="utf-8")
