# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning``: federated learning by TFF's names."""

from foedus.tff.learning import algorithms, metrics, models, optimizers, programs, templates
from foedus.tff.learning._builders_of_2021 import (
    build_federated_averaging_process,
    build_federated_evaluation,
)
from foedus.tff.learning._keras_variable_model import from_keras_model
from foedus.tff.learning._names_of_2021 import (
    add_debug_measurements,
    add_debug_measurements_with_mixed_dtype,
    assign_weights_to_keras_model,
    build_federated_sgd_process,
    build_local_evaluation,
    build_personalization_eval,
    compression_aggregator,
    ddp_secure_aggregator,
    dp_aggregator,
    framework,
    reconstruction,
    secure_aggregator,
    state_with_new_model_weights,
)
from foedus.tff.learning._robust_aggregator import robust_aggregator
from foedus.tff.learning._variable_model import BatchOutput
from foedus.tff.learning._variable_model import VariableModel as Model
from foedus.tff.learning._weighting import ClientWeighting, LoopImplementation
from foedus.tff.learning._weights import ModelWeights

__all__ = [
    "BatchOutput",
    "ClientWeighting",
    "LoopImplementation",
    "Model",
    "ModelWeights",
    "add_debug_measurements",
    "add_debug_measurements_with_mixed_dtype",
    "algorithms",
    "assign_weights_to_keras_model",
    "build_federated_averaging_process",
    "build_federated_evaluation",
    "build_federated_sgd_process",
    "build_local_evaluation",
    "build_personalization_eval",
    "compression_aggregator",
    "ddp_secure_aggregator",
    "dp_aggregator",
    "framework",
    "from_keras_model",
    "metrics",
    "models",
    "optimizers",
    "programs",
    "reconstruction",
    "robust_aggregator",
    "secure_aggregator",
    "state_with_new_model_weights",
    "templates",
]
