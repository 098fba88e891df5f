# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a line of progress says of a run so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from foedus.program._record import Metric, Record, find, is_finite

_WORDS = ("loss", "accuracy")


@final
class Summary:
    """The newest metrics of a run.

    A loss that is not finite is said from then on: training goes on, for a later round may well recover, but
    nobody should have to find out at the end.

    Args:
        history: The records so far.
        rounds: How many rounds the run will have.
    """

    def __init__(self, history: Sequence[Record], rounds: int) -> None:
        self.rounds = rounds
        self.round = 0
        self._latest: Record = {}
        self._wrong_since: int | None = None
        for record in history:
            self.add(record)

    def add(self, record: Record) -> None:
        """Takes the record of the next round."""
        self.round = int(record["round"])
        self._latest |= record
        loss = find(record, "train", "loss")
        wrong = loss is not None and not is_finite(record[loss])
        self._wrong_since = (self._wrong_since or self.round) if wrong else None

    def text(self) -> str:
        """Loss and accuracy of training, and the last accuracy of evaluation (or its loss, without one)."""
        training = self._metrics("train")
        if self._wrong_since is not None:
            training.append(f"not finite since round {self._wrong_since}")
        evaluation = [f"evaluation {metric}" for metric in self._metrics("evaluation")[-1:]]
        return "; ".join(", ".join(part) for part in (training, evaluation) if part)

    def _metrics(self, group: str) -> list[str]:
        names = [find(self._latest, group, word) for word in _WORDS]
        known = [(word, name) for word, name in zip(_WORDS, names, strict=True) if name is not None]
        if not known:
            first = [name for name in self._latest if name.startswith(f"{group}/")][:2]
            known = [(name.rpartition("/")[2], name) for name in first]
        return [f"{word} {_shown(self._latest[name])}" for word, name in known]


def _shown(value: Metric) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
