# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a ``tf.data`` data set without iterating over it, if it says which rows of which arrays it gives.

Iterating over a data set costs about two milliseconds, whatever is in it; its graph takes a tenth of one, and
for its arrays to be copied; the object in Python neither. That is enough for what is made of arrays and cut,
repeated and batched. What runs code, shuffles or reads files has to be iterated over.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from foedus.data import ClientId, Elements, Ragged, Unit, flat_columns, has_rows, map_entries, units
from foedus.frontends._tf_data_object import rows_of_object
from foedus.frontends._tf_data_rows import AS_THEY_ARE, Rows, changed, slices
from foedus.types import Array, Struct, Type, parts_of

_READ = AS_THEY_ARE | {
    "BatchDatasetV2",
    "ParallelBatchDataset",
    "RepeatDataset",
    "SkipDataset",
    "TakeDataset",
}
_NO_NUMBERS = (tf.string, tf.variant, tf.resource)


def elements_of(dataset: Any, element: Type, client: ClientId) -> Elements | None:
    """A data set's elements, if its graph says them.

    Args:
        dataset: A ``tf.data.Dataset``.
        element: The type of its elements.
        client: Whose they are.

    Returns:
        The elements, or None if it has to be iterated over.
    """
    read = rows_of_object(dataset)
    rows = rows_of(dataset) if read is None else read
    if rows is None:
        return None
    count, ends = len(rows), None
    if rows.sizes is None and has_rows(element):
        return None  # Each row is an element of a known length, which the type leaves open.
    kinds = units(element)
    columns = _nested(tf.nest.pack_sequence_as(dataset.element_spec, rows.in_order()), element)
    if rows.sizes is not None:
        if count == 0 and Unit.ELEMENT in flat_columns(kinds):
            return None
        columns = map_entries(partial(_of_batches, count), columns, kinds)
        ends = np.cumsum([0, *rows.sizes], dtype=np.int64) if has_rows(element) else None
    zero = np.zeros(1, dtype=np.int64)
    return Elements(Ragged(element, columns, zero, zero + count, ends), 0, client)


def _of_batches(count: int, rows: Array, unit: Unit) -> Array:
    """A column of batches; those whose length the type knows are all of that length."""
    return rows if unit is Unit.ROW else rows.reshape(count, -1, *rows.shape[1:])


def _nested(columns: Any, element: Type) -> Any:
    """Columns in a container of Python as they are stored."""
    if isinstance(element, Struct):
        parts = parts_of(columns) or []
        return tuple(_nested(part, t) for (_, part), (_, t) in zip(parts, element.fields, strict=True))
    return columns


def rows_of(dataset: Any) -> Rows | None:
    """What a data set gives, if its graph says it.

    Args:
        dataset: A ``tf.data.Dataset``.

    Returns:
        The rows, or None if it has to be iterated over.
    """
    try:
        graph = tf.raw_ops.DatasetToGraphV2(input_dataset=tf.data.experimental.to_variant(dataset))
    except (tf.errors.OpError, TypeError, ValueError):
        return None  # It is no data set of TensorFlow's own, holds a state, or is too large for a graph.
    nodes = {node.name: node for node in tf.compat.v1.GraphDef.FromString(graph.numpy()).node}
    last = next(node for node in nodes.values() if node.op == "_Retval")
    return _read(nodes, last.input[0])


def _read(nodes: dict[str, Any], name: str) -> Rows | None:
    node = nodes[name.partition(":")[0]]
    if node.op == "TensorSliceDataset":
        return None if node.attr["is_files"].b else slices([_constant(nodes, i) for i in node.input])
    inputs = list(node.input)
    before = _read(nodes, inputs[0]) if inputs and node.op in _READ else None
    if before is None:
        return None
    numbers = [_constant(nodes, name) for name in inputs[1:]]
    if any(number is None or np.ndim(number) for number in numbers):
        return None
    return changed(node.op, before, [int(number) for number in numbers if number is not None])


def _constant(nodes: dict[str, Any], name: str) -> Array | None:
    """The numbers that an operation stands for, or None if it is no constant or none of numbers."""
    node = nodes[name.partition(":")[0]]
    if node.op != "Const":
        return None
    tensor, dtype = node.attr["value"].tensor, tf.as_dtype(node.attr["dtype"].type)
    if dtype in _NO_NUMBERS:
        return None
    if not tensor.tensor_content:
        return tf.make_ndarray(tensor)
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    return np.frombuffer(tensor.tensor_content, dtype.as_numpy_dtype).reshape(shape)
