# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from foedus.simulation.datasets import digits
from foedus.types import parse


def test_the_last_two_forms_are_never_seen_in_training():
    splits = digits.load()
    assert splits.train.ids == tuple(f"form{i:02d}" for i in range(12))
    assert splits.test.ids == ("form12", "form13")
    assert sum(splits.train.sizes().values()) == 1545
    assert splits.test.sizes() == {"form12": 122, "form13": 130}


def test_an_example_is_a_label_and_scaled_pixels():
    test = digits.load().test
    assert test.element_type == digits.ELEMENT_TYPE == parse("<label=int32,pixels=float32[8,8]>")
    columns = test.columns("form13")
    assert columns["pixels"].dtype == np.float32
    assert (columns["pixels"].min(), columns["pixels"].max()) == (0, 1)
    assert set(columns["label"].tolist()) == set(range(10))


def test_the_licence_lies_beside_the_data():
    assert "CC BY 4.0" in Path(digits.__file__).with_name("digits.LICENSE.md").read_text(encoding="utf-8")
