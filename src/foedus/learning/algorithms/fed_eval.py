# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated evaluation: a model's metrics over the examples of all clients, which stay where they are."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from foedus.lang import Computation, computation, federated_apply, federated_map, federated_sum
from foedus.learning._batches import Batches
from foedus.learning._stages import broadcast_weights, data_type, fold_batches
from foedus.learning._statistics import gather, no_statistics, report
from foedus.learning.models import Mode, Model
from foedus.process import Process
from foedus.types import at_clients, at_server

EVALUATION_BATCHES = Batches(size=64, shuffle=False)
"""How clients go through their examples to evaluate, unless said otherwise."""


def fed_eval(
    model: Model, *, batches: Batches | None = EVALUATION_BATCHES, distributor: Process | None = None
) -> Computation:
    """Evaluates a model on the examples of clients.

    Args:
        model: The model.
        batches: How clients go through their examples; None if their data are batches already. It changes the
            speed, and for models whose rows are coupled the result.
        distributor: How the weights reach clients; as they are if not given.

    Returns:
        ``(<weights=W@SERVER,data={D*}@CLIENTS> -> metrics@SERVER)``: loss, metrics and number of examples
        over all examples of all clients.
    """
    distributor = distributor or broadcast_weights(model.weights_type)

    def work(data: Any, weights: Any) -> Any:
        no_noise = jnp.zeros(2, jnp.uint32)

        def step(statistics: Any, batch: Any, mask: Any) -> Any:
            return gather(model, statistics, model.forward(weights, batch, no_noise, Mode.EVALUATE), mask)

        walked = data if batches is None else batches.of(data, no_noise)
        return fold_batches(model, walked, step, no_statistics(model))

    @computation(at_server(model.weights_type), at_clients(data_type(model, batches)))
    def evaluate(weights: Any, data: Any) -> Any:
        sent = distributor.next(distributor.initialize(), weights)
        total = federated_sum(federated_map(work, (data, sent.result)))
        return federated_apply(lambda statistics: report(model, statistics), total)

    return evaluate
