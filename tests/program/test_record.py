# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Flat records of nested metrics, and what a line of progress makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

from foedus.program._record import Record, find, flatten
from foedus.program._summary import Summary


class Pair(NamedTuple):
    a: Any
    b: Any


def test_nested_metrics_become_flat():
    metrics = {"loss": np.float32(0.5), "by": Pair(np.int64(3), [True, "x"]), "none": (), "nothing": None}
    assert flatten("train", metrics) == {
        "train/loss": 0.5,
        "train/by/a": 3,
        "train/by/b/0": 1,
        "train/by/b/1": "x",
    }


@pytest.mark.parametrize(
    ("value", "kept", "kind"),
    [
        (1.5, 1.5, float),
        (np.float16(0.1), float(np.float16(0.1)), float),
        (np.array([[2.5]], dtype=ml_dtypes.bfloat16), 2.5, float),
        (np.uint64(2**64 - 1), 2**64 - 1, int),
        (np.bool_(True), 1, int),
        (np.array("text"), "text", str),
    ],
)
def test_scalars_become_plain(value: Any, kept: Any, kind: type):
    record = flatten("m", value)
    assert record == {"m": kept}
    assert type(record["m"]) is kind


@pytest.mark.parametrize("value", [np.zeros(2), np.zeros(0), 1j])
def test_what_is_no_cell_of_a_table_is_left_out(value: Any):
    assert flatten("m", {"x": value, "y": 1}) == {"m/y": 1}


def test_metrics_are_found_by_a_word():
    names = ["train/sparse_accuracy", "train/accuracy", "evaluation/x/sparse_accuracy", "evaluation/loss"]
    assert find(names, "train", "accuracy") == "train/accuracy"
    assert find(names, "evaluation", "accuracy") == "evaluation/x/sparse_accuracy"
    assert find(names, "train", "loss") is None


def records(*losses: float) -> list[Record]:
    return [{"round": i + 1, "train/loss": loss, "seconds": 0.1} for i, loss in enumerate(losses)]


def test_a_summary_keeps_the_last_evaluation():
    summary = Summary((), 9)
    assert summary.text() == ""
    summary.add({"round": 1, "train/loss": 0.123456, "train/accuracy": 0.5, "evaluation/accuracy": 0.25})
    summary.add({"round": 2, "train/loss": 0.1, "train/accuracy": 0.75})
    assert summary.text() == "loss 0.1, accuracy 0.75; evaluation accuracy 0.25"


def test_a_loss_that_is_not_finite_is_said_until_it_is_finite_again():
    summary = Summary(records(1.0, float("nan"), float("inf")), 9)
    assert summary.text() == "loss inf, not finite since round 2"
    summary.add({"round": 4, "train/loss": 2.0})
    assert summary.text() == "loss 2"


def test_other_metrics_are_shown_where_there_is_no_loss():
    summary = Summary([{"round": 1, "train/count": 7, "train/sum": 1.5, "train/more": 2}], 1)
    assert summary.text() == "count 7, sum 1.5"
