# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.tensorflow``: local code in TensorFlow, and its types."""

from __future__ import annotations

from typing import Any

from foedus.frontends.tf_data import specs_of
from foedus.tff._absent import Absent
from foedus.tff._computations import tf_computation as computation
from foedus.tff.types import Type, foedus_type, to_type

__all__ = [
    "computation",
    "optimize_tensorflow_graphs",
    "replace_intrinsics_with_bodies",
    "structure_from_tensor_type_tree",
    "to_type",
    "transform_args",
    "transform_result",
    "transform_tf_add_ids",
    "transform_tf_call_ops_to_disable_grappler",
    "type_to_tf_tensor_specs",
]


def type_to_tf_tensor_specs(type_spec: Type) -> Any:
    """What specifies tensors of a type, as ``tf.TensorSpec`` in containers."""
    return specs_of(foedus_type(type_spec))


_WITHIN = "programs are compiled inside the runtimes of Foedus"
optimize_tensorflow_graphs = Absent("tff.tensorflow.optimize_tensorflow_graphs", _WITHIN)
replace_intrinsics_with_bodies = Absent(
    "tff.tensorflow.replace_intrinsics_with_bodies", "use foedus.passes.replace_intrinsics"
)
structure_from_tensor_type_tree = Absent(
    "tff.tensorflow.structure_from_tensor_type_tree", "go through the type with its children()"
)
transform_args = Absent("tff.tensorflow.transform_args", _WITHIN)
transform_result = Absent("tff.tensorflow.transform_result", _WITHIN)
transform_tf_add_ids = Absent("tff.tensorflow.transform_tf_add_ids", _WITHIN)
transform_tf_call_ops_to_disable_grappler = Absent(
    "tff.tensorflow.transform_tf_call_ops_to_disable_grappler", _WITHIN
)
