# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a ``tf.data`` data set off its graph, where that says which rows of which arrays it gives.

Iterating over a data set costs about two milliseconds, whatever is in it; its graph takes a tenth of one. It
is enough for what is made of arrays and cut, repeated and batched. What runs code, shuffles or reads files
has to be iterated over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from foedus.data import ClientId, Elements, Ragged, Unit, flat_columns, has_rows, map_entries, units
from foedus.types import Array, Struct, Type, parts_of

_AS_THEY_ARE = frozenset({"Identity", "OptionsDataset", "PrefetchDataset"})
"""Operations that give the elements that they are given."""
_READ = _AS_THEY_ARE | {
    "BatchDatasetV2",
    "ParallelBatchDataset",
    "RepeatDataset",
    "SkipDataset",
    "TakeDataset",
}
_NO_NUMBERS = (tf.string, tf.variant, tf.resource)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a data set gives.

    Args:
        columns: Arrays with rows first, in the order in which ``tf.nest`` flattens elements.
        order: int64, the rows that it gives, in order.
        sizes: int64, how many of them make an element, where it gives batches; None where each is one.
    """

    columns: list[Array]
    order: Array
    sizes: Array | None = None

    def __len__(self) -> int:
        return len(self.order) if self.sizes is None else len(self.sizes)

    def between(self, start: int, stop: int) -> Rows:
        """Some of the elements, next to each other."""
        if self.sizes is None:
            return replace(self, order=self.order[start:stop])
        ends = np.cumsum([0, *self.sizes], dtype=np.int64)
        rows = slice(int(ends[min(start, len(self))]), int(ends[min(stop, len(self))]))
        return replace(self, order=self.order[rows], sizes=self.sizes[start:stop])

    def repeated(self, times: int) -> Rows:
        """All elements, several times over."""
        sizes = None if self.sizes is None else np.tile(self.sizes, times)
        return replace(self, order=np.tile(self.order, times), sizes=sizes)

    def batched(self, size: int, *, whole: bool) -> Rows:
        """Single rows in batches; the last, shorter one is left out where only whole ones are wanted."""
        full, rest = divmod(len(self.order), size)
        sizes = np.array([size] * full + ([rest] if rest and not whole else []), dtype=np.int64)
        return replace(self, order=self.order[: sizes.sum()], sizes=sizes)

    def in_order(self) -> list[Array]:
        """The columns' rows as the data set gives them; no copies where those lie in order already."""
        start, count = int(self.order[0]) if len(self.order) else 0, len(self.order)
        if np.array_equal(self.order, np.arange(start, start + count)):
            return [column[start : start + count] for column in self.columns]
        return [column[self.order] for column in self.columns]


def elements_of(dataset: Any, element: Type, client: ClientId) -> Elements | None:
    """A data set's elements, if its graph says them.

    Args:
        dataset: A ``tf.data.Dataset``.
        element: The type of its elements.
        client: Whose they are.

    Returns:
        The elements, or None if it has to be iterated over.
    """
    rows = rows_of(dataset)
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
        return None if node.attr["is_files"].b else _slices([_constant(nodes, i) for i in node.input])
    inputs = list(node.input)
    before = _read(nodes, inputs[0]) if inputs and node.op in _READ else None
    if before is None:
        return None
    numbers = [_constant(nodes, name) for name in inputs[1:]]
    if any(number is None or np.ndim(number) for number in numbers):
        return None
    return _changed(node.op, before, [int(number) for number in numbers if number is not None])


def _slices(columns: list[Array | None]) -> Rows | None:
    known = [column for column in columns if column is not None]
    if not known or len(known) != len(columns):
        return None
    return Rows(known, np.arange(len(known[0]), dtype=np.int64))


def _changed(op: str, rows: Rows, numbers: list[int]) -> Rows | None:
    """What an operation with these numbers gives."""
    if op in _AS_THEY_ARE:
        return rows
    if op.endswith("BatchDataset") or op == "BatchDatasetV2":
        # Its numbers are the size, for the parallel one how many at once, and whether to drop a remainder.
        return rows.batched(numbers[0], whole=bool(numbers[-1])) if rows.sizes is None else None
    count = numbers[0]
    if op == "RepeatDataset":
        return None if count < 0 else rows.repeated(count)
    at = len(rows) if count < 0 else count
    return rows.between(0, at) if op == "TakeDataset" else rows.between(at, len(rows))


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
