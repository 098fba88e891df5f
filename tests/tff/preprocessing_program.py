# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras models that hold preprocessing layers: one round each, or what is said against it, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import foedus.tff as tff

# isort: split
import keras
import numpy as np
import tensorflow as tf

from foedus.errors import FoedusError

L = keras.layers
ROWS = np.array([[1, 2, 3], [2, 4, 6]])
WORDS = np.array([["a", "b", "z"], ["b", "b", "a"]])


def numbers(layers: list[Any]) -> Any:
    return keras.Sequential([keras.Input((3,)), *layers, L.Dense(1, kernel_initializer="ones")])


def embedded(dtype: str, layers: list[Any]) -> Any:
    embedding = L.Embedding(4, 1, embeddings_initializer="ones")
    dense = L.Dense(1, kernel_initializer="ones")
    return keras.Sequential([keras.Input((3,), dtype=dtype), *layers, embedding, L.Flatten(), dense])


def adapted() -> Any:
    layer = L.Normalization()
    layer.adapt(np.array([[0, 0, 0], [2, 4, 6]], np.float32))
    return layer


BUILDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "rescaling": (lambda: numbers([L.Rescaling(0.5, 1.0)]), ROWS.astype(np.float32)),
    "normalization": (
        lambda: numbers([L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])]),
        ROWS.astype(np.float32),
    ),
    "adapted": (lambda: numbers([adapted()]), ROWS.astype(np.float32)),
    "buckets": (
        lambda: numbers([L.Discretization([1.5, 2.5]), L.CategoryEncoding(3, output_mode="count")]),
        ROWS.astype(np.float32),
    ),
    "integers": (lambda: embedded("int64", [L.IntegerLookup(vocabulary=[1, 2])]), ROWS),
    "words": (lambda: embedded("string", [L.StringLookup(vocabulary=["a", "b"])]), WORDS),
}


def spec_of(x: Any) -> Any:
    dtype = tf.string if x.dtype.kind == "U" else tf.as_dtype(x.dtype)
    return tf.TensorSpec((None, 3), dtype), tf.TensorSpec((None, 1), tf.float32)


def trained(model: Any, dataset: Any) -> dict[str, Any]:
    optimizer = tff.learning.optimizers.build_sgdm(0.1)
    process = tff.learning.algorithms.build_weighted_fed_avg(model, client_optimizer_fn=optimizer)
    done = process.next(process.initialize(), [dataset])
    weights = done.state.global_model_weights
    return {
        "loss": float(done.metrics["client_work"]["train"]["loss"]),
        "kernel": np.asarray(weights.trainable[-2]).tolist(),
        "kept": [np.asarray(kept).tolist() for kept in weights.non_trainable],
    }


def by_both_names(build: Callable[[], Any], x: Any) -> list[Any]:
    """A round, or the error, of a variable model and of a functional one."""
    dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros((2, 1), np.float32))).batch(2)
    loss, spec = keras.losses.MeanSquaredError(), spec_of(x)
    makes = [
        lambda: lambda: tff.learning.models.from_keras_model(build(), input_spec=spec, loss=loss),
        lambda: tff.learning.models.functional_model_from_keras(build(), loss_fn=loss, input_spec=spec),
    ]
    found: list[Any] = []
    for make in makes:
        try:
            found.append(trained(make(), dataset))
        except FoedusError as error:
            found.append(str(error))
    return found


def looked_up_in_data() -> list[Any]:
    """What the messages tell to do."""
    words = L.StringLookup(vocabulary=["a", "b"])
    pairs = tf.data.Dataset.from_tensor_slices((WORDS, np.zeros((2, 1), np.float32)))
    dataset = pairs.map(lambda x, y: (words(x), y)).batch(2)
    loss = keras.losses.MeanSquaredError()

    def model() -> Any:
        built = embedded("int64", [])
        return tff.learning.models.from_keras_model(built, input_spec=dataset.element_spec, loss=loss)

    return [trained(model, dataset)]


def saved_again(folder: str) -> list[Any]:
    """A model with statistics of its data, saved and loaded."""
    build, x = BUILDS["adapted"]
    dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros((2, 1), np.float32))).batch(2)
    model = tff.learning.models.from_keras_model(
        build(), input_spec=spec_of(x), loss=keras.losses.MeanSquaredError()
    )
    tff.learning.models.save(model, folder)
    return [trained(lambda: tff.learning.models.load(folder), dataset)]


if __name__ == "__main__":
    facts = {name: by_both_names(build, x) for name, (build, x) in BUILDS.items()}
    facts |= {"in data": looked_up_in_data(), "saved": saved_again(sys.argv[1])}
    print(json.dumps(facts))
