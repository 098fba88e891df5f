# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models from pure JAX functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foedus.frontends._compiled_quickly import compiled_quickly
from foedus.learning.metrics import Metric
from foedus.learning.models._coupling import find_coupling
from foedus.learning.models._model import Forward, Mode, Model, ModelWeights, splitter
from foedus.types import to_type, type_of


def from_jax(
    apply: Callable[..., Any],
    *,
    init: Any,
    loss: Callable[[Any, Any], Any],
    example: Any,
    metrics: Sequence[Metric] = (),
    features: str | None = None,
    label: str | None = None,
    coupled: bool | None = None,
) -> Model:
    """A model from pure functions.

    Args:
        apply: ``(weights, features) -> predictions`` on a batch with rows first. It may also take ``key``
            (uint32[2], for dropout) and ``training`` (a Python bool), by these names.
        init: The initial weights, or a function that makes them of a key (uint32[2]); any structure of
            arrays. It is traced with 64-bit types enabled, where JAX's own default for floats is ``float64``:
            say the dtype.
        loss: ``(predictions, labels) -> float[rows]``, one loss an example, such as optax's losses.
        example: The type of one example (``data.element_type``), or whatever ``to_type`` accepts.
        metrics: What is measured beside the loss.
        features: The field of an example with the features, see ``splitter``.
        label: The field with the label.
        coupled: Whether rows of a batch influence each other (batch normalisation). If not given, it is found
            out by changing some rows of a random batch, and by leaving them out.

    Returns:
        The model.

    Raises:
        ArgumentError: If the loss is not one number an example.
        TracingError: If the functions fail on a batch of such examples.
    """
    element = to_type(example)
    split = splitter(element, features, label)
    accepted = inspect.signature(apply).parameters

    def initialize(key: Any) -> ModelWeights:
        made = init(key) if callable(init) else jax.tree.map(jnp.asarray, init)
        return ModelWeights(made, ())

    def call(weights: ModelWeights, x: Any, key: Any, mode: Mode) -> Any:
        offered = {"key": key, "training": mode is Mode.TRAIN}
        return apply(weights.trainable, x, **{k: v for k, v in offered.items() if k in accepted})

    def forward(weights: ModelWeights, batch: Any, key: Any, mode: Mode) -> Forward:
        x, y = split(batch)
        predictions = call(weights, x, key, mode)
        losses = jnp.asarray(loss(predictions, y))
        return Forward(losses, predictions, y, weights.non_trainable, jnp.zeros((), losses.dtype))

    def predict(weights: ModelWeights, x: Any) -> Any:
        with jax.enable_x64(True):
            return call(ModelWeights(*weights), x, jnp.zeros(2, jnp.uint32), Mode.EVALUATE)

    with jax.enable_x64(True):
        weights = jax.eval_shape(initialize, jax.ShapeDtypeStruct((2,), np.uint32))
        found = find_coupling(element, weights, compiled_quickly(initialize), forward, known=coupled)
    return Model(
        element_type=element,
        weights_type=type_of(weights),
        initialize=initialize,
        forward=forward,
        predict=predict,
        metrics=tuple(metrics),
        coupled=found,
        to_user=lambda weights: weights.trainable,
    )
