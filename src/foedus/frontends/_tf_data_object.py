# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a ``tf.data`` data set off the object that stands for it in Python.

TensorFlow keeps there what the data set was made of, in attributes that are its own: where they are not as
they are known to be, nothing is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foedus.frontends._tf_data_rows import Rows, changed, slices
from foedus.types import Array

_BATCHES = ("_batch_size", "_drop_remainder")
_READ = {
    "_BatchDataset": ("BatchDatasetV2", _BATCHES),
    "_OptionsDataset": ("OptionsDataset", ()),
    "_ParallelBatchDataset": ("ParallelBatchDataset", _BATCHES),
    "_PrefetchDataset": ("PrefetchDataset", ()),
    "_RepeatDataset": ("RepeatDataset", ("_count",)),
    "_SkipDataset": ("SkipDataset", ("_count",)),
    "_TakeDataset": ("TakeDataset", ("_count",)),
}
"""For each class the operation, and where its numbers are."""


def rows_of_object(dataset: Any) -> Rows | None:
    """What a data set gives, if its object says it.

    Args:
        dataset: A ``tf.data.Dataset``.

    Returns:
        The rows, or None if it does not.
    """
    try:
        return _read(dataset)
    except (AttributeError, TypeError, ValueError):
        return None


def _read(dataset: Any) -> Rows | None:
    cls = type(dataset)
    if not cls.__module__.startswith("tensorflow.python.data.ops."):
        return None
    if cls.__name__ == "_TensorSliceDataset":
        return slices([_numbers(tensor) for tensor in dataset._tensors])
    if cls.__name__ not in _READ:
        return None
    op, names = _READ[cls.__name__]
    before = _read(dataset._input_dataset)
    numbers = [int(getattr(dataset, name)) for name in names]
    return None if before is None else changed(op, before, numbers)


def _numbers(tensor: Any) -> Array | None:
    """The numbers of a tensor, where they lie; None if it has none."""
    return None if tensor.dtype.as_numpy_dtype is object else np.asarray(tensor)
