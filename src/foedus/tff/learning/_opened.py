# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What builders need of a model of TFF, whatever it is made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp

from foedus.data import Batch, transformed
from foedus.lang import federated_apply, federated_sum, tensorflow
from foedus.learning import no_statistics
from foedus.learning.metrics import Metric
from foedus.learning.models import Model
from foedus.tff.types import foedus_type, view
from foedus.types import Sequence, Struct, Tensor, Type, type_of


@final
@dataclass(frozen=True, slots=True, eq=False)
class Finalizer:
    """A finalizer whose code is that of JAX, beside those of users, which are TensorFlow's.

    Args:
        fn: From added up metrics of one name to what is reported.
    """

    fn: Callable[[Any], Any]

    def __call__(self, values: Any) -> Any:
        return self.fn(values)


Finalizers = Mapping[str, Callable[[Any], Any]] | Callable[[Any], Any]
"""One function for each metric, or one for all of them."""


def finalized(finalizers: Finalizers, unfinalized: Any) -> Any:
    """What is reported of added up metrics at the server, inside a computation.

    Args:
        finalizers: The finalizers, in TensorFlow unless they are ``Finalizer``.
        unfinalized: The metrics, at the server.
    """
    if not isinstance(finalizers, Mapping):
        given = finalizers
        return federated_apply(
            given.fn if isinstance(given, Finalizer) else _in_tensorflow(given), unfinalized
        )
    each = OrderedDict(finalizers)

    def apply(metrics: Any) -> Any:
        return OrderedDict((name, finalize(metrics[name])) for name, finalize in each.items())

    ours = all(isinstance(finalizer, Finalizer) for finalizer in each.values())
    return federated_apply(apply if ours else _in_tensorflow(apply), unfinalized)


def _in_tensorflow(finalize: Callable[[Any], Any]) -> Any:
    def finalize_metrics(metrics: Any) -> Any:
        return finalize(metrics)

    return tensorflow(finalize_metrics)


@final
@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A model as builders see it.

    Args:
        model: The same as a model of Foedus, whose data come in batches.
        unfinalized: From a client's statistics to the metrics that are added up over clients.
        finalizers: What is reported of them; None for models of 2021, which have ``whole``.
        whole: From clients' metrics to reported ones, both placed, where the model says so itself.
        weight: A client's weight by the model's own count of examples; None where that is the rows' number.
        counts: Those metrics that count examples and batches, and that nobody asked for.
    """

    model: Model
    unfinalized: Callable[[Any], Any]
    finalizers: Finalizers | None
    whole: Callable[[Any], Any] | None = None
    weight: Callable[[dict[str, Any]], Any] | None = None
    counts: tuple[str, ...] = ()

    @property
    def data_type(self) -> Sequence:
        """The type of a client's data: batches of any number of rows."""
        return Sequence(transformed(self.model.element_type, Batch(1)))

    @property
    def metrics_type(self) -> Type:
        """The type of a client's metrics before they are finalized."""
        with jax.enable_x64(True):
            return type_of(jax.eval_shape(lambda: self.unfinalized(no_statistics(self.model))))

    def aggregated(self, unfinalized: Any, metrics_aggregator: Callable[..., Any] | None = None) -> Any:
        """The clients' metrics as one, inside a computation.

        Args:
            unfinalized: Each client's metrics.
            metrics_aggregator: From finalizers and a type to a computation; None for plain sums.
        """
        if metrics_aggregator is not None:
            return metrics_aggregator(self.finalizers, view(self.metrics_type))(unfinalized)
        if self.finalizers is None:
            assert self.whole is not None
            return self.whole(unfinalized)
        return finalized(self.finalizers, federated_sum(unfinalized))


def of_foedus(model: Model) -> OpenedModel:
    """A model of Foedus, with the metrics that ``from_keras_model`` has in TFF, and in their order.

    Args:
        model: The model; one that counts batches has the metric ``number_of_batches``.
    """
    own = [metric for metric in model.metrics if metric.name not in _COUNTS]
    counts = [metric for metric in model.metrics if metric.name in _COUNTS]

    def unfinalized(statistics: Any) -> Any:
        found = OrderedDict((metric.name, statistics["metrics"][metric.name]) for metric in own)
        count = statistics["examples"]
        found["loss"] = [statistics["loss"], count.astype(jnp.float32)]
        found["num_examples"] = [count]
        for metric in counts:
            found[metric.name] = [statistics["metrics"][metric.name]]
        return found

    finalizers = OrderedDict((metric.name, Finalizer(metric.report)) for metric in own)
    finalizers["loss"] = Finalizer(lambda loss: loss[0] / jnp.maximum(loss[1], 1))
    for name in ["num_examples", *(metric.name for metric in counts)]:
        finalizers[name] = Finalizer(lambda count: count[0])
    counted = ("num_examples", *(metric.name for metric in counts))
    return OpenedModel(model, unfinalized, finalizers, counts=counted)


_COUNTS = ("num_batches",)


def number_of_batches(name: str = "num_batches") -> Metric:
    """How many batches were gone through."""

    def accumulate(count: Any, predictions: Any, labels: Any, mask: Any) -> Any:
        return count + jnp.any(mask).astype(jnp.int64)

    return Metric(name, lambda: jnp.int64(0), accumulate, lambda count: count)


def number_of_examples(name: str) -> Metric:
    """How many examples were gone through."""

    def accumulate(count: Any, predictions: Any, labels: Any, mask: Any) -> Any:
        return count + jnp.sum(mask).astype(jnp.int64)

    return Metric(name, lambda: jnp.int64(0), accumulate, lambda count: count)


def example_of(input_spec: Any) -> Type:
    """The type of one example of batches that are specified.

    Raises:
        ValueError: If something has no dimension for the batch.
    """
    return _without_rows(foedus_type(input_spec))


def example_type(input_spec: Any) -> Type:
    """As ``example_of``, for a model that takes pairs.

    Raises:
        ValueError: If something has no dimension for the batch, or there is no pair of x and y.
    """
    batch = foedus_type(input_spec)
    names = [name for name, _ in batch.fields] if isinstance(batch, Struct) else None
    if names not in ([None, None], ["x", "y"]):
        raise ValueError(f"Expected `input_spec` to be a pair of x and y, found {view(batch)}.")
    return _without_rows(batch)


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


def features_and_labels(batch: Any) -> tuple[Any, Any]:
    """What a batch is a pair of: ``(x, y)``, or a mapping with these names."""
    return tuple(batch) if isinstance(batch, tuple | list) else (batch["x"], batch["y"])
