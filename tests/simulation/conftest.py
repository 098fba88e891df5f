# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of client data share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foedus.errors import FoedusError
from foedus.simulation import ClientData

ROOT = Path(__file__).resolve().parents[2]
USERS_LINE = re.compile(r"(, )?(test_|conftest)\w*\.py:\d+: [^\n]*")


@pytest.fixture
def told(tmp_path: Path) -> Callable[[Callable[[], Any]], str]:
    """Calls a function that must fail; returns its error's text without this machine's paths and lines."""

    def call(function: Callable[[], Any]) -> str:
        with pytest.raises(FoedusError) as caught:
            function()
        text = USERS_LINE.sub("", str(caught.value).replace(str(tmp_path), "TMP"))
        return "\n".join(line for line in text.splitlines() if line.strip() != "at")

    return call


@pytest.fixture
def visits() -> ClientData:
    """Three clients of unequal size, whose rows do not lie together."""
    columns = {"day": np.arange(6, dtype=np.int32), "heat": np.arange(12, dtype=np.float32).reshape(6, 2)}
    return ClientData.from_arrays(columns, ["b", "a", "b", "c", "a", "b"])


@pytest.fixture
def real_emnist() -> Path:
    """The packed file of real handwriting, where this machine has it."""
    name = "emnist_all.sqlite.lzma"
    places = [Path(os.environ.get("FOEDUS_DATA_DIR", ".")), ROOT.parent / "shared" / "data"]
    found = next((place / name for place in places if (place / name).is_file()), None)
    return found or pytest.skip(f"there is no {name} in FOEDUS_DATA_DIR or in ../shared/data")
