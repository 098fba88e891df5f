# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A program that trains Keras models on whatever backend Keras is on, and prints what came out as JSON.

It is run in a process of its own, since Keras has one backend a process. Models begin with weights that do
not depend on the backend.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import optax

import foedus as fd
from foedus import learning, runtime
from foedus.learning import models
from foedus.learning.algorithms import fed_avg

L = keras.layers
CLASSES = 3
SIZES = {"b": 5, "a": 2, "e": 0, "d": 7}


def conv() -> Any:
    layers = [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def batch_norm() -> Any:
    layers = [L.Dense(8), L.BatchNormalization(), L.ReLU(), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((6,)), *layers])


def masked() -> Any:
    layers = [L.Embedding(9, 3, mask_zero=True), L.LSTM(4), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((5,), dtype="int32"), *layers])


def two_inputs() -> Any:
    one, other = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = L.Concatenate()([L.Dense(2, activation="gelu")(one), other])
    return keras.Model({"a": one, "b": other}, L.Dense(CLASSES, activity_regularizer="l2")(joined))


def softmax() -> Any:
    return keras.Sequential([keras.Input((6,)), L.Dense(8), L.Dense(CLASSES)])


def dropout() -> Any:
    return keras.Sequential([keras.Input((6,)), L.Dense(8), L.Dropout(0.5), L.Dense(CLASSES)])


FEATURES: dict[str, dict[str, Any]] = {
    "conv": {"x": ("float32", (8, 8, 1))},
    "batch_norm": {"x": ("float32", (6,))},
    "masked": {"x": ("int32", (5,))},
    "two_inputs": {"a": ("float32", (2,)), "b": ("float32", (3,))},
    "softmax": {"x": ("float32", (6,))},
    "dropout": {"x": ("float32", (6,))},
}
BUILDERS: dict[str, Callable[[], Any]] = {
    "conv": conv,
    "batch_norm": batch_norm,
    "masked": masked,
    "two_inputs": two_inputs,
    "softmax": softmax,
    "dropout": dropout,
}


def started(name: str) -> Any:
    """A model with weights of a fixed seed."""
    model = BUILDERS[name]()
    generator = np.random.default_rng(0)
    for weight in model.weights:
        drawn = generator.uniform(0.1, 0.9, tuple(weight.shape)).astype(np.float32)
        if "seed" not in weight.path:
            weight.assign(drawn if "variance" in weight.path else drawn - 0.5)
    return model


def clients(name: str) -> dict[str, Any]:
    generator = np.random.default_rng(1)

    def column(rows: int, dtype: str, shape: tuple[int, ...]) -> Any:
        if dtype == "int32":
            return generator.integers(0, 9, (rows, *shape), dtype=np.int32)
        return generator.standard_normal((rows, *shape)).astype(dtype)

    return {
        client: {field: column(rows, *spec) for field, spec in FEATURES[name].items()}
        | {"y": generator.integers(0, CLASSES, rows, dtype=np.int32)}
        for client, rows in SIZES.items()
    }


def algorithm(
    name: str,
    non_trainable: models.NonTrainable = models.NonTrainable.KEEP_SERVERS,
    optimizer: Any = None,
) -> Any:
    """Federated averaging of a model."""
    model = models.from_keras(
        lambda: started(name),
        example={**FEATURES[name], "y": "int32"},
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        ],
        label="y",
        non_trainable=non_trainable,
    )
    batches = learning.Batches(size=3, epochs=2)
    client, server = optimizer or optax.sgd(0.1), optax.sgd(1.0)
    return fed_avg(model, client_optimizer=client, server_optimizer=server, batches=batches)


def trained(name: str, rounds: int, make: Any) -> dict[str, Any]:
    """What some rounds of federated averaging give, and the metrics of the last."""
    process = algorithm(name)
    with fd.use(make()):
        state = process.initialize()
        for _ in range(rounds):
            state, metrics, _ = process.next(state, clients(name))
    weights = process.weights(state)
    user = process.model.to_user(weights)
    return {
        "coupled": process.model.coupled,
        "metrics": {key: float(value) for key, value in metrics.items()},
        "weights": {key: np.asarray(value).tolist() for key, value in weights.trainable.items()},
        "user": [np.asarray(v.value).tolist() for v in user.trainable_variables],
    }


def saved() -> dict[str, Any]:
    """A trained model that was saved and loaded; averages are averaged, and the optimizer is one of Keras."""
    # Not Adam: a bias in front of batch normalisation has no gradient, and Adam takes steps of its rounding.
    momentum = models.optimizer_from_keras(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
    process = algorithm("batch_norm", models.NonTrainable.AVERAGE, momentum)
    with fd.use(runtime.local()):
        state = process.next(process.initialize(), clients("batch_norm")).state
    model = process.model_of(state)
    x = clients("batch_norm")["d"]["x"]
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/trained.keras")
        loaded: Any = keras.saving.load_model(f"{folder}/trained.keras")
    weights = process.weights(state)
    return {
        "weights": {key: np.asarray(value).tolist() for key, value in weights.trainable.items()},
        "others": {key: np.asarray(value).tolist() for key, value in weights.non_trainable.items()},
        "predictions": [np.asarray(m.predict(x, verbose=0)).tolist() for m in (model, loaded)],
        "ours": np.asarray(process.model.predict(weights, x)).tolist(),
    }


def kept() -> dict[str, Any]:
    """The averages of batch normalisation that each client keeps for itself, after two rounds."""
    process = algorithm("batch_norm", models.NonTrainable.KEEP_LOCAL)
    state = process.initialize()
    with fd.use(runtime.local()):
        for _ in range(2):
            state = process.next(state, clients("batch_norm")).state
    named = {client: process.weights(state, client=client).non_trainable for client in clients("batch_norm")}
    one = process.model_of(state, client="d").non_trainable_variables
    return {
        "weights": {client: {k: np.asarray(v).tolist() for k, v in w.items()} for client, w in named.items()},
        "user": [np.asarray(v.value).tolist() for v in one],
    }


def main(names: list[str]) -> None:
    """Trains the models of these names; with ``dropout``, says more about it."""
    found: dict[str, Any] = {"backend": keras.config.backend()}
    for name in names:
        found[name] = trained(name, 2, runtime.local)
    found["saved"], found["kept"] = saved(), kept()
    if "dropout" in names:
        found["reference"] = trained("dropout", 2, runtime.reference)
        twice = ("dropout", "dropout", "softmax")
        found["twice"] = [{"fingerprint": algorithm(name).fingerprint} for name in twice]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
