# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from foedus.simulation import datasets


def test_lists_the_data_sets_in_one_line_each():
    found = datasets.available()
    assert [data_set.name for data_set in found] == ["digits", "emnist"]
    assert all("\n" not in data_set.description for data_set in found)


def test_loads_one_by_its_name():
    assert datasets.named("digits").load().test.ids == ("form12", "form13")


def test_a_name_that_there_is_not(told):
    assert told(lambda: datasets.named("digit")) == (
        "There is no data set of this name\n"
        "  found     'digit'\n"
        "  expected  digits, emnist\n"
        "  hint      did you mean 'digits'?"
    )
    assert told(lambda: datasets.named("pigeons")).endswith("digits, emnist")
