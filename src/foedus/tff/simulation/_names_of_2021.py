# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Names of ``tff.simulation`` with nothing behind them."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "CSVMetricsManager",
    "FileCheckpointManager",
    "FromTensorSlicesClientData",
    "HDF5ClientData",
    "TensorBoardManager",
    "baselines",
    "models",
    "run_simulation",
    "server_utils",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.simulation.{name}", instead)


_TRAINING = "use tff.simulation.run_training_process"
run_simulation = _absent("run_simulation", _TRAINING)
server_utils = _absent("server_utils", _TRAINING)
_STATES = "use tff.program.FileProgramStateManager"
FileCheckpointManager = _absent("FileCheckpointManager", _STATES)
_CSV = "use tff.program.CSVFileReleaseManager"
CSVMetricsManager = _absent("CSVMetricsManager", _CSV)
_EVENTS = "use foedus.program.tensorboard"
TensorBoardManager = _absent("TensorBoardManager", _EVENTS)
_SLICES = "use tff.simulation.datasets.TestClientData"
FromTensorSlicesClientData = _absent("FromTensorSlicesClientData", _SLICES)
_HDF5 = "HDF5 files are not read; SQLite files are, by load_and_parse_sql_client_data"
HDF5ClientData = _absent("HDF5ClientData", _HDF5)
_BASELINES = "use foedus.simulation.baselines"
baselines = _absent("baselines", _BASELINES)
models = _absent("models", _BASELINES)
