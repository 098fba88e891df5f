# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Client data for simulation: in memory, from files, and ready-made data sets."""

from foedus.simulation import baselines, datasets
from foedus.simulation._client_data import ClientData
from foedus.simulation._splits import Splits
from foedus.simulation._sql_read import open_sql
from foedus.simulation._sql_write import save_sql

__all__ = ["ClientData", "Splits", "baselines", "datasets", "open_sql", "save_sql"]
