# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.algorithms``: learning processes with TFF's trees of state and metrics."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

from foedus.lang import federated_apply, federated_eval, federated_value, federated_zip
from foedus.learning import gather_statistics, gradient_locally, no_statistics
from foedus.learning import report as report_of
from foedus.learning.models import Model
from foedus.process import Process
from foedus.tff._absent import Absent
from foedus.tff._computations import Computation
from foedus.tff.aggregators import MeanFactory, UnweightedMeanFactory, WeightedAggregationFactory
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._stages import (
    ClientWork,
    finalized,
    in_order,
    initial_weights,
    key_of,
    specs_of,
    trainable_type,
    training,
    transformation,
    uphill,
)
from foedus.tff.learning._variable_model import data_type, open_model
from foedus.tff.learning._weighting import ClientWeighting, LoopImplementation
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.learning.metrics import sum_then_finalize
from foedus.tff.learning.optimizers import Optimizer, build_sgdm
from foedus.tff.learning.templates import (
    LearningAlgorithmState,
    LearningProcess,
    LearningProcessOutput,
    build_broadcast_process,
)
from foedus.tff.templates import MeasuredProcess, computation
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
    model: Model,
    input_spec: Any,
    work: ClientWork,
    *,
    server: Optimizer,
    distributor: MeasuredProcess | None,
    aggregator: Any,
    metrics_aggregator: Any,
) -> LearningProcess:
    """A learning process of its four parts."""
    if metrics_aggregator not in (None, sum_then_finalize):
        raise NotImplementedError(
            "foedus.tff adds metrics up over clients and takes no other `metrics_aggregator`"
        )
    update = trainable_type(model)
    is_weighted = isinstance(aggregator, WeightedAggregationFactory)
    mean = aggregator.create(view(update), view(float32)) if is_weighted else aggregator.create(view(update))
    distribute = distributor or build_broadcast_process(view(model.weights_type))
    specs, ordered = specs_of(update), in_order(model)

    @computation()
    def initialize() -> Any:
        weights = federated_eval(initial_weights(model), SERVER)
        started = (distribute.initialize(), federated_value((), SERVER), mean.initialize())
        finalizer = federated_eval(lambda: server.initialize(specs), SERVER)
        return federated_zip(LearningAlgorithmState(weights, *started, finalizer))

    @computation(initialize.type.result, at_clients(data_type(input_spec)))
    def next_(state: Any, client_data: Any) -> Any:
        sent = distribute.next(state.distributor, state.global_model_weights)
        key = federated_apply(key_of, state.global_model_weights)
        done, metrics = work(key, sent.result, client_data)
        averaged = mean.next(state.aggregator, done.update, *((done.weight,) if is_weighted else ()))
        new = finalized(server, state.finalizer, state.global_model_weights, averaged.result)
        measured = OrderedDict(
            distributor=sent.measurements,
            client_work=federated_apply(lambda m: OrderedDict(train=ordered(m)), metrics),
            aggregator=averaged.measurements,
            finalizer=federated_apply(lambda n: OrderedDict(update_non_finite=n), new.rejected),
        )
        after = LearningAlgorithmState(new.weights, sent.state, state.client_work, averaged.state, new.state)
        return LearningProcessOutput(federated_zip(after), federated_zip(measured))

    def get_hparams(state: Any) -> Any:
        return OrderedDict(finalizer=OrderedDict(optimizer=server.get_hparams(state.finalizer)))

    def set_hparams(state: Any, hparams: Any) -> Any:
        return state._replace(
            finalizer=server.set_hparams(state.finalizer, hparams["finalizer"]["optimizer"])
        )

    return LearningProcess(
        initialize,
        next_,
        _get_weights,
        _weights_setter(model),
        get_hparams_fn=get_hparams,
        set_hparams_fn=set_hparams,
    )


def _get_weights(state: Any) -> ModelWeights:
    return state.global_model_weights


def _weights_setter(model: Model) -> Callable[[Any, Any], Any]:
    def set_weights(state: Any, weights: Any) -> Any:
        return state._replace(global_model_weights=ModelWeights(*model.check_weights(weights)))

    return set_weights


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
        metrics_aggregator: ``sum_then_finalize`` or nothing; no other is taken.
        loop_implementation: Without a meaning here.
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
    measure_timing: bool = False,
) -> LearningProcess:
    """As ``build_weighted_fed_avg``, with every client's update counting once.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``UnweightedMeanFactory()`` if not given.
        metrics_aggregator: ``sum_then_finalize`` or nothing; no other is taken.
        loop_implementation: Without a meaning here.
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
        metrics_aggregator: ``sum_then_finalize`` or nothing; no other is taken.
        loop_implementation: Without a meaning here.

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
) -> LearningProcess:
    """As ``build_weighted_fed_prox``, with every client's update counting once.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        proximal_strength: How strongly a client's weights are drawn to where they began.
        client_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        server_optimizer_fn: The same, for the server.
        model_distributor: How weights reach clients.
        model_aggregator: How updates are averaged; ``UnweightedMeanFactory()`` if not given.
        metrics_aggregator: ``sum_then_finalize`` or nothing; no other is taken.
        loop_implementation: Without a meaning here.

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
    model, input_spec = open_model(model_fn)
    local = transformation(client, proximal_strength=strength)
    return _composed(
        model,
        input_spec,
        training(model, local, weighting),
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
) -> LearningProcess:
    """Federated stochastic gradient descent: clients send gradients, the server takes a step.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        server_optimizer_fn: An optimizer of TFF, or a function that makes one of Keras; by default
            ``build_sgdm(0.1)``.
        model_distributor: How weights reach clients.
        model_aggregator: How gradients are averaged; ``MeanFactory()`` if not given.
        metrics_aggregator: ``sum_then_finalize`` or nothing; no other is taken.
        loop_implementation: Without a meaning here.

    Returns:
        The process.
    """
    server = _server_optimizer(server_optimizer_fn, 0.1)
    model, input_spec = open_model(model_fn)
    work: Process = gradient_locally(model, batches=None)
    return _composed(
        model,
        input_spec,
        uphill(work),
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
) -> LearningProcess:
    """Evaluation as a process: the weights stay, and metrics add up over rounds.

    Args:
        model_fn: Builds a model anew each time, or a functional model.
        model_distributor: Not taken; weights reach clients as they are.
        metrics_aggregation_process: Not taken.
        loop_implementation: Without a meaning here.

    Returns:
        The process; its metrics are ``client_work.eval.current_round_metrics`` and
        ``client_work.eval.total_rounds_metrics``.

    Raises:
        NotImplementedError: For what is not taken.
    """
    if model_distributor is not None or metrics_aggregation_process is not None:
        raise NotImplementedError("foedus.tff takes neither a distributor nor an aggregation for evaluation")
    model, input_spec = open_model(model_fn)
    gathered = Computation(gather_statistics(model, batches=None))
    ordered = in_order(model)

    @computation()
    def initialize() -> Any:
        nothing = federated_value((), SERVER)
        weights = federated_eval(initial_weights(model), SERVER)
        total = federated_eval(lambda: no_statistics(model), SERVER)
        return federated_zip(LearningAlgorithmState(weights, nothing, total, nothing, nothing))

    @computation(initialize.type.result, at_clients(data_type(input_spec)))
    def next_(state: Any, client_data: Any) -> Any:
        now = gathered(state.global_model_weights, client_data)
        total = federated_apply(lambda a, b: jax.tree.map(lambda x, y: x + y, a, b), (state.client_work, now))

        def shown(now: Any, total: Any) -> Any:
            current, all_ = (ordered(report_of(model, found)) for found in (now, total))
            found = OrderedDict(current_round_metrics=current, total_rounds_metrics=all_)
            work = OrderedDict(eval=found)
            return OrderedDict(distributor=(), client_work=work, aggregator=(), finalizer=())

        after = LearningAlgorithmState(
            state.global_model_weights, state.distributor, total, state.aggregator, state.finalizer
        )
        return LearningProcessOutput(federated_zip(after), federated_apply(shown, (now, total)))

    return LearningProcess(initialize, next_, _get_weights, _weights_setter(model))


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
