# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow graphs as JAX code, operation by operation, where every operation has a counterpart.

Such code is differentiated, batched and compiled like any other of JAX; above all, runtimes see its
convolutions and can give them a form that suits the device. tf2jax does the translation. What it draws at
random is drawn by JAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import jax
import tensorflow as tf
import tf2jax

from foedus.frontends._tensorflow_effects import Effects

_TRANSLATED = re.compile(
    r"Abs|Add(N|V2)?|ArgMax|AvgPool|BatchMatMulV2|BiasAdd|BroadcastTo|Cast|ConcatV2|Const|Conv2D"
    r"|DepthwiseConv2dNative|DivNoNan|Einsum|Elu|Equal|Erf|Exp|ExpandDims|Expm1|Fill|FloorMod"
    r"|GatherV2|Greater(Equal)?|Identity|LeakyRelu|Less(Equal)?|Log(1p|Softmax)?"
    r"|Logical(And|Not|Or)|MatMul|Max(Pool|imum)?|Mean|Min(imum)?|Mul|Neg|NoOp|NotEqual|OneHot|OnesLike"
    r"|Pack|Pad(V2)?|(Stateful)?PartitionedCall|Placeholder|Pow|Prod|RealDiv|Relu6?|Reshape|Rsqrt"
    r"|Select(V2)?|Shape|Sigmoid|Sign|Slice|Soft(max|plus)|Split(V)?|Sqrt|Square(dDifference)?|Squeeze"
    r"|StatelessRandom(GetKeyCounter|UniformV2)|StopGradient|StridedSlice|Sub|Sum|Tanh|Tile|Transpose"
    r"|Unpack|ZerosLike"
)
"""Operations whose translation does the same as TensorFlow, gradients included."""


def translated(apply: Callable[..., list[Any]], flat: list[Any]) -> Callable[[list[Any]], list[Any]] | None:
    """A function over tensors as one over arrays of JAX.

    Args:
        apply: From flat tensors to flat tensors.
        flat: Arrays of the shapes and dtypes that it is to take.

    Returns:
        The function, or None if something in it has no counterpart.
    """
    function = tf.function(apply, autograph=False)
    specs = [tf.TensorSpec(array.shape, tf.as_dtype(array.dtype)) for array in flat]
    graph = function.get_concrete_function(*specs)
    ops = Effects(graph.graph.as_graph_def()).ops()
    if graph.variables or not all(map(_TRANSLATED.fullmatch, ops)):
        return None
    in_jax = cast("Any", tf2jax).convert_functional(function, *specs)

    def call(flat: list[Any]) -> list[Any]:
        return list(in_jax(*flat))

    return call if _outputs(call, flat) == [_output(tensor) for tensor in graph.outputs] else None


def _outputs(call: Callable[[list[Any]], list[Any]], flat: list[Any]) -> list[Any]:
    structs = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in flat]
    return [(result.shape, result.dtype) for result in jax.eval_shape(call, structs)]


def _output(tensor: Any) -> Any:
    return tuple(tensor.shape.as_list()), tensor.dtype.as_numpy_dtype
