# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of a workload, written in three ways that do equal work."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from workload_data import Workload
from workload_models import apply_of, keras_layers, loss

import foedus as fd
from foedus import learning
from foedus.data import Cohort
from foedus.learning.models import Model
from foedus.types import Type, type_of


@dataclass(frozen=True)
class Way:
    """One way to write federated averaging.

    Args:
        start: The first state.
        step: From a state and a cohort to the next state.
        weights: From a state to the weights, as a list of arrays.
    """

    start: Any
    step: Callable[[Any, Any], Any]
    weights: Callable[[Any], list[Any]]


def by_models(workload: Workload, element: Type, *, dropout: bool) -> Way:
    """A model of a JAX function, and the algorithm of ``foedus.learning``."""
    model = learning.models.from_jax(
        apply_of(workload.model, dropout=dropout),
        init=workload.initial,
        loss=loss,
        example=element,
        coupled=False,
    )
    return _by_fed_avg(workload, model, lambda weights: weights)


def by_keras(workload: Workload, element: Type, *, dropout: bool) -> Way:
    """A Keras model on JAX, and the algorithm of ``foedus.learning``."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    def build() -> Any:
        made = keras.Sequential([keras.Input((28, 28, 1)), *keras_layers(workload.model, dropout=dropout)])
        made.set_weights(workload.initial)
        return made

    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = learning.models.from_keras(build, example=element, loss=losses, coupled=False)
    return _by_fed_avg(workload, model, lambda trained: trained.get_weights())


def _by_fed_avg(workload: Workload, model: Model, weights_of: Callable[[Any], list[Any]]) -> Way:
    process = learning.algorithms.fed_avg(
        model,
        client_optimizer=optax.sgd(workload.rate),
        batches=learning.Batches(size=workload.batch, shuffle=False),
    )
    return Way(
        start=process.initialize(),
        step=lambda state, cohort: process.next(state, cohort).state,
        weights=lambda state: weights_of(process.model_of(state)),
    )


def by_operators(workload: Workload, element: Type, *, dropout: bool) -> Way:
    """The operators of the language and plain JAX, without ``foedus.learning``."""
    apply = apply_of(workload.model, dropout=dropout)

    def step(weights: Any, batch: Any, mask: Any) -> Any:
        def mean_loss(weights: Any) -> Any:
            losses = loss(apply(weights, batch["x"]), batch["y"])
            return jnp.sum(jnp.where(mask, losses, 0)) / jnp.sum(mask, dtype=jnp.float32)

        return jax.tree.map(lambda w, g: w - workload.rate * g, weights, jax.grad(mean_loss)(weights))

    def train(weights: Any, examples: Any) -> Any:
        trained = examples.batch(workload.batch).fold_padded(step, weights)
        return {"weights": trained, "examples": jnp.float32(examples.count)}

    @fd.computation(fd.at_server(type_of(workload.initial)), fd.at_clients(fd.sequence(element)))
    def next_weights(weights: Any, examples: Any) -> Any:
        trained = fd.federated_map(train, (fd.federated_broadcast(weights), examples))
        return fd.federated_mean(trained.weights, trained.examples)

    return Way(start=workload.initial, step=next_weights, weights=list)


def by_tff(workload: Workload, data: Cohort, *, dropout: bool) -> Way:
    """The names of TensorFlow Federated: Keras on TensorFlow, and ``tf.data`` clients, each made once."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    import foedus.tff as tff

    def dataset(client: Any) -> Any:
        elements = data.client(client).ragged
        start, count = int(elements.first[client]), int(elements.count[client])
        x, y = (column[start : start + count] for column in elements.columns)
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(workload.batch)

    datasets = [dataset(client) for client in range(workload.pool)]

    def model_fn() -> Any:
        made = keras.Sequential([keras.Input((28, 28, 1)), *keras_layers(workload.model, dropout=dropout)])
        made.set_weights(workload.initial)
        return tff.learning.models.from_keras_model(
            made,
            input_spec=datasets[0].element_spec,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(workload.rate),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
    )
    return Way(
        start=process.initialize(),
        step=lambda state, cohort: process.next(state, [datasets[i] for i in cohort.ids]).state,
        weights=lambda state: list(process.get_model_weights(state).trainable),
    )
