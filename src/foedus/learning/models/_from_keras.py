# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models from Keras, on its JAX or TensorFlow backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from foedus.learning.metrics import Metric
from foedus.learning.models._coupling import find_coupling
from foedus.learning.models._model import Forward, Mode, Model, ModelWeights, splitter
from foedus.types import to_type, type_of


def from_keras(
    build: Callable[[], Any],
    *,
    example: Any,
    loss: Any,
    metrics: Sequence[Any] = (),
    features: str | None = None,
    label: str | None = None,
    coupled: bool | None = None,
) -> Model:
    """A model from a Keras model; needs the extra ``keras``, and ``tensorflow`` if Keras is on TensorFlow.

    The weights that the model was built with are the initial ones. Weights that the model changes itself (the
    averages of batch normalisation) are used and changed at clients, and the server keeps its own: they are
    not aggregated.

    Args:
        build: Returns a new, built Keras model each time it is called.
        example: The type of one example (``data.element_type``), or whatever ``to_type`` accepts.
        loss: A Keras loss, the name of one, or a function of labels and predictions.
        metrics: Keras metrics or their constructors, or metrics of ``foedus.learning.metrics``.
        features: The field of an example with the features; if not given, all but the label.
        label: The field with the label; if not given, ``label``, ``labels`` or ``y``.
        coupled: Whether rows of a batch influence each other (batch normalisation). If not given, it is found
            out by changing some rows of a random batch, and by leaving them out.

    Returns:
        The model; ``to_user`` gives a new Keras model with given weights.

    Raises:
        EnvironmentMismatchError: If Keras is on another backend than JAX or TensorFlow.
        ArgumentError: If ``build`` returns no built Keras model, or the loss is not one number an example.
    """
    from foedus.frontends import keras as front_end

    element = to_type(example)
    split = splitter(element, features, label)
    opened = front_end.open_model(build)
    loss_of = front_end.loss_function(loss)
    start = ModelWeights(*opened.weights())

    def initialize(key: Any) -> ModelWeights:
        return jax.tree.map(jnp.asarray, start)

    def forward(weights: ModelWeights, batch: Any, key: Any, mode: Mode) -> Forward:
        x, y = split(batch)
        predictions, after, penalty = opened.call(*weights, x, key, training=mode is Mode.TRAIN)
        losses = loss_of(predictions, y)
        return Forward(losses, predictions, y, after, penalty.astype(losses.dtype))

    def predict(weights: ModelWeights, x: Any) -> Any:
        with jax.enable_x64(True):
            return opened.call(*weights, x, jnp.zeros(2, jnp.uint32), training=False)[0]

    with jax.enable_x64(True):
        found = find_coupling(element, initialize, forward, known=coupled)
    return Model(
        element_type=element,
        weights_type=type_of(start),
        initialize=initialize,
        forward=forward,
        predict=predict,
        metrics=tuple(_metric(metric) for metric in metrics),
        coupled=found,
        to_user=lambda weights: opened.with_weights(*weights),
    )


def _metric(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    from foedus.frontends import keras as front_end

    opened = front_end.open_metric(metric)
    return Metric(opened.metric.name, opened.zero, opened.accumulate, opened.report)
