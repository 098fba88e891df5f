# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The fake kind of leaves, where a test asks for it."""

from __future__ import annotations

import pytest

from foedus.foreign import _table

from .stored_programs import WordKind


@pytest.fixture(scope="module")
def words():
    """Makes the kind ``word`` known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_table._LOADED, "word", WordKind())
        yield
