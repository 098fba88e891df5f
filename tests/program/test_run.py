# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What training leaves, and its learning curves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from foedus.errors import ArgumentError, OutputError
from foedus.program import Record, Run


def records(count: int) -> list[Record]:
    losses = 2.3 * np.exp(-np.arange(count) / 12)
    history: list[Record] = [
        {"round": i + 1, "train/loss": float(x), "train/accuracy": float(1 - x / 3)}
        for i, x in enumerate(losses)
    ]
    for record in history[4::5]:
        record["evaluation/loss"] = float(record["train/loss"]) + 0.1
        record["evaluation/accuracy"] = float(record["train/accuracy"]) - 0.05
    return history


def run(history: list[Record]) -> Run:
    return Run(state=None, history=history, rounds=len(history))


def drawn(figure: Figure) -> list[dict[str, list[list[float]]]]:
    """For each panel its lines: the first word of the label, and the points."""
    return [
        {
            str(line.get_label()).replace(",", " ").partition(" ")[0]: np.asarray(line.get_xydata()).tolist()
            for line in panel.lines
        }
        for panel in figure.axes
    ]


def test_a_column_has_a_value_for_every_round():
    assert run(records(6)).column("evaluation/loss")[:4] == [None] * 4
    assert run(records(6)).column("round") == [1, 2, 3, 4, 5, 6]


def test_an_unknown_column():
    with pytest.raises(ArgumentError) as caught:
        run(records(1)).column("loss")
    lines = str(caught.value).splitlines()
    assert lines[:2] == [
        "No round has the metric 'loss'",
        "  expected  one of round, train/loss, train/accuracy",
    ]


def test_a_run_is_shown_by_its_last_round():
    assert repr(Run(None, [{"round": 1, "train/loss": 0.123456}], 1, Path("runs"))) == (
        "Run(1 rounds, train/loss 0.1235, into runs)"
    )


def test_curves_have_a_line_for_training_and_one_for_evaluation():
    history = records(10)
    loss, accuracy = drawn(run(history).plot())
    assert [x for x, _ in loss["training"]] == list(range(1, 11))
    assert loss["evaluation"] == [[r["round"], r["evaluation/loss"]] for r in (history[4], history[9])]
    assert accuracy["evaluation"] == [
        [r["round"], r["evaluation/accuracy"]] for r in (history[4], history[9])
    ]


@pytest.mark.parametrize(
    ("history", "panels"),
    [
        ([], [{}, {}]),
        ([{"round": 1, "train/loss": 0.5}], [{"training": [[1, 0.5]]}, {}]),
        ([{"round": 1, "train/loss": "text"}], [{}, {}]),
        ([{"round": 1, "train/sparse_accuracy": 0.5}], [{}, {"training": [[1, 0.5]]}]),
    ],
)
def test_curves_of_little(history: list[Record], panels: list[Any], tmp_path: Path):
    figure = run(history).plot()
    assert drawn(figure) == panels
    run(history).plot(tmp_path / "curves.png")


def test_numbers_gone_wrong_leave_gaps(tmp_path: Path):
    history: list[Record] = [
        {"round": i, "train/loss": x} for i, x in ((1, 1.0), (2, float("inf")), (3, 0.5))
    ]
    (loss, _) = drawn(run(history).plot())
    assert np.isnan(loss["training"][1][1])
    run(history[1:2]).plot(tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("deep/a.svg", b"<?xml")]
)
def test_curves_in_a_file(tmp_path: Path, name: str, start: bytes):
    path = run(records(3)).plot(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)


def test_curves_in_a_format_that_is_none(tmp_path: Path):
    with pytest.raises(ArgumentError) as caught:
        run(records(3)).plot(tmp_path / "curves.bmp")
    assert str(caught.value).startswith(
        "A drawing is not written in this format\n"
        "  found     curves.bmp\n"
        "  expected  a name that ends with .pdf, .png, .svg"
    )


def test_curves_where_nothing_can_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run(records(3)).plot(tmp_path / "file" / "curves.png")


def test_a_notebook_shows_the_figure():
    figure: Any = run(records(3)).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_drawing_leaves_pyplot_alone():
    before = "matplotlib.pyplot" in sys.modules
    run(records(3)).plot()
    assert ("matplotlib.pyplot" in sys.modules) == before
