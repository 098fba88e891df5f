# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.algorithms``: learning processes with TFF's trees of state and metrics."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from foedus.lang import computation as lang_computation
from foedus.lang import federated_eval, federated_map, federated_value, federated_zip
from foedus.tff._absent import Absent
from foedus.tff._computations import Computation
from foedus.tff.aggregators import MeanFactory, UnweightedMeanFactory, WeightedAggregationFactory
from foedus.tff.learning._client_work import LocalWork, evaluation_of, local_gradient, local_training
from foedus.tff.learning._finalizer import build_apply_optimizer_finalizer
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._learning_process import (
    LearningAlgorithmState,
    LearningProcess,
    LearningProcessOutput,
    compose_learning_process,
    weights_setter,
)
from foedus.tff.learning._metric_sums import SumThenFinalizeFactory
from foedus.tff.learning._model_delta import build_broadcast_process, process_of
from foedus.tff.learning._open_model import open_model
from foedus.tff.learning._opened import OpenedModel
from foedus.tff.learning._stages import initial_weights, trainable_type
from foedus.tff.learning._weighting import ClientWeighting, LoopImplementation
from foedus.tff.learning.optimizers import Optimizer, build_sgdm
from foedus.tff.templates import AggregationProcess, MeasuredProcess, computation
from foedus.tff.types import view
from foedus.types import SERVER, at_clients, float32

__all__ = [
    "build_fed_eval",
    "build_fed_kmeans",
    "build_fed_multi_model_eval",
    "build_fed_multi_model_eval_from_processes",
    "build_fed_recon",
    "build_fed_recon_eval",
    "build_fed_sgd",
    "build_mime_lite_with_optimizer_schedule",
    "build_personalization_eval_computation",
    "build_unweighted_fed_avg",
    "build_unweighted_fed_prox",
    "build_unweighted_mime_lite",
    "build_weighted_fed_avg",
    "build_weighted_fed_avg_with_optimizer_schedule",
    "build_weighted_fed_prox",
    "build_weighted_mime_lite",
]

_REDUCE = LoopImplementation.DATASET_REDUCE


def _composed(
    opened: OpenedModel,
    work: LocalWork,
    *,
    server: Optimizer,
    distributor: Any,
    aggregator: Any,
    metrics_aggregator: Any,
) -> LearningProcess:
    """A learning process of its four parts."""
    update = view(trainable_type(opened.model))
    is_weighted = isinstance(aggregator, WeightedAggregationFactory)
    weights_type = view(opened.model.weights_type)
    return compose_learning_process(
        Computation(lang_computation(initial_weights(opened.model))),
        distributor or build_broadcast_process(weights_type),
        process_of(work, opened, metrics_aggregator),
        aggregator.create(update, view(float32)) if is_weighted else aggregator.create(update),
        build_apply_optimizer_finalizer(server, weights_type),
    )


def build_weighted_fed_avg(
    model_fn: Any,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any = None,
    *,
    client_weighting: Any = ClientWeighting.NUM_EXAMPLES,
    model_distributor: MeasuredProcess | None = None,
    model_aggregator: Any = None,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
    measure_timing: bool = False,
) -> LearningProcess:
    """Federated averaging (McMahan et al., 2017; Reddi et al., 2021).

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server; by default ``build_sgdm(1.0)``, plain averaging.
        client_weighting: How much a client's update counts.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``MeanFactory()`` if not given.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.
        measure_timing: Without a meaning here.

    Returns:
        The process.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If ``model_fn`` returns one model each time.
    """
    return _fed_prox(
        model_fn,
        0.0,
        client_optimizer_fn,
        server_optimizer_fn,
        client_weighting,
        model_distributor,
        model_aggregator or MeanFactory(),
        metrics_aggregator,
    )


def build_unweighted_fed_avg(
    model_fn: Any,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any = None,
    *,
    model_distributor: MeasuredProcess | None = None,
    model_aggregator: Any = None,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
    measure_timing: bool = False,
) -> LearningProcess:
    """As ``build_weighted_fed_avg``, with every client's update counting once.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``UnweightedMeanFactory()`` if not given.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.
        measure_timing: Without a meaning here.

    Returns:
        The process.
    """
    return _fed_prox(
        model_fn,
        0.0,
        client_optimizer_fn,
        server_optimizer_fn,
        ClientWeighting.UNIFORM,
        model_distributor,
        model_aggregator or UnweightedMeanFactory(),
        metrics_aggregator,
    )


def build_weighted_fed_prox(
    model_fn: Any,
    proximal_strength: float,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any = None,
    client_weighting: Any = ClientWeighting.NUM_EXAMPLES,
    model_distributor: MeasuredProcess | None = None,
    model_aggregator: Any = None,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> LearningProcess:
    """FedProx (Li et al., "Federated Optimization in Heterogeneous Networks", 2020).

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        proximal_strength: How strongly a client's weights are drawn to where they began.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server.
        client_weighting: How much a client's update counts.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``MeanFactory()`` if not given.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The process.

    Raises:
        ValueError: If the strength is negative.
    """
    return _fed_prox(
        model_fn,
        proximal_strength,
        client_optimizer_fn,
        server_optimizer_fn,
        client_weighting,
        model_distributor,
        model_aggregator or MeanFactory(),
        metrics_aggregator,
    )


def build_unweighted_fed_prox(
    model_fn: Any,
    proximal_strength: float,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any = None,
    model_distributor: MeasuredProcess | None = None,
    model_aggregator: Any = None,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> LearningProcess:
    """As ``build_weighted_fed_prox``, with every client's update counting once.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        proximal_strength: How strongly a client's weights are drawn to where they began.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``UnweightedMeanFactory()`` if not given.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The process.
    """
    return _fed_prox(
        model_fn,
        proximal_strength,
        client_optimizer_fn,
        server_optimizer_fn,
        ClientWeighting.UNIFORM,
        model_distributor,
        model_aggregator or UnweightedMeanFactory(),
        metrics_aggregator,
    )


def _fed_prox(
    model_fn: Any,
    strength: float,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any,
    weighting: Any,
    distributor: MeasuredProcess | None,
    aggregator: Any,
    metrics_aggregator: Any,
) -> LearningProcess:
    if strength < 0:
        raise ValueError(f"Expected `proximal_strength` to be non-negative, found {strength}.")
    client = optimizer_of(client_optimizer_fn, "client_optimizer_fn")
    server = _server_optimizer(server_optimizer_fn, 1.0)
    opened = open_model(model_fn)
    return _composed(
        opened,
        local_training(opened, client, weighting=weighting, proximal_strength=strength),
        server=server,
        distributor=distributor,
        aggregator=aggregator,
        metrics_aggregator=metrics_aggregator,
    )


def _server_optimizer(given: Any, rate: float) -> Optimizer:
    return build_sgdm(rate) if given is None else optimizer_of(given, "server_optimizer_fn")


def build_fed_sgd(
    model_fn: Any,
    server_optimizer_fn: Any = None,
    model_distributor: MeasuredProcess | None = None,
    model_aggregator: Any = None,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> LearningProcess:
    """Federated stochastic gradient descent: clients send gradients, the server takes a step.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        server_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras; by default
            ``build_sgdm(0.1)``.
        model_distributor: How weights reach clients.
        model_aggregator: How gradients are averaged; ``MeanFactory()`` if not given.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The process.
    """
    server = _server_optimizer(server_optimizer_fn, 0.1)
    opened = open_model(model_fn)
    return _composed(
        opened,
        local_gradient(opened),
        server=server,
        distributor=model_distributor,
        aggregator=model_aggregator or MeanFactory(),
        metrics_aggregator=metrics_aggregator,
    )


def build_fed_eval(
    model_fn: Any,
    model_distributor: MeasuredProcess | None = None,
    metrics_aggregation_process: Any = None,
    loop_implementation: LoopImplementation = _REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> LearningProcess:
    """Evaluation as a process: the weights stay, and metrics add up over rounds.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        model_distributor: How weights reach clients.
        metrics_aggregation_process: How metrics are aggregated over clients and rounds;
            ``SumThenFinalizeFactory`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The process; its metrics are ``client_work.eval.current_round_metrics`` and
        ``client_work.eval.total_rounds_metrics``.

    Raises:
        TypeError: For a model without ``metric_finalizers``.
    """
    opened = open_model(model_fn)
    model = opened.model
    distributor = model_distributor or build_broadcast_process(view(model.weights_type))
    gathered = metrics_aggregation_process or _sums_over_rounds(opened)
    evaluate = evaluation_of(opened)

    @computation()
    def initialize() -> Any:
        nothing = federated_value((), SERVER)
        weights = federated_eval(initial_weights(model), SERVER)
        states = (distributor.initialize(), gathered.initialize(), nothing, nothing)
        return federated_zip(LearningAlgorithmState(weights, *states))

    @computation(initialize.type.result, at_clients(opened.data_type))
    def next_(state: Any, client_data: Any) -> Any:
        sent = distributor.next(state.distributor, state.global_model_weights)
        unfinalized = federated_map(evaluate, (client_data, sent.result))
        found = gathered.next(state.client_work, unfinalized)
        nothing = federated_value((), SERVER)
        measured = OrderedDict(
            distributor=sent.measurements,
            client_work=federated_zip(OrderedDict(eval=found.result)),
            aggregator=nothing,
            finalizer=nothing,
        )
        after = LearningAlgorithmState(
            state.global_model_weights, sent.state, found.state, state.aggregator, state.finalizer
        )
        return LearningProcessOutput(federated_zip(after), federated_zip(measured))

    return LearningProcess(
        initialize,
        next_,
        lambda state: state.global_model_weights,
        weights_setter(view(model.weights_type)),
    )


def _sums_over_rounds(opened: OpenedModel) -> AggregationProcess:
    if opened.finalizers is None:
        raise TypeError("Expected a model with metric_finalizers, which metrics of all rounds are made by.")
    return SumThenFinalizeFactory(opened.finalizers).create(view(opened.metrics_type))


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.learning.algorithms.{name}", instead)


_MIME = "Mime Lite is not here yet; use build_weighted_fed_avg"
_RECON = "it left TFF in 2026; partial models are not here yet"
_MANY = "evaluate one model after another with build_fed_eval"
build_fed_kmeans = _absent("build_fed_kmeans", "clustering is not here yet")
build_fed_multi_model_eval = _absent("build_fed_multi_model_eval", _MANY)
build_fed_multi_model_eval_from_processes = _absent("build_fed_multi_model_eval_from_processes", _MANY)
build_fed_recon = _absent("build_fed_recon", _RECON)
build_fed_recon_eval = _absent("build_fed_recon_eval", _RECON)
build_mime_lite_with_optimizer_schedule = _absent("build_mime_lite_with_optimizer_schedule", _MIME)
build_personalization_eval_computation = _absent(
    "build_personalization_eval_computation", "personalization is not here yet"
)
build_unweighted_mime_lite = _absent("build_unweighted_mime_lite", _MIME)
build_weighted_fed_avg_with_optimizer_schedule = _absent(
    "build_weighted_fed_avg_with_optimizer_schedule",
    "use build_weighted_fed_avg with tff.learning.optimizers.schedule_learning_rate",
)
build_weighted_mime_lite = _absent("build_weighted_mime_lite", _MIME)
