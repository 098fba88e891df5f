# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What training leaves."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final, overload

from foedus.errors import ArgumentError, place
from foedus.program._durable import make_folder, replace_file
from foedus.program._record import Metric, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMATS = ("pdf", "png", "svg")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run.

    Args:
        state: The state after the last round.
        history: One record a round, those of rounds before a resume included. A record has ``round``,
            ``seconds`` (how long the round took, evaluation aside), and metrics by name: ``train/...``,
            ``measurements/...`` and, for rounds that were evaluated, ``evaluation/...``.
        rounds: How many rounds there were in all.
        into: The folder with metrics and checkpoints, or None.
    """

    state: Any
    history: list[Record]
    rounds: int
    into: Path | None = None

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        shown = "".join(f", {name} {value:.4g}" for name, value in last.items() if isinstance(value, float))
        return f"Run({self.rounds} rounds{shown}{f', into {self.into}' if self.into else ''})"

    def column(self, name: str) -> list[Metric | None]:
        """One metric over the rounds.

        Args:
            name: Such as ``evaluation/accuracy``.

        Returns:
            One value a round, None where the round has none.

        Raises:
            ArgumentError: If no round has it.
        """
        names = list(dict.fromkeys(known for record in self.history for known in record))
        if name not in names:
            raise ArgumentError(
                f"No round has the metric {name!r}",
                expected=f"one of {', '.join(names) or 'none'}",
                at=place(),
            )
        return [record.get(name) for record in self.history]

    @overload
    def plot(self, path: None = None) -> Figure: ...

    @overload
    def plot(self, path: str | os.PathLike[str]) -> Path: ...

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure | Path:
        """Draws loss and accuracy, in training and in evaluation, against the rounds.

        Args:
            path: A file that ends with .png, .svg or .pdf; None to get the figure itself, which a notebook
                shows.

        Returns:
            The path, or matplotlib's figure.

        Raises:
            ArgumentError: If the path ends with something else.
            OutputError: If it cannot be written.
        """
        if path is not None and Path(path).suffix.lstrip(".").lower() not in _FORMATS:
            raise ArgumentError(
                "A drawing is not written in this format",
                found=Path(path).name,
                expected=f"a name that ends with {', '.join('.' + known for known in _FORMATS)}",
                at=place(),
            )
        from foedus.program._curves import draw_curves

        figure = draw_curves(self.history)
        if path is None:
            return figure
        path = Path(path)
        drawn = io.BytesIO()
        figure.savefig(drawn, format=path.suffix.lstrip(".").lower(), dpi=150)
        make_folder(path.parent)
        replace_file(path, drawn.getvalue())
        return path
