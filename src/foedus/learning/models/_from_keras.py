# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models and optimizers from Keras, on its JAX or TensorFlow backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from foedus.errors import UnsupportedError, place
from foedus.foreign import Way
from foedus.learning.metrics import Metric
from foedus.learning.models._coupling import find_coupling, in_containers, random_batch
from foedus.learning.models._model import Forward, Mode, Model, ModelWeights, NonTrainable, Splitter, splitter
from foedus.types import Type, to_type, type_of


def from_keras(
    build: Callable[[], Any],
    *,
    example: Any,
    loss: Any,
    metrics: Sequence[Any] = (),
    features: str | None = None,
    label: str | None = None,
    coupled: bool | None = None,
    way: Way | None = None,
    non_trainable: NonTrainable = NonTrainable.KEEP_SERVERS,
) -> Model:
    """A model from a Keras model; needs the extra ``keras``, and ``tensorflow`` if Keras is on TensorFlow.

    The weights that the model was built with are the initial ones. Weights that the model changes itself (the
    averages of batch normalisation) are used and changed at clients; ``non_trainable`` says what becomes of
    that: it is forgotten, averaged, or kept by each client for its own next round.

    On TensorFlow, the model, its loss and its metrics are lowered to XLA with the rest of the round where
    TensorFlow can do that, gradients included; what it cannot lower, TensorFlow runs natively, called back by
    the compiled round. ``foedus.explain`` says which, and why. Both runtimes run it the same way, for it is a
    part of the code that trains it. Code that runs natively cannot be written to bytes.

    Args:
        build: Returns a new, built Keras model each time it is called.
        example: The type of one example (``data.element_type``), or whatever ``to_type`` accepts.
        loss: A Keras loss or its constructor, the name of one, or a function of labels and predictions.
        metrics: Keras metrics or their constructors, or metrics of ``foedus.learning.metrics``.
        features: The field of an example with the features; if not given, all but the label.
        label: The field with the label; if not given, ``label``, ``labels`` or ``y``.
        coupled: Whether rows of a batch influence each other (batch normalisation). If not given, it is found
            out by changing some rows of a random batch, and by leaving them out.
        way: Which way TensorFlow code is to run; None for the one that suits.
        non_trainable: What becomes of the weights that the model changes itself.

    Returns:
        The model; ``to_user`` gives a new Keras model with given weights.

    Raises:
        EnvironmentMismatchError: If Keras is on another backend than JAX or TensorFlow.
        ArgumentError: If ``build`` returns no built Keras model, or one that shares something with what is
            outside of it; if the loss is not one number an example; if a metric cannot be measured here, or
            does not add up over clients; if a way is given and Keras is on JAX.
        TracingError: If it is told to be lowered, and cannot be.
        UnsupportedError: If weights are to be averaged that are no real numbers.
    """
    from foedus.frontends import keras as front_end

    front_end.require_keras()
    front_end.require_way(way)
    element = to_type(example)
    split = splitter(element, features, label)
    opened = front_end.open_model(build, way=way)
    loss_of = front_end.loss_function(loss, way=way)
    start = ModelWeights(*opened.weights())
    if non_trainable is NonTrainable.AVERAGE:
        _require_real(start.non_trainable)

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
        found = find_coupling(element, start, lambda key: start, forward, known=coupled)
        sample = _sample(element, split, partial(forward, start))
        front_end.require_closed(opened.model, sample[0])
        measured = tuple(_metric(metric, way, sample[1:]) for metric in metrics)
    return Model(
        element_type=element,
        weights_type=type_of(start),
        initialize=initialize,
        forward=forward,
        predict=predict,
        metrics=measured,
        coupled=found,
        to_user=lambda weights: opened.with_weights(*weights),
        non_trainable=non_trainable,
    )


def _require_real(weights: dict[str, Any]) -> None:
    for name, weight in weights.items():
        if not np.issubdtype(weight.dtype, np.floating):
            raise UnsupportedError(
                f"The weight {name!r} cannot be averaged",
                found=f"{weight.dtype}{list(weight.shape)}",
                expected="real numbers",
                at=place("non_trainable"),
                hint="NonTrainable.KEEP_SERVERS leaves it as it is at the server",
            )


def _sample(element: Type, split: Splitter, forward: Callable[..., Forward]) -> tuple[Any, Any, Any]:
    """Features of a small random batch, predictions of their shape between zero and one, and labels."""
    batch = in_containers(random_batch(element, 0), element)
    key = np.zeros(2, np.uint32)
    shapes = jax.eval_shape(lambda given: forward(given, key, Mode.EVALUATE), batch).predictions
    generator = np.random.default_rng(0)

    def drawn(shape: Any) -> Any:
        return generator.uniform(0.05, 0.95, shape.shape).astype(shape.dtype)

    x, y = split(batch)
    return x, jax.tree.map(drawn, shapes), y


def _metric(metric: Any, way: Way | None, sample: tuple[Any, Any]) -> Metric:
    if isinstance(metric, Metric):
        return metric
    from foedus.frontends import keras as front_end

    opened = front_end.open_metric(metric, way=way, sample=sample)
    return Metric(opened.metric.name, opened.zero, opened.accumulate, opened.report)


def optimizer_from_keras(optimizer: Any, *, way: Way | None = None) -> optax.GradientTransformation:
    """An optimizer of Keras as one of optax, for clients or the server.

    Its variables are the state, such as slots and the number of steps; schedules of the learning rate, weight
    decay, clipping and moving averages are those of Keras.

    Args:
        optimizer: A Keras optimizer, a constructor of one, or its name; it is copied.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.

    Returns:
        The optimizer.

    Raises:
        EnvironmentMismatchError: If Keras is on another backend than JAX or TensorFlow.
        ArgumentError: If it is none, or takes a step only together with Keras' own training loop; if a way is
            given and Keras is on JAX.

    Example:
        >>> import keras
        >>> optimizer_from_keras(keras.optimizers.Adam(0.01)).init([1.0])[0].item()
        0
    """
    from foedus.frontends import keras as front_end

    front_end.require_keras()
    front_end.require_way(way)
    opened = front_end.open_optimizer(optimizer, way=way)

    def init(params: Any) -> Any:
        return opened.init(params)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        new, after = opened.step(state, updates, params)
        return jax.tree.map(jnp.subtract, new, params), after

    return optax.GradientTransformation(init, update)
