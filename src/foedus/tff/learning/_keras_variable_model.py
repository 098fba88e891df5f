# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras models as TFF's models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

from foedus.frontends import keras as front_end
from foedus.frontends.tf_data import is_tracing_tensorflow
from foedus.learning.models import Forward, Mode, Model, from_keras
from foedus.learning.models import ModelWeights as NamedWeights
from foedus.tff.learning._keras_metrics import (
    Counts,
    counted_by,
    finalizer_of,
    made_metric,
    rows_of,
    update_all,
    with_counts,
)
from foedus.tff.learning._opened import (
    OpenedModel,
    example_type,
    features_and_labels,
    number_of_batches,
    number_of_examples,
    of_foedus,
)
from foedus.tff.learning._variable_model import BatchOutput, VariableModel
from foedus.tff.learning._weights import ModelWeights
from foedus.types import Struct


@final
class KerasVariableModel(VariableModel):
    """What ``from_keras_model`` gives."""

    def __init__(self, keras_model: Any, loss: Any, input_spec: Any, metrics: list[Any]) -> None:
        self.keras_model = keras_model
        self._loss = loss
        self._input_spec = input_spec
        self._given = [made_metric(metric) for metric in metrics]
        self._metrics: list[Any] | None = None

    @property
    def trainable_variables(self) -> list[Any]:
        return self.keras_model.trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        return self.keras_model.non_trainable_variables

    @property
    def local_variables(self) -> list[Any]:
        return [variable for metric in self._all_metrics() for variable in metric.variables]

    @property
    def input_spec(self) -> Any:
        return self._input_spec

    def _all_metrics(self) -> list[Any]:
        """The metrics, with those that every Keras model has in TFF."""
        if self._metrics is None:
            self._metrics = with_counts(self._given)
        return self._metrics

    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        x, y = features_and_labels(batch_input)
        predictions = self.predict_on_batch(x, training)
        loss = self._loss(y, predictions)
        update_all(self._all_metrics(), y, predictions, loss)
        return BatchOutput(loss, predictions, rows_of(y))

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        return self.keras_model(x, training=training)

    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        return OrderedDict((m.name, [v.value for v in m.variables]) for m in self._all_metrics())

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], Any]]:
        return OrderedDict((m.name, finalizer_of(m)) for m in self._all_metrics())

    def reset_metrics(self) -> None:
        for metric in self._all_metrics():
            metric.reset_state()

    def opened(self) -> OpenedModel:
        """The same as builders see it, with lists of weights in Keras' order."""
        built = front_end.Built(self.keras_model)
        measured = [_measured(metric, counted_by(metric)) for metric in self._given]
        model = from_keras(
            built,
            example=example_type(self._input_spec),
            loss=self._loss,
            metrics=[metric for metric in measured if metric is not None],
        )
        opened = front_end.open_model(built)
        listed = with_listed_weights(model, opened.trainable, opened.non_trainable)
        return of_foedus(replace(listed, metrics=(*listed.metrics, number_of_batches())))


def _measured(metric: Any, counts: Counts | None) -> Any:
    """The metric for Foedus; None for what is counted anyway."""
    if counts is None:
        return metric
    if metric.name == counts.value:
        return None
    return number_of_batches(metric.name) if counts is Counts.BATCHES else number_of_examples(metric.name)


def with_listed_weights(model: Model, trainable: tuple[str, ...], others: tuple[str, ...]) -> Model:
    """A model with lists of weights instead of weights by name.

    Args:
        model: The model.
        trainable: The names of its trainable weights, in order.
        others: The names of its other weights, in order.
    """

    def named(weights: Any) -> NamedWeights:
        return NamedWeights(
            dict(zip(trainable, weights.trainable, strict=True)),
            dict(zip(others, weights.non_trainable, strict=True)),
        )

    def initialize(key: Any) -> Any:
        made = model.initialize(key)
        return ModelWeights([made.trainable[n] for n in trainable], [made.non_trainable[n] for n in others])

    def forward(weights: Any, batch: Any, key: Any, mode: Mode) -> Forward:
        found = model.forward(named(weights), batch, key, mode)
        return found._replace(non_trainable=[found.non_trainable[name] for name in others])

    assert isinstance(model.weights_type, Struct)
    parts = [dict(t.fields) for _, t in model.weights_type.fields if isinstance(t, Struct)]
    lists = [
        Struct(tuple((None, types[name]) for name in names), list)
        for types, names in zip(parts, (trainable, others), strict=True)
    ]
    return replace(
        model,
        weights_type=Struct((("trainable", lists[0]), ("non_trainable", lists[1])), ModelWeights),
        initialize=initialize,
        forward=forward,
        predict=lambda weights, x: model.predict(named(weights), x),
        to_user=lambda weights: model.to_user(named(weights)),
    )


def from_keras_model(
    keras_model: Any,
    loss: Any,
    input_spec: Any,
    loss_weights: Any = None,
    metrics: Any = None,
) -> VariableModel:
    """A model from a Keras model, to be called inside ``model_fn`` on a model that was built there.

    Args:
        keras_model: A Keras 3 model with its weights made.
        loss: A Keras loss, or a function of labels and predictions.
        input_spec: What specifies a batch, ``dataset.element_spec``: a pair of x and y.
        loss_weights: For several losses, which are not taken.
        metrics: Keras metrics, or their constructors.

    Returns:
        The model.

    Raises:
        TypeError: If it is no Keras 3 model.
        ValueError: If the specification is none of a batch of x and y.
        NotImplementedError: For several losses.
    """
    keras = front_end.require_keras()
    if any(cls.__module__.split(".")[0] == "tf_keras" for cls in type(keras_model).__mro__):
        raise TypeError(
            f"Expected a Keras 3 model, found the Keras 2 model {type(keras_model)}. Build it with the "
            "layers of `keras` or of `tf.keras`, and unset TF_USE_LEGACY_KERAS."
        )
    if not isinstance(keras_model, keras.Model):
        raise TypeError(f"Expected `keras_model` to be a tf.keras.Model, found {type(keras_model)}.")
    foreign = next((layer for layer in keras_model.layers if not isinstance(layer, keras.Layer)), None)
    if foreign is not None:
        raise TypeError(f"Expected layers of Keras 3, found {type(foreign)}.")
    if isinstance(loss, list | tuple | dict) or loss_weights is not None:
        raise NotImplementedError(
            "foedus.tff takes one loss; write several as one function of labels and predictions"
        )
    if not keras_model.built:
        raise ValueError("Expected a Keras model with its weights made: begin it with tf.keras.Input(shape).")
    example_type(input_spec)
    made = KerasVariableModel(keras_model, loss, input_spec, list(metrics or []))
    if is_tracing_tensorflow():
        made.reset_metrics()  # Makes their variables here, not in a loop in which the model is first used.
    return made
