# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging (McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
Data", 2017, algorithm 1), with a server optimizer (Reddi et al., "Adaptive Federated Optimization", 2021,
algorithm 1)."""

from __future__ import annotations

import optax

from foedus import aggregators
from foedus.learning._batches import Batches
from foedus.learning._learning_process import LearningProcess, compose
from foedus.learning._stages import (
    ClientWeight,
    Weighting,
    apply_update,
    broadcast_weights,
    train_locally,
    update_type,
)
from foedus.learning.algorithms.fed_eval import EVALUATION_BATCHES, fed_eval
from foedus.learning.models import Model
from foedus.process import Process
from foedus.types import Struct, float32


def fed_avg(
    model: Model,
    *,
    client_optimizer: optax.GradientTransformation,
    server_optimizer: optax.GradientTransformation | None = None,
    batches: Batches | None,
    weighting: ClientWeight = Weighting.EXAMPLES,
    distributor: Process | None = None,
    aggregator: aggregators.Aggregator | None = None,
) -> LearningProcess:
    """Federated averaging: clients train on their own data, the server averages what changed.

    Args:
        model: The model.
        client_optimizer: The clients' optimizer, for example ``optax.sgd(0.1)``.
        server_optimizer: The server's optimizer on the averaged change; ``optax.sgd(1.0)`` if not given,
            which makes it plain averaging.
        batches: How a client goes through its examples; None if its data are batches already.
        weighting: How much a client's change counts in the mean.
        distributor: How weights reach clients; as they are if not given.
        aggregator: How changes are averaged; ``aggregators.mean()`` if not given.

    Returns:
        The learning process. Its training metrics are measured on the clients while they train.
    """
    weights_type = model.weights_type
    assert isinstance(weights_type, Struct), "a model's weights are a struct; please report"
    distributor = distributor or broadcast_weights(weights_type)
    aggregator = aggregator or aggregators.mean()
    return compose(
        model,
        distributor=distributor,
        client_work=train_locally(model, client_optimizer, batches=batches, weighting=weighting),
        aggregator=aggregator.create(update_type(weights_type, model.non_trainable), float32),
        finaliser=apply_update(
            server_optimizer or optax.sgd(1.0), weights_type, non_trainable=model.non_trainable
        ),
        evaluation=fed_eval(
            model, batches=None if batches is None else EVALUATION_BATCHES, distributor=distributor
        ),
        name="fed_avg",
    )
