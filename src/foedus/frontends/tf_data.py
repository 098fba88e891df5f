# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values and types of the language as ``tf.data`` data sets and specifications."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from foedus.data import ClientId, Elements
from foedus.errors import DataError, MissingExtraError, place
from foedus.types import STRING, Sequence, Struct, Tensor, Type, container_of, pack, parts_of


def require_tensorflow() -> ModuleType:
    """TensorFlow.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError(
            "TensorFlow is not installed", found=str(error), hint='pip install "foedus[tensorflow]"'
        ) from error
    return tf


def is_tracing_tensorflow() -> bool:
    """Whether TensorFlow is tracing, and its operations give no values."""
    tf = sys.modules.get("tensorflow")
    return tf is not None and not tf.executing_eagerly()


def specs_of(type_: Type) -> Any:
    """The ``tf.TensorSpec`` of a tensor, or a container of them for a struct.

    Args:
        type_: A tensor, a sequence, or a struct of such.

    Raises:
        DataError: If it is of another kind.
    """
    tf = require_tensorflow()
    match type_:
        case Tensor(dtype, shape):
            return tf.TensorSpec(shape, tf.string if dtype == STRING else tf.as_dtype(dtype))
        case Sequence(element):
            return tf.data.DatasetSpec(specs_of(element))
        case Struct(fields, container):
            named = fields and all(name is not None for name, _ in fields)
            cls = OrderedDict if named and container in (None, dict) else container
            return pack(Struct(fields, cls), [specs_of(t) for _, t in fields])
        case _:
            raise DataError("TensorFlow has no tensors of this type", found=type_, at=place())


def dataset_of_columns(columns: Any) -> Any:
    """The data set whose elements are the rows of arrays.

    Args:
        columns: An array, or a container of arrays, with rows first.
    """
    tf = require_tensorflow()
    return tf.data.Dataset.from_tensor_slices(_with_bytes(columns))


def dataset_of_bytes(messages: list[bytes]) -> Any:
    """The data set of strings of bytes."""
    tf = require_tensorflow()
    return tf.data.Dataset.from_tensor_slices(tf.constant(messages, tf.string, shape=(len(messages),)))


def elements_of(dataset: Any, element: Type, client: ClientId) -> Elements | None:
    """A data set's elements, read off its graph.

    Args:
        dataset: A ``tf.data.Dataset``.
        element: The type of its elements.
        client: Whose they are.

    Returns:
        The elements, or None if the graph does not say them and the data set has to be iterated over.
    """
    require_tensorflow()
    from foedus.frontends._tf_data_graph import elements_of as read

    return read(dataset, element, client)


def whole_gradients(gradients: Any) -> Any:
    """Gradients with every ``tf.IndexedSlices`` among them made a tensor.

    Args:
        gradients: A container of gradients, of TensorFlow or of others.
    """
    sliced = sys.modules["tensorflow"].IndexedSlices if "tensorflow" in sys.modules else ()
    if isinstance(gradients, sliced):
        return require_tensorflow().convert_to_tensor(gradients)
    parts = None if hasattr(gradients, "dtype") else parts_of(gradients)
    if parts is None:
        return gradients
    whole = [whole_gradients(part) for _, part in parts]
    fields = tuple((name, Struct(())) for name, _ in parts)
    return pack(Struct(fields, container_of(gradients)), whole)


def _with_bytes(columns: Any) -> Any:
    """Columns in which NumPy's strings are bytes, as TensorFlow takes them."""
    if isinstance(columns, dict):
        return type(columns)((name, _with_bytes(column)) for name, column in columns.items())
    if isinstance(columns, tuple):
        return tuple(_with_bytes(column) for column in columns)
    array = np.asarray(columns)
    if array.dtype != object:
        return array
    return np.array([str(text).encode("utf-8", "surrogateescape") for text in array.ravel()], object).reshape(
        array.shape
    )


def in_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function over tensors of TensorFlow as one over arrays of JAX, differentiable.

    Args:
        fn: From containers of tensors to containers of tensors.
    """
    require_tensorflow()
    from foedus.frontends._tensorflow_embedding import in_jax as embedded

    return embedded(fn)
