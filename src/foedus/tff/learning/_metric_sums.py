# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics that are added up over clients, and then finalized at the server."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, final

import jax

from foedus.errors import StructureError, place
from foedus.lang import federated_apply, federated_eval, federated_sum, federated_zip
from foedus.tff._computations import Computation, PolymorphicComputation, federated_computation
from foedus.tff.aggregators import SumFactory, UnweightedAggregationFactory
from foedus.tff.learning._opened import Finalizers, finalized
from foedus.tff.learning._stages import specs_of
from foedus.tff.templates import AggregationProcess, MeasuredProcessOutput, computation
from foedus.tff.types import StructType, foedus_type, view
from foedus.types import SERVER, Type, at_clients


def sum_then_finalize(
    metric_finalizers: Finalizers, local_unfinalized_metrics_type: Any = None
) -> Computation | PolymorphicComputation:
    """A computation that adds the clients' metrics up and finalizes the sums.

    Args:
        metric_finalizers: For each metric, a function from its sum to what is reported, in TensorFlow; or one
            function for all of them.
        local_unfinalized_metrics_type: The type of a client's metrics; for any if not given.

    Returns:
        ``({unfinalized}@CLIENTS -> finalized@SERVER)``.

    Raises:
        StructureError: If metrics and finalizers have other names.
    """

    def aggregate(unfinalized_metrics: Any) -> Any:
        return finalized(metric_finalizers, federated_sum(unfinalized_metrics))

    if local_unfinalized_metrics_type is None:
        return federated_computation(aggregate)
    unfinalized = foedus_type(local_unfinalized_metrics_type)
    _check_names(metric_finalizers, unfinalized)
    return computation(at_clients(unfinalized))(aggregate)


def _check_names(finalizers: Finalizers, unfinalized: Type) -> None:
    found = view(unfinalized)
    names = found.fields() if isinstance(found, StructType) else []
    if isinstance(finalizers, Mapping) and sorted(names) != sorted(finalizers):
        raise StructureError(
            "Metrics and their finalizers have other names",
            found=f"metrics {found}",
            expected=f"the names of the finalizers: {', '.join(finalizers)}",
            at=place("metric_finalizers"),
        )


@final
class SumThenFinalizeFactory(UnweightedAggregationFactory):
    """Adds metrics up over clients and over rounds, and finalizes the sums.

    Args:
        metric_finalizers: As for ``sum_then_finalize``.
        initial_unfinalized_metrics: Where the sums over rounds begin; at zero if not given.
        inner_summation_factory: How clients' metrics are added; ``SumFactory()`` if not given.
    """

    def __init__(
        self,
        metric_finalizers: Finalizers,
        initial_unfinalized_metrics: Any = None,
        inner_summation_factory: UnweightedAggregationFactory | None = None,
    ) -> None:
        self._finalizers = metric_finalizers
        self._start = initial_unfinalized_metrics
        self._inner = inner_summation_factory or SumFactory()

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``; its result is the metrics of the round, and of all.

        Raises:
            StructureError: If metrics and finalizers have other names.
        """
        unfinalized = foedus_type(value_type)
        _check_names(self._finalizers, unfinalized)
        inner = self._inner.create(value_type)
        start = self._start

        def zero() -> Any:
            if start is not None:
                return jax.tree.map(jax.numpy.asarray, start)
            return jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), specs_of(unfinalized))

        @computation()
        def initialize() -> Any:
            return federated_zip((inner.initialize(), federated_eval(zero, SERVER)))

        @computation(initialize.type.result, at_clients(unfinalized))
        def next_(state: Any, unfinalized_metrics: Any) -> Any:
            added = inner.next(state[0], unfinalized_metrics)
            total = federated_apply(lambda a, b: jax.tree.map(jax.numpy.add, a, b), (state[1], added.result))
            reported = OrderedDict(
                current_round_metrics=finalized(self._finalizers, added.result),
                total_rounds_metrics=finalized(self._finalizers, total),
            )
            return MeasuredProcessOutput(
                federated_zip((added.state, total)), federated_zip(reported), added.measurements
            )

        return AggregationProcess(initialize, next_)
