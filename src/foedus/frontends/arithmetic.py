# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The few operations that a rule of arithmetic needs, over arrays of JAX or over tensors of TensorFlow.

A rule that is written with these, and with ``+ - * / **``, runs wherever it is called: traced by JAX, traced
by TensorFlow, or on values. TensorFlow is not imported for it.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, final

import jax
import jax.numpy as jnp

from foedus.frontends.tf_data import is_tracing_tensorflow, require_tensorflow
from foedus.types import to_dtype


class Arithmetic(Protocol):
    """The operations of one framework."""

    def flatten(self, tree: Any) -> list[Any]:
        """The leaves of a container, in the order in which the framework has them."""
        ...

    def packed(self, like: Any, leaves: list[Any]) -> Any:
        """Leaves in a container of the structure of another one."""
        ...

    def structure(self, tree: Any) -> Any:
        """What is equal for containers of one structure, and says it; ``None`` is a leaf."""
        ...

    def array(self, value: Any) -> Any:
        """A number, an array or a variable as an array of the framework; rows of a gradient as a whole."""
        ...

    def cast(self, x: Any, dtype: Any) -> Any:
        """An array with another dtype."""
        ...

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Any:
        """An array with one value everywhere."""
        ...

    def sqrt(self, x: Any) -> Any:
        """The square roots."""
        ...

    def sign(self, x: Any) -> Any:
        """The signs: -1, 0 or 1."""
        ...

    def maximum(self, x: Any, y: Any) -> Any:
        """The larger of two, element by element; the second may be a number of Python."""
        ...

    def minimum(self, x: Any, y: Any) -> Any:
        """The smaller of two, element by element; the second may be a number of Python."""
        ...

    def mean(self, x: Any, axis: int | None = None, *, keeps_axis: bool = False) -> Any:
        """The mean over one axis, or over all."""
        ...


@final
class _OfJax:
    """Implements ``Arithmetic``; NumPy's arrays become JAX's."""

    def flatten(self, tree: Any) -> list[Any]:
        return jax.tree.leaves(tree, is_leaf=_is_none)

    def packed(self, like: Any, leaves: list[Any]) -> Any:
        return jax.tree.unflatten(self.structure(like), leaves)

    def structure(self, tree: Any) -> Any:
        return jax.tree.structure(tree, is_leaf=_is_none)

    def array(self, value: Any) -> Any:
        return jnp.asarray(value)

    def cast(self, x: Any, dtype: Any) -> Any:
        return x.astype(dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Any:
        with jax.enable_x64(True):
            return jnp.full(shape, value, to_dtype(dtype))

    def sqrt(self, x: Any) -> Any:
        return jnp.sqrt(x)

    def sign(self, x: Any) -> Any:
        return jnp.sign(x)

    def maximum(self, x: Any, y: Any) -> Any:
        return jnp.maximum(x, y)

    def minimum(self, x: Any, y: Any) -> Any:
        return jnp.minimum(x, y)

    def mean(self, x: Any, axis: int | None = None, *, keeps_axis: bool = False) -> Any:
        return jnp.mean(x, axis, keepdims=keeps_axis)


@final
class _OfTensorflow:
    """Implements ``Arithmetic``; variables are read, and NumPy's and JAX's arrays become constants."""

    def __init__(self) -> None:
        self._tf: Any = require_tensorflow()

    def flatten(self, tree: Any) -> list[Any]:
        return self._tf.nest.flatten(tree)

    def packed(self, like: Any, leaves: list[Any]) -> Any:
        return self._tf.nest.pack_sequence_as(like, leaves)

    def structure(self, tree: Any) -> Any:
        return self._tf.nest.map_structure(lambda _: "*", tree)

    def array(self, value: Any) -> Any:
        return self._tf.convert_to_tensor(value)

    def cast(self, x: Any, dtype: Any) -> Any:
        return self._tf.cast(x, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Any:
        return self._tf.constant(value, self._tf.as_dtype(to_dtype(dtype)), shape)

    def sqrt(self, x: Any) -> Any:
        return self._tf.sqrt(x)

    def sign(self, x: Any) -> Any:
        return self._tf.sign(x)

    def maximum(self, x: Any, y: Any) -> Any:
        return self._tf.maximum(x, y)

    def minimum(self, x: Any, y: Any) -> Any:
        return self._tf.minimum(x, y)

    def mean(self, x: Any, axis: int | None = None, *, keeps_axis: bool = False) -> Any:
        return self._tf.reduce_mean(x, axis, keepdims=keeps_axis)


def _is_none(value: Any) -> bool:
    return value is None


_OF_JAX = _OfJax()


def arithmetic_of(*trees: Any) -> Arithmetic:
    """The arithmetic for some values: TensorFlow's if there are tensors among them, or what specifies such.

    Args:
        *trees: Arrays, tensors and specifications, in containers.
    """
    tf = sys.modules.get("tensorflow")
    if tf is None:
        return _OF_JAX
    given = tf.nest.flatten(trees)
    of_tensorflow = any(tf.is_tensor(leaf) or isinstance(leaf, tf.TypeSpec) for leaf in given)
    return _OfTensorflow() if of_tensorflow else _OF_JAX


def arithmetic_here() -> Arithmetic:
    """The arithmetic for values that are made anew: TensorFlow's where TensorFlow is tracing, else JAX's."""
    return _OfTensorflow() if is_tracing_tensorflow() else _OF_JAX
