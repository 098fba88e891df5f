# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Passes: from program to program, one file each. Every pass keeps the type and the meaning."""

from foedus.passes.call_dominant import call_dominant
from foedus.passes.dead_code import remove_dead_code
from foedus.passes.distribute_aggregate_form import DistributeAggregateForm
from foedus.passes.from_distribute_aggregate import from_distribute_aggregate
from foedus.passes.from_map_reduce import from_map_reduce
from foedus.passes.inline import inline
from foedus.passes.map_reduce_form import MapReduceForm
from foedus.passes.merge_duplicates import merge_duplicates
from foedus.passes.replace_intrinsics import expand, replace_intrinsics
from foedus.passes.to_distribute_aggregate import to_distribute_aggregate
from foedus.passes.to_map_reduce import to_map_reduce
from foedus.passes.uniquify import uniquify

__all__ = [
    "DistributeAggregateForm",
    "MapReduceForm",
    "call_dominant",
    "expand",
    "from_distribute_aggregate",
    "from_map_reduce",
    "inline",
    "merge_duplicates",
    "remove_dead_code",
    "replace_intrinsics",
    "to_distribute_aggregate",
    "to_map_reduce",
    "uniquify",
]
