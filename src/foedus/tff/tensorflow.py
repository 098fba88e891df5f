# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.tensorflow``: local code in TensorFlow, and its types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foedus import types
from foedus.frontends.tf_data import specs_of
from foedus.tff._absent import Absent
from foedus.tff._computations import tf_computation as computation
from foedus.tff.types import Type, foedus_type, to_type, view

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


def structure_from_tensor_type_tree(fn: Callable[[Any], Any], type_spec: Type) -> Any:
    """What a function makes of each tensor type in a type, in the containers of the type.

    Args:
        fn: From a ``TensorType``.
        type_spec: A type of tensors, sequences of them, and structs of such.

    Returns:
        What it makes, in containers.

    Raises:
        ValueError: If there is something else in the type.
    """

    def made(type_: types.Type) -> Any:
        match type_:
            case types.Tensor():
                return fn(view(type_))
            case types.Sequence(element):
                return made(element)
            case types.Struct(fields):
                return types.pack(type_, [made(t) for _, t in fields])
            case _:
                raise ValueError(f"Expected a type of tensors, found {view(type_)}.")

    return made(foedus_type(type_spec))


_WITHIN = "programs are compiled inside the runtimes of Foedus"
optimize_tensorflow_graphs = Absent("tff.tensorflow.optimize_tensorflow_graphs", _WITHIN)
replace_intrinsics_with_bodies = Absent(
    "tff.tensorflow.replace_intrinsics_with_bodies", "use foedus.passes.replace_intrinsics"
)
transform_args = Absent("tff.tensorflow.transform_args", _WITHIN)
transform_result = Absent("tff.tensorflow.transform_result", _WITHIN)
transform_tf_add_ids = Absent("tff.tensorflow.transform_tf_add_ids", _WITHIN)
transform_tf_call_ops_to_disable_grappler = Absent(
    "tff.tensorflow.transform_tf_call_ops_to_disable_grappler", _WITHIN
)
