# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The program of TFF's front page of 2021, compared with NumPy."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from foedus.simulation import ClientData
from foedus.simulation.datasets import emnist

from .conftest import run_program
from .numpy_landing_page import Client, losses, round_from, rounding

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]

PROGRAM = Path(__file__).parents[2] / "examples" / "landing_page.py"
WATCHED = Path(__file__).with_name("landing_page_program.py")
ROUNDS, EPOCHS, SIZE, RATE = 5, 10, 20, 0.1
BOUND = 2e-4
"""Of the losses of five rounds on drawn digits: in float32, NumPy itself is up to 5e-5 off in the third, with
its features in six orders."""
ORDERS = 8
"""In which NumPy's float32 adds the features up, to see how far one round takes its rounding."""
SLACK = 4
"""A bound is so many times what was seen in these orders, for the program has another one."""
FLOOR = 1e-6
"""Of the loss and of the greatest weight: sums of three thousand losses, and weights that are averaged."""
CAPS = {"drawn": (3e-5, 3e-4), "real": (3e-3, 0.1)}
"""What a bound may be at most, of the loss and of the greatest weight. How NumPy adds up depends on the
processor: on drawn digits up to 1.2e-5 and 1.1e-4 have been seen.

On real digits, steps of 0.1 on 784 features of about 1 are far beyond what converges. Where a label's
probability is about 1e-7, at which Keras keeps it, float32 decides whether a row of a batch has a gradient
at all: the first round has a row at 0.99999 times 1e-7, and so NumPy's float32 is 4e-4 off in its loss and
1.5e-2 of the greatest weight, the second round a tenth of that. The later ones are at 1e-5."""


def clients_of(data: ClientData) -> list[Client]:
    clients = [data.columns(client) for client in data.ids[:3]]
    return [(c["pixels"].reshape(len(c["label"]), -1), c["label"]) for c in clients]


def assert_rounds(data: ClientData, folder: Path, weights: Path, *, caps: tuple[float, float]) -> None:
    """Each round of the program is one of NumPy's from the same weights: its loss, and the weights then."""
    found = [float(line) for line in run_program(WATCHED, folder, str(PROGRAM), str(weights))]
    with np.load(weights) as arrays:
        after = list(zip(arrays["w"], arrays["b"], strict=True))
    assert len(found) == len(after) == ROUNDS
    clients = clients_of(data)
    w, b = np.zeros((784, 10)), np.zeros(10)
    for k, (loss, (w_after, b_after)) in enumerate(zip(found, after, strict=True)):
        wanted = round_from(w, b, clients, epochs=EPOCHS, size=SIZE, rate=RATE)
        seen = rounding(w, b, clients, epochs=EPOCHS, size=SIZE, rate=RATE, orders=ORDERS)
        scales = wanted.loss, float(np.max(np.abs(wanted.w)))
        bounds = [FLOOR * scale + SLACK * off for scale, off in zip(scales, seen, strict=True)]
        assert all(bound <= cap * s for bound, cap, s in zip(bounds, caps, scales, strict=True)), k
        assert abs(loss - wanted.loss) <= bounds[0], k
        np.testing.assert_allclose(w_after, wanted.w, rtol=0, atol=bounds[1])
        np.testing.assert_allclose(b_after, wanted.b, rtol=0, atol=bounds[1])
        w, b = w_after.astype(np.float64), b_after.astype(np.float64)
    assert found[4] < found[0]


def test_five_rounds_on_drawn_digits(emnist_folder: Path):
    found = [float(line) for line in run_program(PROGRAM, emnist_folder)]
    data = emnist.synthetic().train
    wanted = losses(clients_of(data), rounds=ROUNDS, epochs=EPOCHS, size=SIZE, rate=RATE)
    assert wanted[-1] < 0.05 < 5 < wanted[0]
    np.testing.assert_allclose(found, wanted, rtol=BOUND)


def test_each_round_on_drawn_digits(emnist_folder: Path, tmp_path: Path):
    data = emnist.synthetic().train
    assert_rounds(data, emnist_folder, tmp_path / "weights.npz", caps=CAPS["drawn"])


def test_each_round_on_real_digits(tmp_path: Path):
    folder = os.environ.get("FOEDUS_DATA_DIR", "")
    if not any((Path(folder) / f"emnist_all.sqlite{end}").is_file() for end in ("", ".lzma")):
        pytest.skip("FOEDUS_DATA_DIR names no folder with emnist_all.sqlite")
    data = emnist.load().train
    assert_rounds(data, Path(folder), tmp_path / "weights.npz", caps=CAPS["real"])


def test_only_the_import_line_is_another_one():
    source = PROGRAM.read_text(encoding="utf-8")
    assert re.findall(r"^import foedus.*$", source, re.MULTILINE) == ["import foedus.tff as tff"]
    assert "foedus" not in source.split("import foedus.tff as tff")[1]
