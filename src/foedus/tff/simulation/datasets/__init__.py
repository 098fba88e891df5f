# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.simulation.datasets``: clients with data sets."""

from foedus.tff.simulation.datasets import emnist, shakespeare
from foedus.tff.simulation.datasets._client_data import (
    ClientData,
    SqlClientData,
    TestClientData,
    load_and_parse_sql_client_data,
    save_to_sql_client_data,
)
from foedus.tff.simulation.datasets._not_here import (
    FilePerUserClientData,
    TransformingClientData,
    build_dataset_mixture,
    build_single_label_dataset,
    build_synthethic_iid_datasets,
    celeba,
    cifar100,
    flair,
    gldv2,
    inaturalist,
    stackoverflow,
)

__all__ = [
    "ClientData",
    "FilePerUserClientData",
    "SqlClientData",
    "TestClientData",
    "TransformingClientData",
    "build_dataset_mixture",
    "build_single_label_dataset",
    "build_synthethic_iid_datasets",
    "celeba",
    "cifar100",
    "emnist",
    "flair",
    "gldv2",
    "inaturalist",
    "load_and_parse_sql_client_data",
    "save_to_sql_client_data",
    "shakespeare",
    "stackoverflow",
]
