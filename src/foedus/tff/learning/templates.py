# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.templates``: learning processes, and what they are composed of."""

from foedus.tff.learning._client_work import ClientResult
from foedus.tff.learning._finalizer import build_apply_optimizer_finalizer, reject_non_finite_update
from foedus.tff.learning._learning_process import (
    LearningAlgorithmState,
    LearningProcess,
    LearningProcessOutput,
    compose_learning_process,
)
from foedus.tff.learning._model_delta import (
    build_broadcast_process,
    build_functional_model_delta_client_work,
    build_model_delta_client_work,
)
from foedus.tff.learning._parts import ClientWorkProcess, DistributionProcess, FinalizerProcess

__all__ = [
    "ClientResult",
    "ClientWorkProcess",
    "DistributionProcess",
    "FinalizerProcess",
    "LearningAlgorithmState",
    "LearningProcess",
    "LearningProcessOutput",
    "build_apply_optimizer_finalizer",
    "build_broadcast_process",
    "build_functional_model_delta_client_work",
    "build_model_delta_client_work",
    "compose_learning_process",
    "reject_non_finite_update",
]
