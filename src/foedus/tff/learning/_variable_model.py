# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models that keep their weights and their metrics in variables of TensorFlow."""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple


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
    """A model that keeps its weights and its metrics in variables.

    ``from_keras_model`` makes one; one that is written by hand keeps them in ``tf.Variable``. What is written
    by hand also reports metrics: ``report_local_unfinalized_metrics``, ``metric_finalizers`` and
    ``reset_metrics``, or those of 2021, ``report_local_outputs`` and ``federated_output_computation``.
    """

    @property
    @abc.abstractmethod
    def trainable_variables(self) -> Any:
        """What an optimizer changes."""

    @property
    @abc.abstractmethod
    def non_trainable_variables(self) -> Any:
        """What the model itself changes."""

    @property
    def local_variables(self) -> Any:
        """What stays at a client: the variables of metrics."""
        return []

    @property
    @abc.abstractmethod
    def input_spec(self) -> Any:
        """What specifies a batch."""

    @abc.abstractmethod
    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        """Runs the model on a batch, and takes it into the metrics.

        Args:
            batch_input: The batch, as ``input_spec`` says.
            training: Whether the model is trained.
        """

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        """The model's predictions.

        Args:
            x: The features of a batch.
            training: Whether the model is trained.
        """
        raise NotImplementedError(f"{type(self).__name__} has no predict_on_batch.")

    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        """The metrics so far, as what adds up over clients."""
        raise NotImplementedError(f"{type(self).__name__} has no report_local_unfinalized_metrics.")

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], Any]]:
        """For each metric, a function from what was added up to what is reported."""
        raise NotImplementedError(f"{type(self).__name__} has no metric_finalizers.")

    def reset_metrics(self) -> None:
        """Begins the metrics anew."""
        raise NotImplementedError(f"{type(self).__name__} has no reset_metrics.")
