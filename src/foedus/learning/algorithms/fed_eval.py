# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated evaluation: a model's metrics over the examples of all clients, which stay where they are."""

from __future__ import annotations

from typing import Any

from foedus.lang import Computation, computation, federated_apply
from foedus.learning._batches import Batches
from foedus.learning._evaluation import gather_statistics
from foedus.learning._stages import client_type
from foedus.learning._statistics import report
from foedus.learning.models import Model
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
        ``(<weights=W@SERVER,clients={D*}@CLIENTS> -> metrics@SERVER)``: loss, metrics and number of examples
        over all examples of all clients.
    """
    statistics = gather_statistics(model, batches=batches, distributor=distributor)

    @computation(at_server(model.weights_type), at_clients(client_type(model, batches)))
    def evaluate(weights: Any, clients: Any) -> Any:
        return federated_apply(lambda total: report(model, total), statistics(weights, clients))

    return evaluate
