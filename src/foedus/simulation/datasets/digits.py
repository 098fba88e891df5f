# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""1,797 handwritten digits of 8x8 pixels on 14 writing forms. They come with the package.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, as shipped in scikit-learn; CC BY 4.0. The file ``digits.LICENSE.md`` beside this one says
more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foedus.simulation._client_data import ClientData
from foedus.simulation._splits import Splits
from foedus.types import struct

ELEMENT_TYPE = struct(label="int32", pixels=("float32", (8, 8)))
"""The type of one example; pixels go from 0 for paper to 1 for ink."""

_FILE = Path(__file__).with_name("digits.npz")
_MOST_INK = 16
_TEST_FORMS = 2


def load() -> Splits:
    """The digits, with the writing forms as clients.

    An example is ``<label=int32,pixels=float32[8,8]>``; pixels go from 0 for paper to 1 for ink. There are
    122 to 130 examples on a form.

    Returns:
        The forms ``form00`` to ``form11`` to train on, and ``form12`` and ``form13`` to test on. The two
        parts share no form, and the two test forms are hard: a linear model of all training data gets about
        0.91 of them right.

    Example:
        >>> load().test
        ClientData(2 clients, 252 examples, <label=int32,pixels=float32[8,8]>)
    """
    with np.load(_FILE, allow_pickle=False) as archive:
        pixels, labels, forms = archive["pixels"], archive["label"], archive["form"]
    columns = {"label": labels.astype(np.int32), "pixels": pixels.astype(np.float32) / np.float32(_MOST_INK)}
    everything = ClientData.from_arrays(columns, [f"form{form:02d}" for form in forms.tolist()])
    ids = everything.ids
    return Splits(train=everything.select(ids[:-_TEST_FORMS]), test=everything.select(ids[-_TEST_FORMS:]))
