# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models as pure functions over tensors of TensorFlow, and Keras models as such."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foedus.frontends import keras as front_end
from foedus.frontends.tf_data import in_jax
from foedus.learning.metrics import Metric
from foedus.learning.models import Forward, Mode, Model
from foedus.tff.learning._keras_metrics import create_functional_metric_fns, made_metric
from foedus.tff.learning._keras_variable_model import KerasVariableModel, from_keras_model
from foedus.tff.learning._opened import (
    Finalizer,
    OpenedModel,
    example_type,
    features_and_labels,
    number_of_batches,
    of_foedus,
)
from foedus.tff.learning._variable_model import BatchOutput
from foedus.tff.learning._weights import ModelWeights
from foedus.types import type_of

MetricsFns = tuple[Callable[[], Any], Callable[..., Any], Callable[[Any], Any]]
"""``() -> state``, ``(state, labels, batch_output, sample_weight=None) -> state``, ``state -> metrics``."""


class FunctionalModel:
    """A model of pure functions over tensors of TensorFlow.

    Args:
        initial_weights: The trainable and the other weights, a pair of containers of arrays.
        predict_on_batch_fn: ``(weights, x, training) -> predictions``.
        loss_fn: ``(predictions, labels, sample_weight=None) -> mean loss``.
        metrics_fns: ``() -> state``; ``(state, labels, batch_output, sample_weight=None) -> state``, which
            takes a batch into a state; and from a state to metrics by name. States add up over clients. If
            not given, the loss, examples and batches are measured.
        input_spec: What specifies a batch: a pair of x and y.

    Raises:
        ValueError: If the specification is none of a batch of x and y.
    """

    def __init__(
        self,
        *,
        initial_weights: Any,
        predict_on_batch_fn: Callable[..., Any],
        loss_fn: Callable[..., Any],
        metrics_fns: MetricsFns | None = None,
        input_spec: Any,
    ) -> None:
        self._example = example_type(input_spec)
        self.initial_weights = ModelWeights(*jax.tree.map(np.asarray, tuple(initial_weights)))
        self.input_spec = input_spec
        self._predict = predict_on_batch_fn
        self._loss = loss_fn
        self.metrics_fns = metrics_fns

    def predict_on_batch(self, model_weights: Any, x: Any, training: bool = True) -> Any:
        """The predictions for a batch."""
        return self._predict(tuple(model_weights), x, training)

    def loss(self, output: Any, label: Any, sample_weight: Any = None) -> Any:
        """The mean loss of predictions."""
        return self._loss(output, label, sample_weight)

    def initialize_metrics_state(self) -> Any:
        """The metrics of no examples."""
        return self.metrics_fns[0]() if self.metrics_fns is not None else OrderedDict()

    def update_metrics_state(
        self, state: Any, labels: Any, batch_output: BatchOutput, sample_weight: Any = None
    ) -> Any:
        """Takes a batch into the metrics."""
        if self.metrics_fns is None:
            return state
        return self.metrics_fns[1](state, labels, batch_output, sample_weight)

    def finalize_metrics(self, state: Any) -> Any:
        """What is reported."""
        return self.metrics_fns[2](state) if self.metrics_fns is not None else OrderedDict()

    def opened(self) -> OpenedModel:
        """The same as builders see it; its rows count as coupled, since its loss is a mean."""
        if self.metrics_fns is None:
            return of_foedus(self._model((number_of_batches(),)))
        model = self._model((self._measured(self.metrics_fns),))
        return OpenedModel(model, lambda statistics: statistics["metrics"][_OWN], self.metrics_fns[2])

    def _model(self, metrics: tuple[Metric, ...]) -> Model:
        start = self.initial_weights
        loss_of = in_jax(lambda predictions, labels: self._loss(predictions, labels))
        runs = {mode: in_jax(self._running(mode is Mode.TRAIN)) for mode in Mode}

        def forward(weights: Any, batch: Any, key: Any, mode: Mode) -> Forward:
            x, y = features_and_labels(batch)
            predictions = runs[mode](tuple(weights), x)
            rows = jax.tree.leaves(x)[0].shape[0]
            loss = loss_of(predictions, y)
            output = BatchOutput(loss, predictions, jnp.int32(rows))
            losses = jnp.broadcast_to(loss, (rows,))
            return Forward(losses, output, y, weights.non_trainable, jnp.zeros((), losses.dtype))

        return Model(
            element_type=self._example,
            weights_type=type_of(start),
            initialize=lambda key: jax.tree.map(jnp.asarray, start),
            forward=forward,
            predict=lambda weights, x: runs[Mode.EVALUATE](tuple(weights), x),
            metrics=metrics,
            coupled=True,
            to_user=lambda weights: weights,
        )

    @staticmethod
    def _measured(functions: MetricsFns) -> Metric:
        initialize, update, _ = functions
        updated = in_jax(lambda state, labels, output: update(state, labels, BatchOutput(*output)))
        zero = jax.tree.map(np.asarray, initialize())

        def accumulate(state: Any, predictions: Any, labels: Any, mask: Any) -> Any:
            return updated(state, labels, tuple(predictions))

        return Metric(_OWN, lambda: jax.tree.map(jnp.asarray, zero), accumulate, lambda state: state)

    def _running(self, training: bool) -> Callable[[Any, Any], Any]:
        return lambda weights, x: self._predict(weights, x, training)


_OWN = "own"
"""What a functional model's metrics are called inside the statistics."""


class KerasFunctionalModel(FunctionalModel):
    """What ``functional_model_from_keras`` gives."""

    def __init__(self, model: KerasVariableModel, loss_fn: Any, metrics: Mapping[str, Any]) -> None:
        keras = model.keras_model

        def predict(weights: Any, x: Any, training: bool) -> Any:
            return keras.stateless_call(*weights, x, training=training)[0]

        super().__init__(
            initial_weights=ModelWeights.from_model(keras),
            predict_on_batch_fn=predict,
            loss_fn=lambda output, label, sample_weight=None: loss_fn(label, output),
            metrics_fns=create_functional_metric_fns(lambda: metrics) if metrics else None,
            input_spec=model.input_spec,
        )
        self._model_of_keras = model
        self._metrics = metrics

    def opened(self) -> OpenedModel:
        """The same as builders see it."""
        opened = self._model_of_keras.opened()
        if not self._metrics:
            return opened
        own = tuple(_renamed(name, metric) for name, metric in self._metrics.items())

        def unfinalized(statistics: Any) -> Any:
            return OrderedDict((metric.name, statistics["metrics"][metric.name]) for metric in own)

        finalizers = OrderedDict((metric.name, Finalizer(metric.report)) for metric in own)
        return OpenedModel(replace(opened.model, metrics=own), unfinalized, finalizers)


def _renamed(name: str, given: Any) -> Metric:
    opened = front_end.open_metric(made_metric(given))
    return Metric(name, opened.zero, opened.accumulate, opened.report)


def functional_model_from_keras(
    keras_model: Any, loss_fn: Any, input_spec: Any, metrics_constructor: Any = None
) -> FunctionalModel:
    """A functional model from a Keras model, which may be built anywhere.

    Args:
        keras_model: A Keras model, or a function that builds one.
        loss_fn: A Keras loss, or a function of labels and predictions.
        input_spec: What specifies a batch: a pair of x and y.
        metrics_constructor: A mapping from names to constructors of Keras metrics, or a function that makes
            a mapping from names to metrics.

    Raises:
        TypeError: If it is no Keras 3 model.
        ValueError: If the specification is none of a batch of x and y.
    """
    keras = front_end.require_keras()
    built = keras_model if isinstance(keras_model, keras.Model) else keras_model()
    model = from_keras_model(built, loss_fn, input_spec)
    assert isinstance(model, KerasVariableModel)
    metrics: Any = metrics_constructor() if callable(metrics_constructor) else metrics_constructor
    return KerasFunctionalModel(model, loss_fn, metrics or {})


def keras_model_from_functional_weights(*, model_weights: Any, keras_model: Any) -> Any:
    """The Keras model with other weights, put into it.

    Args:
        model_weights: The weights.
        keras_model: The model.
    """
    ModelWeights(*model_weights).assign_weights_to(keras_model)
    return keras_model
