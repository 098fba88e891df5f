# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What clients do with a model, as TFF's client work: an update that points uphill, a weight, and metrics."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from foedus.lang import federated_broadcast, federated_eval, federated_key, federated_map, federated_value
from foedus.learning import AtClient, gradient_at_client, statistics_at_client, training_at_client
from foedus.tff._computations import Computation
from foedus.tff.learning._opened import OpenedModel
from foedus.tff.learning._stages import digest_of, specs_of, trainable_type, transformation
from foedus.tff.learning._weighting import ClientWeighting, weighting_of
from foedus.tff.learning.optimizers import Optimizer
from foedus.tff.templates import computation
from foedus.types import EMPTY, SERVER, Type, at_server


class ClientResult(NamedTuple):
    """What a client sends.

    Args:
        update: The weights that it got less those that it trained, in the structure of the trainable weights.
        update_weight: How much that counts.
    """

    update: Any
    update_weight: Any


class Done(NamedTuple):
    """What all clients have done.

    Args:
        result: ``{ClientResult}@CLIENTS``.
        metrics: Each client's metrics, before they are finalized.
        examples: How many examples each had.
    """

    result: Any
    metrics: Any
    examples: Any


class LocalWork(NamedTuple):
    """A client work.

    Args:
        initialize: ``( -> hyperparameters@SERVER)``.
        run: From these, the clients' weights and data to ``Done``, inside a computation.
        get_hparams: From a state to its hyperparameters.
        set_hparams: From a state and hyperparameters to a state.
    """

    initialize: Computation
    run: Callable[[Any, Any, Any], Done]
    get_hparams: Callable[[Any], Any]
    set_hparams: Callable[[Any, Any], Any]


def local_training(
    opened: OpenedModel, optimizer: Optimizer, *, weighting: Any, proximal_strength: float = 0.0
) -> LocalWork:
    """The client work of federated averaging.

    Args:
        opened: The model.
        optimizer: The clients' optimizer, whose hyperparameters are the state.
        weighting: A weighting of TFF.
        proximal_strength: How strongly weights are drawn to where they began.
    """
    specs = specs_of(trainable_type(opened.model))
    by_examples = weighting in (None, ClientWeighting.NUM_EXAMPLES)
    counts = opened.weight if by_examples and opened.weight is not None else weighting_of(weighting)

    @computation()
    def initialize() -> Any:
        return federated_eval(lambda: optimizer.get_hparams(optimizer.initialize(specs)), SERVER)

    def training(hparams: Any) -> AtClient:
        local = transformation(optimizer, hparams, proximal_strength=proximal_strength)
        return training_at_client(opened.model, local, batches=None, weighting=counts)

    def set_hparams(state: Any, hparams: Any) -> Any:
        return OrderedDict(state) | OrderedDict(hparams)

    return LocalWork(
        initialize, _at_clients(opened, training, initialize.type.result), lambda state: state, set_hparams
    )


def local_gradient(opened: OpenedModel) -> LocalWork:
    """The client work of federated stochastic gradient descent."""

    @computation()
    def initialize() -> Any:
        return federated_value((), SERVER)

    run = _at_clients(opened, lambda _: gradient_at_client(opened.model, batches=None), at_server(EMPTY))
    return LocalWork(initialize, run, lambda state: OrderedDict(), lambda state, hparams: state)


def evaluation_of(opened: OpenedModel) -> Callable[[Any, Any], Any]:
    """What a client does to evaluate: from its data and weights to its metrics before they are finalized."""
    gather = statistics_at_client(opened.model, batches=None)
    return lambda data, weights: opened.unfinalized(gather(data, weights))


def _at_clients(
    opened: OpenedModel, work_with: Callable[[Any], AtClient], state_type: Type
) -> Callable[[Any, Any, Any], Done]:
    def at_one(data: Any, weights: Any, key: Any, hparams: Any) -> Any:
        own = jax.random.fold_in(jnp.asarray(key, jnp.uint32), digest_of(weights))
        done = work_with(hparams)(data, weights, own)
        return {
            "result": ClientResult(jax.tree.map(jnp.negative, done.update), done.weight),
            "metrics": opened.unfinalized(done.statistics),
            "examples": done.statistics["examples"],
        }

    def run(state: Any, weights: Any, data: Any) -> Done:
        key = federated_key(federated_value(jnp.zeros(2, jnp.uint32), SERVER), "client work")
        if state_type == at_server(EMPTY):
            done = federated_map(lambda d, w, k: at_one(d, w, k, ()), (data, weights, key))
        else:
            done = federated_map(at_one, (data, weights, key, federated_broadcast(state)))
        return Done(done.result, done.metrics, done.examples)

    return run
