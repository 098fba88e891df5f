# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets and ways to make them that are not here."""

from __future__ import annotations

from foedus.tff._absent import Absent


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.simulation.datasets.{name}", instead)


_FILE = "open a file of it with load_and_parse_sql_client_data"
_OWN = "use ClientData.from_clients_and_tf_fn"
FilePerUserClientData = _absent("FilePerUserClientData", _OWN)
TransformingClientData = _absent("TransformingClientData", "use ClientData.preprocess")
build_dataset_mixture = _absent("build_dataset_mixture", _OWN)
build_single_label_dataset = _absent("build_single_label_dataset", "use filter of the data set")
build_synthethic_iid_datasets = _absent("build_synthethic_iid_datasets", _OWN)
celeba = _absent("celeba", _FILE)
cifar100 = _absent("cifar100", _FILE)
flair = _absent("flair", _OWN)
gldv2 = _absent("gldv2", _OWN)
inaturalist = _absent("inaturalist", _OWN)
stackoverflow = _absent("stackoverflow", _FILE)
