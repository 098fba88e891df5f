# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning curves. This module imports matplotlib, and is itself imported when something is drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from foedus.program._record import Record, find, is_finite

_PANELS = ("loss", "accuracy")
_LINES = {"train": ("training", "#3b6ea5"), "evaluation": ("evaluation", "#d1603d")}
_INK = "#3d3d3d"
_FAINT = "#d9d9d9"
_FEW = 40
"""Up to so many points are drawn as dots too."""


@final
class Curves(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        self.savefig(drawn, format="png")
        return drawn.getvalue()


def draw_curves(history: Sequence[Record]) -> Figure:
    """Draws loss and accuracy against the rounds, each with a line for training and one for evaluation.

    Args:
        history: The records.

    Returns:
        The figure. A panel whose metric nobody has recorded says so.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = Curves(figsize=(9.0, 3.6), dpi=100, layout=layout, facecolor="white")
    for panel, word in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        _draw_panel(panel, history, word)
    return figure


def _draw_panel(panel: Axes, history: Sequence[Record], word: str) -> None:
    panel.set_title(word.capitalize(), loc="left", fontsize=11, fontweight="bold", color=_INK)
    panel.set_xlabel("round", color=_INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(_FAINT)
    panel.tick_params(colors=_INK, color=_FAINT, labelsize=9)
    panel.grid(axis="y", color=_FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    drawn = [_draw_line(panel, history, group, word) for group in _LINES]
    if not any(drawn):
        panel.set(xticks=[], yticks=[], xlabel="")
        panel.spines[:].set_visible(False)
        panel.text(0.5, 0.5, f"no {word} recorded", transform=panel.transAxes, ha="center", color="#8a8a8a")
        return
    panel.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    # Beside the title, where no curve can be.
    panel.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(_LINES),
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        borderpad=0.0,
        handlelength=1.4,
        columnspacing=1.4,
    )


def _draw_line(panel: Axes, history: Sequence[Record], group: str, word: str) -> bool:
    name = find(dict.fromkeys(known for record in history for known in record), group, word)
    points = [(r["round"], r[name]) for r in history if name in r] if name is not None else []
    numbers: list[tuple[Any, Any]] = [(x, y) for x, y in points if not isinstance(y, str)]
    if not numbers:
        return False
    label, color = _LINES[group]
    known = [y for _, y in numbers if is_finite(y)]
    # A number gone wrong leaves a gap.
    panel.plot(
        [x for x, _ in numbers],
        [y if is_finite(y) else float("nan") for _, y in numbers],
        color=color,
        label=f"{label} {known[-1]:.4g}" if known else f"{label}, never finite",
        linewidth=1.6,
        marker="o" if len(numbers) <= _FEW else None,
        markersize=3.5,
    )
    return True
