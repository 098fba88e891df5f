# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.programs``: loops of training."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = ["EvaluationManager", "ProgramState", "extract_and_rewrap_metrics", "train_model"]

_TRAIN = "use tff.simulation.run_training_process, or foedus.program.train"
EvaluationManager = Absent("tff.learning.programs.EvaluationManager", _TRAIN)
ProgramState = Absent("tff.learning.programs.ProgramState", _TRAIN)
extract_and_rewrap_metrics = Absent("tff.learning.programs.extract_and_rewrap_metrics", _TRAIN)
train_model = Absent("tff.learning.programs.train_model", _TRAIN)
