# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What clients gather of a model without training it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from foedus.lang import Computation, computation, federated_map, federated_sum
from foedus.learning._batches import Batches
from foedus.learning._local_weights import at_client, keeps_local
from foedus.learning._stages import (
    AtClient,
    ClientUpdate,
    all_finite,
    broadcast_weights,
    client_type,
    client_work,
    fold_batches,
    keep_if,
    update_if,
)
from foedus.learning._statistics import EXAMPLES, cast_like, gather, no_statistics
from foedus.learning.models import Mode, Model, ModelWeights
from foedus.process import Process
from foedus.types import at_clients, at_server


def gather_statistics(
    model: Model, *, batches: Batches | None, distributor: Process | None = None
) -> Computation:
    """The statistics of a model over the examples of all clients; they add up over rounds, metrics do not.

    Args:
        model: The model.
        batches: How clients go through their examples; None if their data are batches already.
        distributor: How the weights reach clients; as they are if not given.

    Returns:
        ``(<weights=W@SERVER,clients={D*}@CLIENTS> -> statistics@SERVER)``, of which ``report`` makes metrics.
    """
    distributor = distributor or broadcast_weights(model.weights_type)
    work = statistics_at_client(model, batches=batches)

    @computation(at_server(model.weights_type), at_clients(client_type(model, batches)))
    def statistics_of_clients(weights: Any, clients: Any) -> Any:
        sent = distributor.next(distributor.initialize(), weights)
        return federated_sum(federated_map(work, (clients, sent.result)))

    return statistics_of_clients


def statistics_at_client(model: Model, *, batches: Batches | None) -> Callable[[Any, Any], Any]:
    """What one client does in ``gather_statistics``.

    Args:
        model: The model.
        batches: How it goes through its examples; None if its data are batches already.

    Returns:
        ``(client, weights) -> statistics``.
    """

    def work(client: Any, sent: Any) -> Any:
        data, weights = at_client(model, client, sent)
        no_noise = jnp.zeros(2, jnp.uint32)

        def step(statistics: Any, batch: Any, mask: Any) -> Any:
            return gather(model, statistics, model.forward(weights, batch, no_noise, Mode.EVALUATE), mask)

        walked = data if batches is None else batches.of(data, no_noise)
        return fold_batches(model, walked, step, no_statistics(model))

    return work


def gradient_at_client(model: Model, *, batches: Batches | None) -> AtClient:
    """What one client does in ``gradient_locally``.

    Args:
        model: The model.
        batches: How it goes through its examples; None if its data are batches already.

    Returns:
        ``(client, weights, key) -> ClientUpdate``.
    """

    def work(client: Any, sent: Any, key: Any) -> ClientUpdate:
        data, weights = at_client(model, client, sent)
        order, noise = jax.random.split(jnp.asarray(key, jnp.uint32))
        walked = data if batches is None else batches.of(data, order)

        def step(now: Any, batch: Any, mask: Any) -> Any:
            total, statistics, steps, others = now

            def loss_of(trainable: Any) -> tuple[Any, Any]:
                given = ModelWeights(trainable, others)
                outcome = model.forward(given, batch, jax.random.fold_in(noise, steps), Mode.TRAIN)
                rows = jnp.sum(mask).astype(outcome.losses.dtype)
                return jnp.sum(jnp.where(mask, outcome.losses, 0)) + rows * outcome.penalty, outcome

            gradients, outcome = jax.grad(loss_of, has_aux=True)(weights.trainable)
            new = jax.tree.map(jnp.subtract, total, gradients)
            others = outcome.non_trainable if keeps_local(model) else others
            return cast_like(now, (new, gather(model, statistics, outcome, mask), steps + 1, others))

        nothing = jax.tree.map(jnp.zeros_like, weights.trainable)
        start = (nothing, no_statistics(model), jnp.int32(0), weights.non_trainable)
        total, statistics, _, others = fold_batches(model, walked, step, start)
        count = statistics[EXAMPLES]
        mean = jax.tree.map(lambda t: (t / jnp.maximum(count, 1)).astype(t.dtype), total)
        finite = all_finite(mean)
        return update_if(
            finite,
            mean,
            weight=count.astype(jnp.float32),
            statistics=statistics,
            nothing=start[1],
            local=keep_if(finite, model, others, weights.non_trainable),
        )

    return work


def gradient_locally(model: Model, *, batches: Batches | None) -> Process:
    """The client work of federated stochastic gradient descent (McMahan et al., 2017, section 2): a client's
    update is the mean gradient over its examples at the weights that it got, taken downhill.

    An update that is not finite is dropped, as in ``train_locally``.

    Args:
        model: The model.
        batches: How a client goes through its examples; None if its data are batches already.

    Returns:
        A process of the type that ``train_locally`` has; a client's weight is the number of its examples.
    """
    return client_work(gradient_at_client(model, batches=batches), model, batches)
