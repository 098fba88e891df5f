# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Functional models as models with variables."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, final

import jax

from foedus.tff.learning._functional_model import FunctionalModel
from foedus.tff.learning._keras_metrics import finalizer_of, rows_of, update_all, with_counts
from foedus.tff.learning._opened import features_and_labels
from foedus.tff.learning._variable_model import BatchOutput, VariableModel


@final
class FunctionalVariableModel(VariableModel):
    """What ``model_from_functional`` gives."""

    def __init__(self, functional_model: FunctionalModel, metrics: list[Any]) -> None:
        from foedus.frontends.tf_variables import variable

        self._functional = functional_model
        trainable, others = functional_model.initial_weights
        self._trainable = jax.tree.map(lambda w: variable(w, trainable=True), trainable)
        self._others = jax.tree.map(variable, others)
        self._metrics = with_counts(metrics)

    @property
    def trainable_variables(self) -> Any:
        return self._trainable

    @property
    def non_trainable_variables(self) -> Any:
        return self._others

    @property
    def local_variables(self) -> list[Any]:
        return [variable for metric in self._metrics for variable in metric.variables]

    @property
    def input_spec(self) -> Any:
        return self._functional.input_spec

    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        x, y = features_and_labels(batch_input)
        predictions = self.predict_on_batch(x, training)
        loss = self._functional.loss(predictions, y)
        update_all(self._metrics, y, predictions, loss)
        return BatchOutput(loss, predictions, rows_of(y))

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        weights = jax.tree.map(lambda v: v.read_value(), (self._trainable, self._others))
        return self._functional.predict_on_batch(weights, x, training)

    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        return OrderedDict((m.name, [v.value for v in m.variables]) for m in self._metrics)

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], Any]]:
        return OrderedDict((m.name, finalizer_of(m)) for m in self._metrics)

    def reset_metrics(self) -> None:
        for metric in self._metrics:
            metric.reset_state()


def model_from_functional(
    functional_model: FunctionalModel, metric_constructors: Sequence[Callable[[], Any]] = ()
) -> VariableModel:
    """A model with variables from a functional one.

    Args:
        functional_model: The model, whose weights are lists or tuples of arrays.
        metric_constructors: What makes metrics of Keras; the loss, examples and batches are measured anyway.
            The functional model's own metrics are not.

    Returns:
        The model.

    Raises:
        TypeError: If it is no functional model.
    """
    if not isinstance(functional_model, FunctionalModel):
        raise TypeError(f"Expected a tff.learning.models.FunctionalModel, found {type(functional_model)}.")
    return FunctionalVariableModel(functional_model, [constructor() for constructor in metric_constructors])
