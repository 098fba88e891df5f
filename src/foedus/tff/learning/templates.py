# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.templates``: learning processes, and what they are composed of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, final

from foedus.learning import broadcast_weights
from foedus.tff._absent import Absent
from foedus.tff._computations import Computation
from foedus.tff.templates import IterativeProcess, MeasuredProcess
from foedus.tff.types import foedus_type

__all__ = [
    "ClientResult",
    "ClientWorkProcess",
    "DistributionProcess",
    "FinalizerProcess",
    "LearningAlgorithmState",
    "LearningProcess",
    "LearningProcessOutput",
    "build_apply_optimizer_finalizer",
    "build_broadcast_process",
    "build_functional_model_delta_client_work",
    "build_model_delta_client_work",
    "compose_learning_process",
    "reject_non_finite_update",
]


class LearningAlgorithmState(NamedTuple):
    """The state of a learning process.

    Args:
        global_model_weights: The weights, ``ModelWeights``.
        distributor: The distributor's state.
        client_work: The client work's.
        aggregator: The aggregator's.
        finalizer: The finalizer's.
    """

    global_model_weights: Any
    distributor: Any
    client_work: Any
    aggregator: Any
    finalizer: Any


class LearningProcessOutput(NamedTuple):
    """What a round gives.

    Args:
        state: The next state.
        metrics: ``<distributor,client_work,aggregator,finalizer>``.
    """

    state: Any
    metrics: Any


@final
class LearningProcess(IterativeProcess):
    """A learning algorithm.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,{D*}@CLIENTS> -> <state=S@SERVER,metrics=M@SERVER>)``.
        get_model_weights: From a state to its weights.
        set_model_weights: From a state and weights to a state.
        get_hparams_fn: From a state to hyperparameters.
        set_hparams_fn: From a state and hyperparameters to a state.
    """

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        get_model_weights: Callable[[Any], Any],
        set_model_weights: Callable[[Any, Any], Any],
        *,
        get_hparams_fn: Callable[[Any], Any] | None = None,
        set_hparams_fn: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn)
        self._get_model_weights = get_model_weights
        self._set_model_weights = set_model_weights
        self._get_hparams = get_hparams_fn or (lambda state: OrderedDict())
        self._set_hparams = set_hparams_fn or (lambda state, hparams: state)

    def get_model_weights(self, state: Any) -> Any:
        """The model's weights in a state."""
        return self._get_model_weights(state)

    def set_model_weights(self, state: Any, model_weights: Any) -> Any:
        """The state with other weights."""
        return self._set_model_weights(state, model_weights)

    def get_hparams(self, state: Any) -> Any:
        """The hyperparameters in a state."""
        return self._get_hparams(state)

    def set_hparams(self, state: Any, hparams: Any) -> Any:
        """The state with other hyperparameters."""
        return self._set_hparams(state, hparams)


class DistributionProcess(MeasuredProcess):
    """A measured process from a value at the server to one at the clients.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,V@SERVER> -> <state=S@SERVER,result={V}@CLIENTS,measurements=M@SERVER>)``.
    """


def build_broadcast_process(value_type: Any) -> DistributionProcess:
    """The server's value to every client as it is.

    Args:
        value_type: The type of the value.
    """
    ours = broadcast_weights(foedus_type(value_type))
    return DistributionProcess(Computation(ours.initialize), Computation(ours.next))


_PARTS = "build the process with tff.learning.algorithms, or with foedus.learning.compose"
ClientResult = Absent("tff.learning.templates.ClientResult", _PARTS)
ClientWorkProcess = Absent("tff.learning.templates.ClientWorkProcess", _PARTS)
FinalizerProcess = Absent("tff.learning.templates.FinalizerProcess", _PARTS)
build_apply_optimizer_finalizer = Absent("tff.learning.templates.build_apply_optimizer_finalizer", _PARTS)
build_functional_model_delta_client_work = Absent(
    "tff.learning.templates.build_functional_model_delta_client_work", _PARTS
)
build_model_delta_client_work = Absent("tff.learning.templates.build_model_delta_client_work", _PARTS)
compose_learning_process = Absent("tff.learning.templates.compose_learning_process", _PARTS)
reject_non_finite_update = Absent(
    "tff.learning.templates.reject_non_finite_update", "every process rejects such updates"
)
