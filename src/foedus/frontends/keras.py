# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras 3 on its JAX or TensorFlow backend: models, losses and metrics as pure functions for JAX.

Keras chooses its backend once a process, when it is first imported. Foedus chooses JAX if nobody has chosen
before. On TensorFlow, what Keras does is compiled by TensorFlow for XLA and embedded in programs of JAX; see
``_tensorflow_lowering``.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.errors import ArgumentError, EnvironmentMismatchError, MissingExtraError, place

_BACKENDS = ("jax", "tensorflow")
_SEED = "seed_generator_state"
_NUMBERED = re.compile(r"(.*?)(?:_\d+)?$")


def require_keras() -> ModuleType:
    """Keras on one of the backends that Foedus uses.

    Returns:
        The module ``keras``.

    Raises:
        MissingExtraError: If Keras is not installed.
        EnvironmentMismatchError: If Keras is on, or is told to use, another backend.
    """
    if "keras" not in sys.modules:
        chosen = os.environ.setdefault("KERAS_BACKEND", "jax")
        if chosen not in _BACKENDS:
            raise _wrong_backend(chosen, "the environment variable KERAS_BACKEND")
    try:
        import keras
    except ImportError as error:
        extras = "keras,tensorflow" if os.environ.get("KERAS_BACKEND") == "tensorflow" else "keras"
        raise MissingExtraError(
            "Keras, or the backend that was chosen for it, is not installed",
            found=str(error),
            hint=f'pip install "foedus[{extras}]"',
        ) from error
    if keras.config.backend() not in _BACKENDS:
        raise _wrong_backend(keras.config.backend(), "keras.config.backend()")
    return keras


def _wrong_backend(found: str, where: str) -> EnvironmentMismatchError:
    return EnvironmentMismatchError(
        "Keras is on another backend than JAX or TensorFlow, and it has one for the whole process",
        found=f"{found!r} in {where}",
        expected="'jax' or 'tensorflow'",
        at=place(),
        hint='set os.environ["KERAS_BACKEND"] = "jax" before Keras is imported for the first time',
    )


def _in_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function over the backend's tensors as one over arrays of JAX."""
    if require_keras().config.backend() == "jax":
        return fn
    from foedus.frontends._tensorflow_lowering import in_jax

    return in_jax(fn)


def stable_names(paths: Sequence[str]) -> list[str]:
    """Names of variables that do not depend on how many models were built before.

    Keras numbers layers over the whole process; here they are numbered inside their model.

    Args:
        paths: The variables' paths, such as ``sequential_3/dense_7/kernel``.

    Returns:
        One name a path, such as ``dense/kernel`` and, for a second dense layer, ``dense_1/kernel``.
    """
    renamed: dict[tuple[str, ...], str] = {}
    taken: Counter[str] = Counter()
    names: list[str] = []
    for path in paths:
        parts = path.split("/")
        parts = parts[1:] if len(parts) > 1 else parts
        new: list[str] = []
        for depth, part in enumerate(parts[:-1]):
            key = tuple(parts[: depth + 1])
            if key not in renamed:
                found = _NUMBERED.fullmatch(part)
                base = "/".join([*new, found.group(1) if found else part])
                renamed[key] = base.rsplit("/", 1)[-1] + (f"_{taken[base]}" if taken[base] else "")
                taken[base] += 1
            new.append(renamed[key])
        names.append("/".join([*new, parts[-1]]))
    repeated = Counter(names)
    return [f"{name}#{i}" if repeated[name] > 1 else name for i, name in enumerate(names)]


@final
@dataclass(frozen=True, slots=True, eq=False)
class KerasModel:
    """A built Keras model as pure functions over its weights.

    Args:
        model: The model.
        build: What built it.
        trainable: The names of its trainable variables, in Keras' order.
        non_trainable: The names of its other variables, without the states of its seed generators.
    """

    model: Any
    build: Callable[[], Any]
    trainable: tuple[str, ...]
    non_trainable: tuple[str, ...]
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
        run = self.runs.get(training) or self.runs.setdefault(training, _in_jax(self._stateless(training)))
        predictions, after, losses = run([trainable[name] for name in self.trainable], given, x)
        kept = [new for new, v in zip(after, variables, strict=True) if v.name != _SEED]
        penalty = sum(losses, start=jnp.float32(0))
        return predictions, dict(zip(self.non_trainable, kept, strict=True)), penalty

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


def _built(build: Callable[[], Any]) -> Any:
    keras = require_keras()
    model = build()
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


def open_model(build: Callable[[], Any]) -> KerasModel:
    """Builds a Keras model and makes functions of it.

    Args:
        build: Returns a new model each time, with its weights made.

    Returns:
        The model as functions.

    Raises:
        ArgumentError: If it returns no built Keras model.
        EnvironmentMismatchError: If Keras is on another backend.
    """
    require_keras()
    model = _built(build)
    others = [v for v in model.non_trainable_variables if v.name != _SEED]
    names = stable_names([v.path for v in [*model.trainable_variables, *others]])
    split = len(model.trainable_variables)
    return KerasModel(model, build, tuple(names[:split]), tuple(names[split:]))


def loss_function(loss: Any) -> Callable[[Any, Any], Any]:
    """A Keras loss as a function from predictions and labels to one loss an example.

    Args:
        loss: A ``keras.losses.Loss``, the name of one, or a function of labels and predictions.

    Returns:
        ``(predictions, labels) -> float[rows]``.
    """
    keras = require_keras()
    each = loss
    if isinstance(loss, str):
        each = keras.losses.get(loss)
    if isinstance(each, keras.losses.Loss):
        each = copy.copy(each)
        each.reduction = None

    losses = _in_jax(lambda predictions, labels: each(labels, predictions))

    def rows(predictions: Any, labels: Any) -> Any:
        values = jnp.asarray(losses(predictions, labels))
        return values.reshape(values.shape[0], -1).mean(axis=1) if values.ndim > 1 else values

    return rows


@final
@dataclass(frozen=True, slots=True)
class KerasMetric:
    """A Keras metric as a monoid whose statistics are its variables; they merge by addition.

    Args:
        metric: The metric.
        update: Its statistics, predictions, labels and weights to its statistics after them.
        result: Its statistics to its number.
    """

    metric: Any
    update: Callable[..., Any]
    result: Callable[..., Any]

    def zero(self) -> tuple[Any, ...]:
        """The statistics of no examples."""
        return tuple(jnp.zeros(tuple(v.shape), v.dtype) for v in self.metric.variables)

    def accumulate(self, statistics: Any, predictions: Any, labels: Any, mask: Any) -> tuple[Any, ...]:
        """Takes a batch in; rows where ``mask`` is False count for nothing."""
        return tuple(self.update(list(statistics), predictions, labels, mask.astype(jnp.float32)))

    def report(self, statistics: Any) -> Any:
        """The metric's number."""
        return jnp.asarray(self.result(list(statistics)))


def open_metric(metric: Any) -> KerasMetric:
    """Makes functions of a Keras metric.

    Args:
        metric: A ``keras.metrics.Metric``, or a constructor of one.

    Returns:
        The metric as functions.

    Raises:
        ArgumentError: If it is none, or its variables cannot be merged by adding them.
    """
    keras = require_keras()
    made = metric() if isinstance(metric, type) else metric
    if not isinstance(made, keras.metrics.Metric):
        raise ArgumentError(
            "This is no Keras metric",
            found=repr(metric),
            expected="keras.metrics.Metric",
            at=place("metrics"),
        )
    started = [i for i, v in enumerate(made.variables) if np.any(np.asarray(v.value))]
    if started:
        raise ArgumentError(
            f"The statistics of the metric {made.name!r} do not begin at zero, and so do not add up",
            found=made.variables[started[0]].path,
            at=place("metrics"),
        )

    def update(statistics: Any, predictions: Any, labels: Any, weight: Any) -> Any:
        return made.stateless_update_state(statistics, labels, predictions, sample_weight=weight)

    return KerasMetric(made, _in_jax(update), _in_jax(made.stateless_result))
