# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The workloads, and their clients.

The data are synthetic clients in the folder BENCH_HOME/data: img_x.npy, img_y.npy, img_off.npy (images),
text_x.npy, text_y.npy, text_off.npy (sequences), and init_softmax.npz, init_cnn.npz, init_lstm.npz (initial
weights a0, a1, ...). ``x`` has all examples, one client after another; ``off`` says where each client begins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HOME = Path(os.environ.get("BENCH_HOME", Path.home() / ".cache/foedus-bench"))
DATA = HOME / "data"
_ROWS = 4096
"""How many images are turned into bytes at a time."""


@dataclass(frozen=True)
class Workload:
    """What is trained on what.

    Args:
        model: The model: softmax, cnn or lstm, or softmax_of_bytes, which takes the images as bytes.
        pool: How many clients there are to draw from. Where they are more than are stored, they share those.
        cohort: How many are drawn for a round.
        rate: The clients' learning rate.
        batch: Examples in a batch.
        rounds: How many rounds a measurement has.
        warm: How many of them are not counted.
    """

    model: str
    pool: int
    cohort: int
    rate: float
    batch: int
    rounds: int
    warm: int

    @property
    def initial(self) -> list[np.ndarray[Any, Any]]:
        """The initial weights."""
        archive = np.load(DATA / f"init_{self.model.split('_')[0]}.npz")
        return [archive[f"a{i}"] for i in range(len(archive.files))]

    def drawn(self, number: int) -> list[int]:
        """The clients of a round; the first is round 1."""
        return np.random.RandomState(1000 + number).choice(self.pool, self.cohort, replace=False).tolist()


WORKLOADS = {
    # A data set of tf.data is read when its client is first drawn; most of so many rounds draw known ones.
    "W1": Workload("softmax", pool=340, cohort=10, rate=0.1, batch=20, rounds=240, warm=10),
    "W2": Workload("softmax", pool=3400, cohort=1000, rate=0.1, batch=20, rounds=20, warm=2),
    "W3": Workload("cnn", pool=340, cohort=10, rate=0.1, batch=20, rounds=8, warm=3),
    "W4": Workload("lstm", pool=100, cohort=10, rate=1.0, batch=4, rounds=6, warm=2),
    "W5": Workload("softmax_of_bytes", pool=342_477, cohort=10_000, rate=0.1, batch=20, rounds=5, warm=2),
}


def offsets(workload: Workload) -> np.ndarray[Any, Any]:
    """Where each stored client begins, and the end of the last."""
    return np.load(DATA / ("text_off.npy" if workload.model == "lstm" else "img_off.npy"))


def columns(workload: Workload) -> dict[str, np.ndarray[Any, Any]]:
    """All stored examples, memory-mapped."""
    kind = "text" if workload.model == "lstm" else "img"
    features = _images_in_bytes() if workload.model == "softmax_of_bytes" else DATA / f"{kind}_x.npy"
    return {"x": np.load(features, mmap_mode="r"), "y": np.load(DATA / f"{kind}_y.npy", mmap_mode="r")}


def _images_in_bytes() -> Path:
    """The file with the images as bytes, made of the others the first time."""
    path = DATA / "img_u8.npy"
    if path.exists():
        return path
    images = np.load(DATA / "img_x.npy", mmap_mode="r")
    unfinished = path.with_suffix(".unfinished")
    stored = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=images.shape)
    for start in range(0, len(images), _ROWS):
        stored[start : start + _ROWS] = np.rint(images[start : start + _ROWS] * 255)
    stored.flush()
    return unfinished.replace(path)
