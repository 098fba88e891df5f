# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every metric reports the same, however the examples are split. Those of Keras are in ``tests/learning``."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from foedus.learning import metrics

from . import metric_laws as laws
from .metric_laws import ROWS, Measure

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(ROWS, 4)).astype(np.float32)
CLASSES = RNG.integers(0, 4, ROWS, dtype=np.int32)
TEXTS = RNG.normal(size=(ROWS, 3, 4))
LETTERS = RNG.integers(0, 4, (ROWS, 3), dtype=np.int32)

MEASURES = {
    "accuracy": Measure(metrics.accuracy(), SCORES, CLASSES, lambda p, y: (p.argmax(-1) == y).mean()),
    "accuracy of sequences": Measure(
        metrics.accuracy(), TEXTS, LETTERS, lambda p, y: (p.argmax(-1) == y).mean()
    ),
    "mean squared error": Measure(
        metrics.mean_squared_error(),
        SCORES,
        RNG.normal(size=SCORES.shape),
        lambda p, y: np.square(p - y).mean(),
    ),
    "mean": Measure(
        metrics.mean_of("margin", lambda p, y: jnp.max(p, axis=-1) - y),
        SCORES,
        CLASSES,
        lambda p, y: (p.max(-1) - y).mean(),
    ),
}
LAWS = [laws.reports_its_meaning, laws.ignores_splits, laws.accumulates_as_it_merges, laws.has_a_neutral_zero]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_it_keeps_the_laws(measure: Measure, law: laws.Law):
    assert law(measure) == []
