# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws notice every mistake in the list."""

from __future__ import annotations

import pytest

from foedus import runtime

from .example_operators import OPERATORS
from .example_programs import VALUES
from .example_sequences import SEQUENCES
from .mutants import MUTANTS, Mutant

EXAMPLES = {example.name: example for example in [*VALUES, *SEQUENCES, *OPERATORS]}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_laws_notice(mutant: Mutant, monkeypatch: pytest.MonkeyPatch):
    example = EXAMPLES[mutant.example]
    # Without the mistake the same law holds for it: `test_runtimes` shows that.
    assert mutant.count in example.counts
    mutant.patch(monkeypatch)
    assert mutant.law(runtime.local, example, mutant.count) != []
