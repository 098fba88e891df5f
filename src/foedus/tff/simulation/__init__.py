# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.simulation``: data and loops for simulations."""

from foedus.tff.simulation import datasets
from foedus.tff.simulation._compositions import (
    SequenceTypeNotAssignableError,
    SequenceTypeNotFoundError,
    compose_dataset_computation_with_computation,
    compose_dataset_computation_with_iterative_process,
    compose_dataset_computation_with_learning_process,
)
from foedus.tff.simulation._names_of_2021 import (
    CSVMetricsManager,
    FileCheckpointManager,
    FromTensorSlicesClientData,
    HDF5ClientData,
    TensorBoardManager,
    baselines,
    models,
    run_simulation,
    server_utils,
)
from foedus.tff.simulation._training import (
    build_uniform_client_sampling_fn,
    build_uniform_sampling_fn,
    run_training_process,
)
from foedus.tff.simulation.datasets import ClientData

__all__ = [
    "CSVMetricsManager",
    "ClientData",
    "FileCheckpointManager",
    "FromTensorSlicesClientData",
    "HDF5ClientData",
    "SequenceTypeNotAssignableError",
    "SequenceTypeNotFoundError",
    "TensorBoardManager",
    "baselines",
    "build_uniform_client_sampling_fn",
    "build_uniform_sampling_fn",
    "compose_dataset_computation_with_computation",
    "compose_dataset_computation_with_iterative_process",
    "compose_dataset_computation_with_learning_process",
    "datasets",
    "models",
    "run_simulation",
    "run_training_process",
    "server_utils",
]
