# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Trains models of JAX and of Keras on whatever backend Keras is on, and writes the weights.

It is run in a process of its own, since Keras has one backend a process. Arguments: where to write, and how
to train: ``jax`` for networks written in JAX, ``free``, ``native`` or ``lowered`` for those of Keras, told
nothing or which way to run. Weights begin with numbers of a fixed seed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax

import foedus as fd
from foedus import learning, runtime
from foedus.ir import Foreign, walk
from foedus.learning import models
from foedus.learning.algorithms import fed_avg

L = keras.layers
ops: Any = keras.ops
CLASSES = 3
SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 11, 12]
"""Of the clients; batches have four rows, so that some are partial."""
BATCHES = learning.Batches(size=4, epochs=1)
WAYS = {"native": fd.Way.NATIVE, "lowered": fd.Way.LOWERED, "free": None}
IMAGE, VECTOR, WORDS, SERIES = ("float32", (6, 6, 1)), ("float32", (5,)), ("int32", (4,)), ("float32", (4, 2))


def softmax() -> Any:
    return keras.Sequential([keras.Input((5,)), L.Dense(CLASSES)])


def cnn() -> Any:
    """As the smaller network for EMNIST, with fewer filters."""
    layers = [L.Conv2D(2, 3, activation="relu", padding="same"), L.MaxPooling2D(2)]
    layers += [
        L.Conv2D(3, 2, activation="relu"),
        L.Flatten(),
        L.Dense(4, activation="relu"),
        L.Dense(CLASSES),
    ]
    return keras.Sequential([keras.Input((6, 6, 1)), *layers])


def cnn_dropout() -> Any:
    """As the larger network for EMNIST, with fewer filters and its dropout switched off."""
    layers = [L.Conv2D(2, 3, activation="relu"), L.Conv2D(3, 3, activation="relu"), L.MaxPooling2D(2)]
    layers += [L.Dropout(0.0), L.Flatten(), L.Dense(4, activation="relu"), L.Dropout(0.0), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((6, 6, 1)), *layers])


def batch_norm() -> Any:
    layers = [L.Dense(4), L.BatchNormalization(), L.Activation("tanh"), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((5,)), *layers])


def lstm() -> Any:
    return keras.Sequential([keras.Input((4, 2)), L.LSTM(3), L.Dense(CLASSES)])


def gru() -> Any:
    return keras.Sequential([keras.Input((4, 2)), L.GRU(3), L.Dense(CLASSES)])


def masked() -> Any:
    layers = [L.Embedding(9, 3, mask_zero=True), L.LSTM(3), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((4,), dtype="int32"), *layers])


def two_inputs() -> Any:
    one, other = keras.Input((5,), name="a"), keras.Input((4, 2), name="b")
    joined = L.Concatenate()([L.Dense(2, activation="gelu")(one), L.Flatten()(other)])
    return keras.Model({"a": one, "b": other}, L.Dense(CLASSES)(joined))


def two_outputs() -> Any:
    x = keras.Input((5,))
    hidden = L.Dense(4, activation="tanh")(x)
    return keras.Model(x, {"class": L.Dense(CLASSES)(hidden), "size": L.Dense(1)(hidden)})


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = L.Dense(4, activation="relu"), L.Dense(CLASSES)

    def call(self, x: Any) -> Any:
        return self.two(self.one(x))


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((1, 5), np.float32))
    return model


class Squares(keras.layers.Layer):
    """A layer of one's own: weighted squares and their running mean, which it keeps."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1], 2), name="w")
        self.mean = self.add_weight(shape=(2,), initializer="zeros", trainable=False, name="mean")

    def call(self, x: Any, training: bool = False) -> Any:
        y = ops.square(x) @ self.w
        if training:
            self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(y, axis=0))
        return y


def custom_layer() -> Any:
    return keras.Sequential([keras.Input((5,)), Squares(), L.Dense(CLASSES)])


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def both(labels: Any, predictions: Any) -> Any:
    """A loss of two outputs, a number for each example."""
    chosen = ops.one_hot(labels, CLASSES)
    classes = -ops.sum(chosen * ops.log_softmax(predictions["class"]), axis=-1)
    return classes + ops.square(predictions["size"][:, 0] - ops.cast(labels, "float32"))


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any], Any]] = {
    "softmax": (softmax, {"x": VECTOR}, CROSS_ENTROPY),
    "cnn": (cnn, {"x": IMAGE}, CROSS_ENTROPY),
    "cnn_dropout": (cnn_dropout, {"x": IMAGE}, CROSS_ENTROPY),
    "batch_norm": (batch_norm, {"x": VECTOR}, CROSS_ENTROPY),
    "lstm": (lstm, {"x": SERIES}, CROSS_ENTROPY),
    "gru": (gru, {"x": SERIES}, CROSS_ENTROPY),
    "masked": (masked, {"x": WORDS}, CROSS_ENTROPY),
    "two_inputs": (two_inputs, {"a": VECTOR, "b": SERIES}, CROSS_ENTROPY),
    "two_outputs": (two_outputs, {"x": VECTOR}, both),
    "subclassed": (subclassed, {"x": VECTOR}, CROSS_ENTROPY),
    "custom_layer": (custom_layer, {"x": VECTOR}, CROSS_ENTROPY),
}


def drawn(shapes: list[tuple[int, ...]]) -> list[Any]:
    """The weights that a model begins with."""
    generator = np.random.default_rng(0)
    return [generator.uniform(-0.5, 0.5, shape).astype(np.float32) for shape in shapes]


def started(build: Callable[[], Any]) -> Any:
    model = build()
    weights = model.trainable_variables
    for weight, value in zip(weights, drawn([tuple(w.shape) for w in weights]), strict=True):
        weight.assign(value)
    return model


def plain_softmax(w: Any, x: Any) -> Any:
    return x @ w[0] + w[1]


def plain_cnn(w: Any, x: Any) -> Any:
    def convolved(x: Any, kernel: Any, bias: Any, padding: str) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=dimensions)
        return jax.nn.relu(y + bias)

    x = convolved(x, w[0], w[1], "SAME")
    n, height, width, channels = x.shape
    x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    x = convolved(x, w[2], w[3], "VALID").reshape(n, -1)
    return jax.nn.relu(x @ w[4] + w[5]) @ w[6] + w[7]


def plain_batch_norm(w: Any, x: Any, training: bool) -> Any:
    kernel, bias, scale, offset, last, last_bias = w
    x = x @ kernel + bias
    if training:
        x = (x - x.mean(axis=0)) / jnp.sqrt(x.var(axis=0) + jnp.float32(1e-3))
    return jnp.tanh(x * scale + offset) @ last + last_bias


def plain_lstm(w: Any, x: Any) -> Any:
    kernel, recurrent, bias, last, last_bias = w
    units = recurrent.shape[0]

    def step(state: Any, now: Any) -> Any:
        hidden, cell = state
        z = now @ kernel + hidden @ recurrent + bias
        i, f, c, o = (z[:, k * units : (k + 1) * units] for k in range(4))
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    zero = jnp.zeros((x.shape[0], units), x.dtype)
    return jax.lax.scan(step, (zero, zero), jnp.swapaxes(x, 0, 1))[0][0] @ last + last_bias


PLAIN: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "softmax": (plain_softmax, [(5, 3), (3,)]),
    "cnn": (plain_cnn, [(3, 3, 1, 2), (2,), (2, 2, 2, 3), (3,), (12, 4), (4,), (4, 3), (3,)]),
    "batch_norm": (plain_batch_norm, [(5, 4), (4,), (4,), (4,), (4, 3), (3,)]),
    "lstm": (plain_lstm, [(2, 12), (3, 12), (12,), (3, 3), (3,)]),
}
"""The networks that are trained by federated averaging, in JAX, with the shapes of their weights."""


def columns(
    features: dict[str, Any], rows: tuple[int, ...], generator: np.random.Generator
) -> dict[str, Any]:
    """Random examples of these fields, and labels."""
    found: dict[str, Any] = {}
    for name, (dtype, shape) in features.items():
        if dtype == "int32":
            found[name] = generator.integers(0, 9, (*rows, *shape), dtype=np.int32)
        else:
            found[name] = generator.standard_normal((*rows, *shape)).astype(np.float32)
    return found | {"y": generator.integers(0, CLASSES, rows, dtype=np.int32)}


def clients(features: dict[str, Any]) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    return {f"client {i}": columns(features, (rows,), generator) for i, rows in enumerate(SIZES)}


def plain_model(name: str) -> Any:
    apply, shapes = PLAIN[name]
    return models.from_jax(
        apply,
        init=drawn(shapes),
        loss=optax.softmax_cross_entropy_with_integer_labels,
        example={**MODELS[name][1], "y": "int32"},
        label="y",
        coupled=name == "batch_norm",
    )


def model_of(name: str, way: fd.Way | None) -> Any:
    build, features, loss = MODELS[name]
    return models.from_keras(
        lambda: started(build),
        example={**features, "y": "int32"},
        loss=loss,
        label="y",
        coupled=name == "batch_norm",
        way=way,
    )


def averaged(model: Any, features: dict[str, Any]) -> tuple[Any, Any]:
    """The weights after three rounds of federated averaging, and the algorithm."""
    process = fed_avg(model, client_optimizer=optax.sgd(0.1), batches=BATCHES)
    with fd.use(runtime.local()):
        state = process.initialize(0)
        for _ in range(3):
            state = process.next(state, clients(features)).state
    return process.weights(state), process.process.next


def stepped(model: Any, features: dict[str, Any]) -> tuple[Any, Any]:
    """The weights after three steps of a client's local code, and the computation."""
    batches = columns(features, (3, 4), np.random.default_rng(2))
    key = np.zeros(2, np.uint32)

    def train(weights: Any, data: Any) -> Any:
        def step(now: Any, batch: Any) -> Any:
            def loss(trainable: Any) -> Any:
                found = model.forward(now._replace(trainable=trainable), batch, key, models.Mode.TRAIN)
                return jnp.mean(found.losses), found.non_trainable

            gradients, others = jax.grad(loss, has_aux=True)(now.trainable)
            moved = jax.tree.map(lambda w, g: w - jnp.float32(0.1) * g, now.trainable, gradients)
            return models.ModelWeights(moved, others), None

        return jax.lax.scan(step, weights, data)[0]

    @fd.computation(fd.at_server(model.weights_type), fd.at_clients(fd.types.type_of(batches)))
    def trained(weights: Any, data: Any) -> Any:
        return fd.federated_map(train, (fd.federated_broadcast(weights), data))

    with fd.use(runtime.local()):
        (weights,) = trained(model.initialize(None), [batches])
    return weights, trained


def in_order(model: Any, weights: Any) -> list[Any]:
    """The weights in Keras' order: what is trained, and what the model changes itself."""
    user = model.to_user(weights)
    others = [v for v in user.non_trainable_variables if v.dtype == "float32"]
    return [v.value for v in [*user.trainable_variables, *others]]


def told(computation: Any) -> dict[str, Any]:
    """Which way everything ran: as it is explained, and how often TensorFlow was called back."""
    leaves = [leaf for leaf in walk(computation.node) if isinstance(leaf, Foreign) and leaf.kind == "jax"]
    pieces = {id(piece): piece for leaf in leaves for piece in leaf.payload.embedded}
    return {
        "ways": sorted({way.running.way.value for way in fd.explain(computation).ways}),
        "calls": sum(piece.native_calls for piece in pieces.values()),
    }


def main(path: str, hows: list[str]) -> None:
    """Trains models in each of these ways."""
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {"backend": keras.config.backend()}
    for how in hows:
        for name, (_, features, _) in MODELS.items():
            if name not in PLAIN and how in ("jax", "free"):
                continue
            model = plain_model(name) if how == "jax" else model_of(name, WAYS[how])
            weights, computation = (averaged if name in PLAIN else stepped)(model, features)
            facts[f"{how}/{name}"] = told(computation)
            found = list(weights.trainable) if how == "jax" else in_order(model, weights)
            arrays |= {f"{how}/{name}/{i}": np.asarray(value) for i, value in enumerate(found)}
    np.savez(path, **arrays)
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
