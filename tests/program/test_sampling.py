# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a round."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from foedus.errors import ArgumentError, DataError
from foedus.program import sample_uniform

IDS = [f"c{i}" for i in range(10)]


def text(caught: pytest.ExceptionInfo[Exception]) -> str:
    return "\n".join(line for line in str(caught.value).splitlines() if not line.startswith("  at "))


def test_clients_are_drawn_once():
    for number in range(50):
        drawn = sample_uniform(IDS, 4, seed=0, round=number)
        assert len(set(drawn)) == 4
        assert set(drawn) <= set(IDS)
        assert list(drawn) == sorted(drawn)


def test_all_clients_can_be_drawn():
    assert sample_uniform(IDS, 10, seed=3, round=1) == tuple(IDS)


def test_the_draws_stay_what_they_are():
    """A checkpoint of today is resumed tomorrow: what is drawn is part of the format."""
    assert sample_uniform(IDS, 3, seed=0, round=1) == ("c3", "c7", "c9")
    assert sample_uniform(IDS, 3, seed=0, round=2) == ("c3", "c6", "c9")
    assert sample_uniform(IDS, 3, seed=0, round=1000) == ("c5", "c6", "c8")
    assert sample_uniform(range(100), 4, seed=-7, round=5) == (47, 68, 69, 96)


def test_the_order_of_the_ids_does_not_matter():
    assert sample_uniform(IDS[::-1], 4, seed=0, round=7) == sample_uniform(IDS, 4, seed=0, round=7)
    assert sample_uniform(set(IDS), 4, seed=0, round=7) == sample_uniform(IDS, 4, seed=0, round=7)


def test_seeds_and_rounds_give_other_draws():
    draws = {sample_uniform(range(1000), 5, seed=s, round=r) for s in range(10) for r in range(10)}
    assert len(draws) == 100


def test_every_set_of_clients_is_as_likely_as_any_other():
    rounds = 6000
    counts = Counter(sample_uniform("abcd", 2, seed=1, round=r) for r in range(rounds))
    assert set(counts) == set(combinations("abcd", 2))
    expected = rounds / 6
    # Chi-squared with 5 degrees of freedom is above 20.5 for one seed in a thousand, not for this one.
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 20.5


def test_zero_clients_in_a_round():
    with pytest.raises(ArgumentError) as caught:
        sample_uniform(IDS, 0, seed=0, round=1)
    assert text(caught) == "There would be zero clients in a round\n  found     0\n  expected  1 to 10"
    assert caught.value.at is not None
    assert caught.value.at.startswith("test_sampling.py:")


def test_more_clients_than_there_are():
    with pytest.raises(ArgumentError) as caught:
        sample_uniform(IDS, 11, seed=0, round=1)
    assert text(caught) == (
        "There cannot be more clients in a round than there are in all\n"
        "  found     11\n"
        "  expected  1 to 10\n"
        "  hint      clients are drawn without replacement: each takes part once in a round at most"
    )


def test_no_clients_at_all():
    with pytest.raises(ArgumentError) as caught:
        sample_uniform([], 1, seed=0, round=1)
    assert text(caught) == "There are no clients to draw from\n  found     no client ids"


def test_ids_of_two_sorts():
    with pytest.raises(DataError, match="Client ids are all strings or all whole numbers"):
        sample_uniform(["a", 1], 1, seed=0, round=1)
