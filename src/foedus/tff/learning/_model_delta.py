# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Client works that train a model, and the distributor that sends its weights as they are."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from foedus.lang import federated_zip
from foedus.learning import broadcast_weights
from foedus.tff._computations import Computation
from foedus.tff.learning._client_work import LocalWork, local_training
from foedus.tff.learning._functional_model import FunctionalModel
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._open_model import open_model
from foedus.tff.learning._opened import OpenedModel
from foedus.tff.learning._parts import ClientWorkProcess, DistributionProcess
from foedus.tff.learning._weighting import ClientWeighting, LoopImplementation
from foedus.tff.templates import MeasuredProcessOutput, computation
from foedus.tff.types import foedus_type
from foedus.types import at_clients


def build_broadcast_process(value_type: Any) -> DistributionProcess:
    """The server's value to every client as it is.

    Args:
        value_type: The type of the value.
    """
    ours = broadcast_weights(foedus_type(value_type))
    return DistributionProcess(Computation(ours.initialize), Computation(ours.next))


def process_of(work: LocalWork, opened: OpenedModel, metrics_aggregator: Any) -> ClientWorkProcess:
    """A client work as a process that measures ``train``.

    Args:
        work: The client work.
        opened: The model.
        metrics_aggregator: From finalizers and a type to a computation; None for plain sums.
    """
    if metrics_aggregator is not None and not callable(metrics_aggregator):
        raise TypeError(
            "Expected `metrics_aggregator` to be a function of finalizers and a type, found "
            f"{metrics_aggregator!r}."
        )
    types = at_clients(opened.model.weights_type), at_clients(opened.data_type)

    @computation(work.initialize.type.result, *types)
    def next_(state: Any, weights: Any, client_data: Any) -> Any:
        done = work.run(state, weights, client_data)
        metrics = opened.aggregated(done.metrics, metrics_aggregator)
        return MeasuredProcessOutput(state, done.result, federated_zip(OrderedDict(train=metrics)))

    return ClientWorkProcess(
        work.initialize, next_, get_hparams_fn=work.get_hparams, set_hparams_fn=work.set_hparams
    )


def build_model_delta_client_work(
    model_fn: Any,
    optimizer: Any,
    client_weighting: Any = ClientWeighting.NUM_EXAMPLES,
    metrics_aggregator: Any = None,
    *,
    loop_implementation: LoopImplementation = LoopImplementation.DATASET_REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> ClientWorkProcess:
    """The client work of federated averaging (McMahan et al., 2017, algorithm 1): training on own data.

    An update that is not finite counts for nothing, and neither do that client's metrics.

    Args:
        model_fn: Builds a model anew each time.
        optimizer: An optimizer of TFF, or a function that makes one of Keras; its state begins anew in every
            round, and its hyperparameters are the state of the client work.
        client_weighting: How much a client's update counts.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The client work, which measures ``train``.

    Raises:
        TypeError: If an argument is of another kind.
    """
    opened = open_model(model_fn)
    local = local_training(opened, optimizer_of(optimizer, "optimizer"), weighting=client_weighting)
    return process_of(local, opened, metrics_aggregator)


def build_functional_model_delta_client_work(
    *,
    model: FunctionalModel,
    optimizer: Any,
    client_weighting: Any = ClientWeighting.NUM_EXAMPLES,
    metrics_aggregator: Any = None,
    loop_implementation: LoopImplementation = LoopImplementation.DATASET_REDUCE,
    use_experimental_simulation_loop: bool = False,
) -> ClientWorkProcess:
    """As ``build_model_delta_client_work``, for a functional model.

    Args:
        model: The model.
        optimizer: An optimizer of TFF, or a function that makes one of Keras.
        client_weighting: How much a client's update counts.
        metrics_aggregator: From finalizers and a type to a computation; ``sum_then_finalize`` if not given.
        loop_implementation: Without a meaning here.
        use_experimental_simulation_loop: Its earlier name; without a meaning here either.

    Returns:
        The client work.

    Raises:
        TypeError: If it is no functional model.
    """
    if not isinstance(model, FunctionalModel):
        raise TypeError(f"Expected a tff.learning.models.FunctionalModel, found {type(model)}.")
    return build_model_delta_client_work(model, optimizer, client_weighting, metrics_aggregator)
