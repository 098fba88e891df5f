# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras models as TFF's models, and TFF's models as models of Foedus."""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import Any, NamedTuple, final

import jax.numpy as jnp

from foedus.data import Batch, transformed
from foedus.frontends import keras as front_end
from foedus.learning.metrics import Metric
from foedus.learning.models import Forward, Mode, Model, from_keras
from foedus.learning.models import ModelWeights as NamedWeights
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.types import foedus_type, view
from foedus.types import Sequence, Struct, Tensor, Type


class BatchOutput(NamedTuple):
    """What a model makes of a batch.

    Args:
        loss: The mean loss.
        predictions: The predictions.
        num_examples: How many examples there are.
    """

    loss: Any
    predictions: Any
    num_examples: Any


class VariableModel(abc.ABC):
    """A model that keeps its weights in variables. ``from_keras_model`` makes one.

    One that is written by hand, with ``tf.Variable``, is not taken: write it as a Keras model, or as a
    ``FunctionalModel``.
    """

    @property
    @abc.abstractmethod
    def trainable_variables(self) -> list[Any]:
        """What an optimizer changes."""

    @property
    @abc.abstractmethod
    def non_trainable_variables(self) -> list[Any]:
        """What the model itself changes."""

    @property
    @abc.abstractmethod
    def input_spec(self) -> Any:
        """What specifies a batch."""

    @abc.abstractmethod
    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        """Runs the model on a batch."""

    @abc.abstractmethod
    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        """The model's predictions."""


@final
class KerasVariableModel(VariableModel):
    """What ``from_keras_model`` gives."""

    def __init__(self, keras_model: Any, loss: Any, input_spec: Any, metrics: list[Any]) -> None:
        self.keras_model = keras_model
        self._loss = loss
        self._input_spec = input_spec
        self._metrics = metrics

    @property
    def trainable_variables(self) -> list[Any]:
        return self.keras_model.trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        return self.keras_model.non_trainable_variables

    @property
    def input_spec(self) -> Any:
        return self._input_spec

    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        x, y = batch_input if isinstance(batch_input, tuple | list) else (batch_input["x"], batch_input["y"])
        predictions = self.predict_on_batch(x, training)
        losses = self._loss(y, predictions)
        return BatchOutput(losses, predictions, predictions.shape[0])

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        return self.keras_model(x, training=training)

    def to_foedus(self) -> Model:
        """The same as a model of Foedus, with lists of weights in Keras' order."""
        keras = self.keras_model
        model = from_keras(
            lambda: keras,
            example=example_type(self._input_spec),
            loss=self._loss,
            metrics=self._metrics,
        )
        opened = front_end.open_model(lambda: keras)
        listed = with_listed_weights(model, opened.trainable, opened.non_trainable)
        return replace(listed, metrics=(*listed.metrics, number_of_batches()))


def number_of_batches() -> Metric:
    """How many batches were gone through."""

    def accumulate(count: Any, predictions: Any, labels: Any, mask: Any) -> Any:
        return count + jnp.any(mask).astype(jnp.int64)

    return Metric("num_batches", lambda: jnp.int64(0), accumulate, lambda count: count)


def example_type(input_spec: Any) -> Type:
    """The type of one example of a model whose batches are specified.

    Raises:
        ValueError: If something has no dimension for the batch, or there is no pair of x and y.
    """
    batch = foedus_type(input_spec)
    names = [name for name, _ in batch.fields] if isinstance(batch, Struct) else None
    if names not in ([None, None], ["x", "y"]):
        raise ValueError(f"Expected `input_spec` to be a pair of x and y, found {view(batch)}.")
    return _without_rows(batch)


def data_type(input_spec: Any) -> Sequence:
    """The type of a client's data: batches of any number of rows, as a model's input specifies them."""
    return Sequence(transformed(example_type(input_spec), Batch(1)))


def _without_rows(type_: Type) -> Type:
    match type_:
        case Tensor(dtype, (_, *rest)):
            return Tensor(dtype, tuple(rest))
        case Struct(fields, container):
            return Struct(tuple((name, _without_rows(t)) for name, t in fields), container)
        case Sequence(element):
            return _without_rows(element)
        case _:
            raise ValueError(f"Expected a batch, with rows as its first dimension, found {view(type_)}.")


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
    return KerasVariableModel(keras_model, loss, input_spec, list(metrics or []))


def open_model(model_fn: Any) -> tuple[Model, Any]:
    """The model of Foedus that a builder's argument stands for, and what specifies its batches.

    Args:
        model_fn: A function without arguments that builds a model anew, or a functional model.

    Raises:
        TypeError: If it is none.
        ValueError: If it returns the same Keras model each time.
    """
    functional = getattr(model_fn, "to_foedus", None)
    if functional is not None and not isinstance(model_fn, KerasVariableModel):
        return functional(), model_fn.input_spec
    if not callable(model_fn):
        raise TypeError(
            "Expected `model_fn` to be a function without arguments that returns a "
            f"tff.learning.models.VariableModel, found {type(model_fn)}."
        )
    model: Any = model_fn()
    again: Any = model_fn()
    if not isinstance(model, KerasVariableModel):
        raise _no_model(model)
    if model.keras_model is again.keras_model:
        raise ValueError(
            "Expected `model_fn` to build its Keras model anew in each call, found the same model "
            f"{model.keras_model.name!r} twice. Move the lines that build it into `model_fn`."
        )
    return model.to_foedus(), model.input_spec


def _no_model(found: Any) -> Exception:
    if isinstance(found, VariableModel):
        return NotImplementedError(
            f"foedus.tff does not take {type(found).__name__}, a VariableModel that is written by hand; make "
            "it a Keras model and use tff.learning.models.from_keras_model"
        )
    return TypeError(
        f"Expected `model_fn` to return a tff.learning.models.VariableModel, found {type(found)}."
    )
