# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The builders of 2021, with the trees of state and metrics that they had."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from foedus.frontends.keras import require_keras
from foedus.lang import federated_apply, federated_eval, federated_zip
from foedus.learning import algorithms
from foedus.learning.models import Model
from foedus.tff._computations import Computation
from foedus.tff.aggregators import MeanFactory, WeightedAggregationFactory
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._stages import (
    finalized,
    in_order,
    initial_weights,
    key_of,
    specs_of,
    trainable_type,
    training,
    transformation,
)
from foedus.tff.learning._variable_model import data_type, open_model
from foedus.tff.learning.templates import build_broadcast_process
from foedus.tff.templates import AggregationProcess, IterativeProcess, MeasuredProcess, computation
from foedus.tff.types import view
from foedus.types import SERVER, at_clients, at_server, float32


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
    model, input_spec = open_model(model_fn)
    client = optimizer_of(client_optimizer_fn, "client_optimizer_fn")
    server = optimizer_of(server_optimizer_fn, "server_optimizer_fn")
    aggregator = aggregation_process or _aggregation(model_update_aggregation_factory, model)
    broadcast = broadcast_process or build_broadcast_process(view(model.weights_type))
    work = training(model, transformation(client), client_weighting)
    specs = specs_of(trainable_type(model))

    @computation()
    def initialize() -> Any:
        states = (
            federated_eval(lambda: server.initialize(specs), SERVER),
            aggregator.initialize(),
            broadcast.initialize(),
        )
        return federated_zip(ServerState(federated_eval(initial_weights(model), SERVER), *states))

    @computation(initialize.type.result, at_clients(data_type(input_spec)))
    def next_(server_state: Any, federated_dataset: Any) -> Any:
        sent = broadcast.next(server_state.model_broadcast_state, server_state.model)
        key = federated_apply(key_of, server_state.model)
        done, metrics = work(key, sent.result, federated_dataset)
        weight = (done.weight,) if aggregator_is_weighted(aggregator) else ()
        mean = aggregator.next(server_state.delta_aggregate_state, done.update, *weight)
        new = finalized(server, server_state.optimizer_state, server_state.model, mean.result)
        measured = federated_apply(_train_and_stat(model), metrics)
        state = ServerState(new.weights, new.state, mean.state, sent.state)
        return federated_zip(state), federated_zip(
            OrderedDict(
                broadcast=sent.measurements,
                aggregation=mean.measurements,
                train=measured.train,
                stat=measured.stat,
            )
        )

    return IterativeProcess(initialize, next_)


def _train_and_stat(model: Model) -> Any:
    ordered = in_order(model)

    def split(metrics: Any) -> Any:
        found = ordered(metrics)
        train = OrderedDict((n, v) for n, v in found.items() if n not in ("num_examples", "num_batches"))
        return OrderedDict(train=train, stat=OrderedDict(num_examples=found["num_examples"]))

    return split


def _aggregation(factory: Any, model: Model) -> AggregationProcess:
    factory = factory or MeanFactory()
    update = view(trainable_type(model))
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
        broadcast_process: A way to broadcast, which is not taken.
        use_experimental_simulation_loop: Without a meaning here.

    Returns:
        ``(<server_model_weights=W@SERVER,federated_dataset={D*}@CLIENTS> -> metrics@SERVER)``; the metrics
        are ``<eval,stat>``.
    """
    model, input_spec = open_model(model_fn)
    evaluate = algorithms.fed_eval(model, batches=None)
    split = _train_and_stat(model)

    def renamed(metrics: Any) -> Any:
        found = split(metrics)
        return OrderedDict(eval=found["train"], stat=found["stat"])

    @computation(at_server(model.weights_type), at_clients(data_type(input_spec)))
    def server_eval(server_model_weights: Any, federated_dataset: Any) -> Any:
        return federated_apply(renamed, evaluate(server_model_weights, federated_dataset))

    return server_eval
