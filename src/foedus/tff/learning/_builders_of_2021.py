# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The builders of 2021, with the trees of state and metrics that they had."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from foedus.frontends.keras import require_keras
from foedus.lang import federated_eval, federated_map, federated_sum, federated_zip
from foedus.learning import statistics_at_client
from foedus.tff._computations import Computation
from foedus.tff.aggregators import MeanFactory, WeightedAggregationFactory
from foedus.tff.learning._client_work import local_training
from foedus.tff.learning._finalizer import build_apply_optimizer_finalizer
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._model_delta import build_broadcast_process
from foedus.tff.learning._open_model import open_model
from foedus.tff.learning._opened import OpenedModel
from foedus.tff.learning._stages import initial_weights, trainable_type
from foedus.tff.templates import AggregationProcess, IterativeProcess, MeasuredProcess, computation
from foedus.tff.types import view
from foedus.types import SERVER, Type, at_clients, at_server, float32


class ServerState(NamedTuple):
    """The state of a process of 2021.

    Args:
        model: The weights, ``ModelWeights``.
        optimizer_state: The server optimizer's.
        delta_aggregate_state: The aggregation's.
        model_broadcast_state: The broadcast's.
    """

    model: Any
    optimizer_state: Any
    delta_aggregate_state: Any
    model_broadcast_state: Any


def _server_sgd() -> Any:
    return require_keras().optimizers.SGD(learning_rate=1.0)


def build_federated_averaging_process(
    model_fn: Any,
    client_optimizer_fn: Any,
    server_optimizer_fn: Any = _server_sgd,
    *,
    client_weighting: Any = None,
    broadcast_process: MeasuredProcess | None = None,
    aggregation_process: MeasuredProcess | None = None,
    model_update_aggregation_factory: Any = None,
    use_experimental_simulation_loop: bool = False,
) -> IterativeProcess:
    """Federated averaging with the trees of 2021 (McMahan et al., 2017; Reddi et al., 2021).

    Args:
        model_fn: Builds a model anew each time, by ``from_keras_model``.
        client_optimizer_fn: A function that makes an optimizer of Keras, or an optimizer of TFF.
        server_optimizer_fn: The same, for the server; by default plain averaging.
        client_weighting: A ``ClientWeighting``, or a function of a client's own metrics.
        broadcast_process: How weights reach clients.
        aggregation_process: How updates are averaged, made already.
        model_update_aggregation_factory: How updates are averaged; ``MeanFactory()`` if not given.
        use_experimental_simulation_loop: Without a meaning here.

    Returns:
        A process whose ``next`` takes a state and the clients' data sets, and returns the next state and
        metrics ``<broadcast,aggregation,train,stat>``.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If ``model_fn`` returns one model each time.
    """
    opened = open_model(model_fn)
    model = opened.model
    client = optimizer_of(client_optimizer_fn, "client_optimizer_fn")
    server = optimizer_of(server_optimizer_fn, "server_optimizer_fn")
    update = trainable_type(model)
    aggregator = aggregation_process or _aggregation(model_update_aggregation_factory, update)
    broadcast = broadcast_process or build_broadcast_process(view(model.weights_type))
    work = local_training(opened, client, weighting=client_weighting)
    finalizer = build_apply_optimizer_finalizer(server, view(model.weights_type))

    @computation()
    def initialize() -> Any:
        states = (finalizer.initialize(), aggregator.initialize(), broadcast.initialize())
        return federated_zip(ServerState(federated_eval(initial_weights(model), SERVER), *states))

    @computation(initialize.type.result, at_clients(opened.data_type))
    def next_(server_state: Any, federated_dataset: Any) -> Any:
        sent = broadcast.next(server_state.model_broadcast_state, server_state.model)
        done = work.run(work.initialize(), sent.result, federated_dataset)
        weight = (done.result.update_weight,) if aggregator_is_weighted(aggregator) else ()
        mean = aggregator.next(server_state.delta_aggregate_state, done.result.update, *weight)
        new = finalizer.next(server_state.optimizer_state, server_state.model, mean.result)
        state = ServerState(new.result, new.state, mean.state, sent.state)
        return federated_zip(state), federated_zip(
            OrderedDict(
                broadcast=sent.measurements,
                aggregation=mean.measurements,
                train=_measured(opened, done.metrics),
                stat=federated_zip(OrderedDict(num_examples=federated_sum(done.examples))),
            )
        )

    return IterativeProcess(initialize, next_)


def _measured(opened: OpenedModel, unfinalized: Any) -> Any:
    """The metrics as they were in 2021, when counts were no metrics of Keras models."""
    metrics = opened.aggregated(unfinalized)
    if not opened.counts:
        return metrics

    def without_counts(found: Any) -> Any:
        return OrderedDict((name, value) for name, value in found.items() if name not in opened.counts)

    return federated_map(without_counts, metrics)


def _aggregation(factory: Any, update_type: Type) -> AggregationProcess:
    factory = factory or MeanFactory()
    update = view(update_type)
    if isinstance(factory, WeightedAggregationFactory):
        return factory.create(update, view(float32))
    return factory.create(update)


def aggregator_is_weighted(process: MeasuredProcess) -> bool:
    """Whether an aggregation takes a weight after the value."""
    return len(process.next.type_signature.parameter) == 3


def build_federated_evaluation(
    model_fn: Any, broadcast_process: Any = None, use_experimental_simulation_loop: bool = False
) -> Computation:
    """Evaluation of weights on the clients' data.

    Args:
        model_fn: Builds a model anew each time, by ``from_keras_model``.
        broadcast_process: How weights reach clients, without a state.
        use_experimental_simulation_loop: Without a meaning here.

    Returns:
        ``(<server_model_weights=W@SERVER,federated_dataset={D*}@CLIENTS> -> metrics@SERVER)``; the metrics
        are ``<eval,stat>``.
    """
    opened = open_model(model_fn)
    weights_type = opened.model.weights_type
    gather = statistics_at_client(opened.model, batches=None)
    broadcast = broadcast_process or build_broadcast_process(view(weights_type))

    def work(data: Any, weights: Any) -> Any:
        statistics = gather(data, weights)
        return {"metrics": opened.unfinalized(statistics), "examples": statistics["examples"]}

    @computation(at_server(weights_type), at_clients(opened.data_type))
    def server_eval(server_model_weights: Any, federated_dataset: Any) -> Any:
        sent = broadcast.next(broadcast.initialize(), server_model_weights)
        done = federated_map(work, (federated_dataset, sent.result))
        counted = federated_zip(OrderedDict(num_examples=federated_sum(done.examples)))
        return federated_zip(OrderedDict(eval=_measured(opened, done.metrics), stat=counted))

    return server_eval
