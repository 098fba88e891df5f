# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Loops outside the language: who takes part, training, metrics, checkpoints, exact resume."""

from foedus.program._checkpoint import Checkpoint, read_checkpoint
from foedus.program._csv_file import csv_file
from foedus.program._data_source import DataSource
from foedus.program._progress import (
    Progress,
    no_progress,
    progress_bar,
    progress_in_notebook,
    progress_lines,
)
from foedus.program._record import Metric, Record
from foedus.program._release import InMemory, Release, in_memory, log_lines
from foedus.program._run import Run
from foedus.program._sampling import sample_uniform
from foedus.program._tensorboard import tensorboard
from foedus.program._train import train
from foedus.program._trainable import Step, Trainable

__all__ = [
    "Checkpoint",
    "DataSource",
    "InMemory",
    "Metric",
    "Progress",
    "Record",
    "Release",
    "Run",
    "Step",
    "Trainable",
    "csv_file",
    "in_memory",
    "log_lines",
    "no_progress",
    "progress_bar",
    "progress_in_notebook",
    "progress_lines",
    "read_checkpoint",
    "sample_uniform",
    "tensorboard",
    "train",
]
