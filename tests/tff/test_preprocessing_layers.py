# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras models with preprocessing layers: they train as NumPy says, or the message says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import facts_of

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

PROGRAM = Path(__file__).with_name("preprocessing_program.py")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(PROGRAM, tmp_path_factory.mktemp("models"), str(tmp_path_factory.mktemp("saved")))


ROWS = np.array([[1, 2, 3], [2, 4, 6]])
NORMAL = (ROWS - [1, 2, 3]) / [1, 2, 3]
FEATURES = {
    "rescaling": 0.5 * ROWS + 1,
    "normalization": NORMAL,
    "adapted": NORMAL,  # To the rows of zeros and of (2, 4, 6): means (1, 2, 3), deviations the same.
    "buckets": np.array([[1, 1, 1], [0, 1, 2]]),  # Below 1.5, to 2.5, above; how many are in each.
    "saved": NORMAL,
    "in data": np.ones((2, 3)),  # Embeddings begin with ones.
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_round_is_that_of_numpy(name: str, facts: dict[str, Any]):
    x = FEATURES[name]
    error = x @ np.ones((3, 1))
    kernel = 1 - 0.1 * 2 * x.T @ error / 2
    for found in facts[name]:
        np.testing.assert_allclose(found["loss"], np.mean(error**2), rtol=1e-5)
        np.testing.assert_allclose(found["kernel"], kernel, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["adapted", "saved"])
def test_statistics_of_data_stay(name: str, facts: dict[str, Any]):
    """Mean, variance and count of the rows that the layer was adapted to are no weights to train."""
    for found in facts[name]:
        assert found["kept"][:2] == [[1, 2, 3], [1, 4, 9]]


def without_line(said: str) -> list[str]:
    return [line for line in said.splitlines() if not line.startswith("  at  ")]


def test_strings_are_for_the_data(facts: dict[str, Any]):
    for said in facts["words"]:
        assert "  at        preprocessing_program.py:" in said
        assert without_line(said) == [
            "A model takes numbers, and its examples have strings",
            "  found     <str[3],float32[1]>",
            "  expected  examples of numbers",
            "  hint      make numbers of them in the clients' data: dataset.map(lambda x, y: (words(x), y)), "
            "where words is a keras.layers.StringLookup or TextVectorization, in place of that layer",
        ]


def test_tables_are_for_the_data(facts: dict[str, Any]):
    for said in facts["integers"]:
        assert "  at        preprocessing_program.py:" in said
        head, *rest = without_line(said)
        assert head.startswith("The TensorFlow code 'sequential")
        assert head.endswith("' reads a state from outside")
        assert rest == [
            "  found     a lookup table, or another resource",
            "  expected  code whose result follows from its arguments and the model's own weights",
            "  hint      look values up in the clients' data, with dataset.map, in place of the layer "
            "that does it",
        ]
