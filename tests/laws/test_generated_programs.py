# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every runtime gives what the reference gives, on generated programs and generated cohorts of no client, of
one, and of more than a reduction has strands.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus import runtime, testing
from foedus.testing import Program
from foedus.types import CLIENTS, Federated, PythonValue, Struct

from . import runtime_laws as laws

each_runtime = pytest.mark.parametrize("make", [pytest.param(runtime.local, id="local")])
COUNTS = (1, 2, 3, 5, 40, 0)


@each_runtime
def test_it_gives_what_the_reference_gives(make: Any):
    counts: Counter[int] = Counter()

    @settings(max_examples=120)
    @given(testing.programs(clients=COUNTS))
    def check_one(program: Program) -> None:
        assert laws.agrees_on(make, program) == []
        counts[program.clients] += 1

    check_one()
    assert set(counts) == set(COUNTS)


def any_argument(data: st.DataObject, type_: Federated, clients: int) -> PythonValue:
    one = testing.values(type_.member)
    return [data.draw(one) for _ in range(clients)] if type_.placement == CLIENTS else data.draw(one)


@each_runtime
def test_it_gives_what_the_reference_gives_for_any_values(make: Any):
    """Numbers are of the whole range of their dtype, with NaN and infinities; secure sums stay in range."""

    @settings(max_examples=80)
    @given(testing.programs(clients=COUNTS), st.data())
    def check_one(program: Program, data: st.DataObject) -> None:
        parameter = program.computation.type.parameter
        types = [t for _, t in parameter.fields] if isinstance(parameter, Struct) else [parameter]
        placed = [t for t in types if isinstance(t, Federated)]
        arguments = tuple(any_argument(data, t, program.clients) for t in placed)
        assert laws.agrees_on(make, replace(program, arguments=arguments)) == []

    check_one()
