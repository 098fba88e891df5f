# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Names at the root of ``tff.learning``: small ones of 2021, and aggregators that are not here yet."""

from __future__ import annotations

from typing import Any

from foedus.tff._absent import Absent
from foedus.tff.learning._weights import ModelWeights


def state_with_new_model_weights(
    server_state: Any, trainable_weights: Any, non_trainable_weights: Any
) -> Any:
    """The state of a process of 2021 with other weights.

    Args:
        server_state: The state.
        trainable_weights: The trainable weights, in order.
        non_trainable_weights: The other weights, in order.
    """
    weights = ModelWeights(list(trainable_weights), list(non_trainable_weights))
    return server_state._replace(model=weights.convert_variables_to_arrays())


def assign_weights_to_keras_model(keras_model: Any, model_weights: Any) -> None:
    """Puts weights into a Keras model.

    Args:
        keras_model: The model.
        model_weights: The weights.
    """
    ModelWeights(*model_weights).assign_weights_to(keras_model)


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.learning.{name}", instead)


_AGGREGATORS = "noise and secure sums are not here yet; use tff.learning.robust_aggregator"
_MEASURES = "use tff.aggregators.add_measurements"
add_debug_measurements = _absent("add_debug_measurements", _MEASURES)
add_debug_measurements_with_mixed_dtype = _absent("add_debug_measurements_with_mixed_dtype", _MEASURES)
compression_aggregator = _absent("compression_aggregator", _AGGREGATORS)
ddp_secure_aggregator = _absent("ddp_secure_aggregator", _AGGREGATORS)
dp_aggregator = _absent("dp_aggregator", _AGGREGATORS)
secure_aggregator = _absent("secure_aggregator", _AGGREGATORS)
build_federated_sgd_process = _absent(
    "build_federated_sgd_process", "use tff.learning.algorithms.build_fed_sgd"
)
build_local_evaluation = _absent("build_local_evaluation", "use tff.learning.algorithms.build_fed_eval")
build_personalization_eval = _absent("build_personalization_eval", "personalization is not here yet")
framework = _absent("framework", "it left TFF; use tff.learning.templates")
reconstruction = _absent("reconstruction", "it left TFF in 2026; partial models are not here yet")
