# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends.mapreduce``: canonical forms of rounds."""

from __future__ import annotations

from foedus.lang import federated_secure_modular_sum
from foedus.tff._absent import Absent

__all__ = [
    "BroadcastForm",
    "CanonicalForm",
    "DistributeAggregateForm",
    "MapReduceForm",
    "check_computation_compatible_with_map_reduce_form",
    "consolidate_and_extract_local_processing",
    "federated_secure_modular_sum",
    "get_broadcast_form_for_computation",
    "get_canonical_form_for_iterative_process",
    "get_computation_for_broadcast_form",
    "get_computation_for_distribute_aggregate_form",
    "get_computation_for_map_reduce_form",
    "get_distribute_aggregate_form_for_computation",
    "get_map_reduce_form_for_computation",
    "get_state_initialization_computation",
    "parse_tff_to_tf",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.backends.mapreduce.{name}", instead)


_MAP_REDUCE = "use foedus.passes.to_map_reduce and its neighbours"
MapReduceForm = _absent("MapReduceForm", _MAP_REDUCE)
CanonicalForm = _absent("CanonicalForm", _MAP_REDUCE)
check_computation_compatible_with_map_reduce_form = _absent(
    "check_computation_compatible_with_map_reduce_form", _MAP_REDUCE
)
get_map_reduce_form_for_computation = _absent("get_map_reduce_form_for_computation", _MAP_REDUCE)
get_computation_for_map_reduce_form = _absent("get_computation_for_map_reduce_form", _MAP_REDUCE)
get_canonical_form_for_iterative_process = _absent("get_canonical_form_for_iterative_process", _MAP_REDUCE)
consolidate_and_extract_local_processing = _absent("consolidate_and_extract_local_processing", _MAP_REDUCE)
parse_tff_to_tf = _absent("parse_tff_to_tf", _MAP_REDUCE)
get_state_initialization_computation = _absent("get_state_initialization_computation", _MAP_REDUCE)
_DISTRIBUTE = "use foedus.passes.to_distribute_aggregate and its neighbours"
DistributeAggregateForm = _absent("DistributeAggregateForm", _DISTRIBUTE)
get_distribute_aggregate_form_for_computation = _absent(
    "get_distribute_aggregate_form_for_computation", _DISTRIBUTE
)
get_computation_for_distribute_aggregate_form = _absent(
    "get_computation_for_distribute_aggregate_form", _DISTRIBUTE
)
BroadcastForm = _absent("BroadcastForm", _DISTRIBUTE)
get_broadcast_form_for_computation = _absent("get_broadcast_form_for_computation", _DISTRIBUTE)
get_computation_for_broadcast_form = _absent("get_computation_for_broadcast_form", _DISTRIBUTE)
