# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras 3 on its JAX or TensorFlow backend: models, losses, metrics and optimizers as pure functions for JAX.

Keras chooses its backend once a process, when it is first imported. Foedus chooses JAX if nobody has chosen
before. On TensorFlow, what Keras does is called by programs of JAX, lowered to XLA or natively; see
``_tensorflow_embedding``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.errors import ArgumentError, place
from foedus.foreign import Way
from foedus.frontends._authorship import name_of
from foedus.frontends._keras_backend import in_jax, require_keras, require_way
from foedus.frontends._keras_building import build_model
from foedus.frontends._keras_metrics import KerasMetric, open_metric
from foedus.frontends._keras_names import stable_names
from foedus.frontends._keras_optimizers import KerasOptimizer, open_optimizer
from foedus.frontends._keras_state import require_closed, require_own_variables

__all__ = [
    "Built",
    "KerasMetric",
    "KerasModel",
    "KerasOptimizer",
    "loss_function",
    "open_metric",
    "open_model",
    "open_optimizer",
    "require_closed",
    "require_keras",
    "require_way",
    "stable_names",
]

_SEED = "seed_generator_state"


@final
@dataclass(frozen=True, slots=True, eq=False)
class KerasModel:
    """A built Keras model as pure functions over its weights.

    Args:
        model: The model.
        build: What built it.
        trainable: The names of its trainable variables, in Keras' order.
        non_trainable: The names of its other variables, without the states of its seed generators.
        way: Which way it is to run, if it is on TensorFlow; None for the one that suits.
    """

    model: Any
    build: Callable[[], Any]
    trainable: tuple[str, ...]
    non_trainable: tuple[str, ...]
    way: Way | None = None
    runs: dict[bool, Callable[..., Any]] = field(default_factory=dict, repr=False)
    """The model's own call, as a function over arrays of JAX, by whether it trains."""

    def weights(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Copies of the trainable and the other weights the model has now, by name."""
        others = [v for v in self.model.non_trainable_variables if v.name != _SEED]
        return (
            {
                n: np.array(v.value)
                for n, v in zip(self.trainable, self.model.trainable_variables, strict=True)
            },
            {n: np.array(v.value) for n, v in zip(self.non_trainable, others, strict=True)},
        )

    def call(
        self, trainable: dict[str, Any], non_trainable: dict[str, Any], x: Any, key: Any, *, training: bool
    ) -> tuple[Any, dict[str, Any], Any]:
        """Runs the model on a batch.

        Args:
            trainable: The trainable weights by name.
            non_trainable: The other weights by name.
            x: The features, rows first.
            key: uint32[2], for the model's seed generators.
            training: Whether it is trained.

        Returns:
            The predictions, the other weights after the batch, and the sum of the model's own losses.
        """
        supply = iter(non_trainable[name] for name in self.non_trainable)
        variables = self.model.non_trainable_variables
        given = [_seed(key, i, v) if v.name == _SEED else next(supply) for i, v in enumerate(variables)]
        run = self.runs.get(training) or self.runs.setdefault(training, self._run(training))
        predictions, after, losses = run([trainable[name] for name in self.trainable], given, x)
        kept = [new for new, v in zip(after, variables, strict=True) if v.name != _SEED]
        penalty = sum(losses, start=jnp.float32(0))
        return predictions, dict(zip(self.non_trainable, kept, strict=True)), penalty

    def _run(self, training: bool) -> Callable[..., Any]:
        return in_jax(self._stateless(training), self.model.name, way=self.way, written_as=self.build)

    def _stateless(self, training: bool) -> Callable[..., Any]:
        """The model as a function of its variables and a batch."""
        # A model whose `call` has no such argument refuses it; Keras keeps what it found out about that.
        told = {"training": training} if getattr(self.model, "_call_has_training_arg", True) else {}

        def stateless(trainable: list[Any], others: list[Any], x: Any) -> Any:
            return self.model.stateless_call(trainable, others, x, return_losses=True, **told)

        return stateless

    def with_weights(self, trainable: dict[str, Any], non_trainable: dict[str, Any]) -> Any:
        """A new Keras model with these weights."""
        model = _built(self.build)
        for name, variable in zip(self.trainable, model.trainable_variables, strict=True):
            variable.assign(np.asarray(trainable[name]))
        others = [v for v in model.non_trainable_variables if v.name != _SEED]
        for name, variable in zip(self.non_trainable, others, strict=True):
            variable.assign(np.asarray(non_trainable[name]))
        return model


def _seed(key: Any, number: int, variable: Any) -> Any:
    """The state of a model's seed generator, in the dtype that its backend has for that."""
    return jax.random.fold_in(key, number).astype(variable.dtype)


@final
class Built:
    """Stands for a function that builds a model where there is one model only, as programs for TFF have it.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self) -> Any:
        """The model."""
        return self._model


def _built(build: Callable[[], Any]) -> Any:
    keras = require_keras()
    model = build_model(build)
    if not isinstance(model, keras.Model):
        raise ArgumentError(
            "build does not return a Keras model",
            found=type(model).__name__,
            expected="keras.Model",
            at=place(),
        )
    if not model.built:
        raise ArgumentError(
            "The Keras model has no weights yet, for it does not know the shape of its input",
            found=f"{type(model).__name__} {model.name!r}, not built",
            at=place(),
            hint="begin it with keras.Input(shape), or call it once on a batch before returning it",
        )
    return model


def open_model(build: Callable[[], Any], *, way: Way | None = None) -> KerasModel:
    """Builds a Keras model and makes functions of it.

    Args:
        build: Returns a new model each time, with its weights made; it is called twice to see that.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.

    Returns:
        The model as functions.

    Raises:
        ArgumentError: If it returns no built Keras model, or models that share something.
        EnvironmentMismatchError: If Keras is on another backend.
    """
    require_keras()
    model = _built(build)
    if not isinstance(build, Built):
        require_own_variables(name_of(build), model, _built(build))
    others = [v for v in model.non_trainable_variables if v.name != _SEED]
    names = stable_names([v.path for v in [*model.trainable_variables, *others]])
    split = len(model.trainable_variables)
    return KerasModel(model, build, tuple(names[:split]), tuple(names[split:]), way)


def _unreduced(loss: Any) -> Any:
    """A loss that gives one number an example."""
    twin = object.__new__(type(loss))  # Keras copies by saving and loading, for which it imports TensorFlow.
    vars(twin).update(vars(loss), reduction=None)
    return twin


def loss_function(loss: Any, *, way: Way | None = None) -> Callable[[Any, Any], Any]:
    """A Keras loss as a function from predictions and labels to one loss an example.

    Args:
        loss: A ``keras.losses.Loss``, a constructor of one, the name of one, or a function of labels and
            predictions.
        way: Which way it is to run, if Keras is on TensorFlow; None for the one that suits.

    Returns:
        ``(predictions, labels) -> float[rows]``.
    """
    keras = require_keras()
    each = loss
    if isinstance(loss, str):
        each = keras.losses.get(loss)
    if isinstance(each, type) and issubclass(each, keras.losses.Loss):
        each = each()
    if isinstance(each, keras.losses.Loss):
        each = _unreduced(each)

    name = each.name if isinstance(each, keras.losses.Loss) else name_of(each)
    written = type(each) if isinstance(each, keras.losses.Loss) else each
    losses = in_jax(lambda predictions, labels: each(labels, predictions), name, way=way, written_as=written)

    def rows(predictions: Any, labels: Any) -> Any:
        values = jnp.asarray(losses(predictions, labels))
        return values.reshape(values.shape[0], -1).mean(axis=1) if values.ndim > 1 else values

    return rows
