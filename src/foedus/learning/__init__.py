# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated learning: models, metrics, the four stages, and the algorithms made of them."""

from foedus.learning import algorithms, metrics, models
from foedus.learning._batches import Batches
from foedus.learning._evaluation import (
    gather_statistics,
    gradient_at_client,
    gradient_locally,
    statistics_at_client,
)
from foedus.learning._learning_process import LearningProcess, LearningState, compose
from foedus.learning._local_weights import ClientWithWeights, LocalWeights
from foedus.learning._stages import (
    AtClient,
    ClientUpdate,
    ClientWeight,
    Weighting,
    apply_update,
    broadcast_weights,
    train_locally,
    training_at_client,
)
from foedus.learning._statistics import no_statistics, report

__all__ = [
    "AtClient",
    "Batches",
    "ClientUpdate",
    "ClientWeight",
    "ClientWithWeights",
    "LearningProcess",
    "LearningState",
    "LocalWeights",
    "Weighting",
    "algorithms",
    "apply_update",
    "broadcast_weights",
    "compose",
    "gather_statistics",
    "gradient_at_client",
    "gradient_locally",
    "metrics",
    "models",
    "no_statistics",
    "report",
    "statistics_at_client",
    "train_locally",
    "training_at_client",
]
