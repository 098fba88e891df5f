# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning algorithms: a process composed of four stages, with the model's weights in its state."""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import jax
import numpy as np

from foedus.data import ClientId, Cohort, Source, derive_key
from foedus.errors import ArgumentError, CompositionError, ExecutionError, place
from foedus.ir import show_program
from foedus.lang import (
    Computation,
    computation,
    federated_apply,
    federated_map,
    federated_value,
    federated_zip,
)
from foedus.learning._local_weights import (
    cohort_of_data,
    cohort_with,
    keeps_local,
    no_local_weights,
    state_type_with_local,
)
from foedus.learning.models import Model, ModelWeights
from foedus.process import Output, Process
from foedus.runtime import dispatch_inline
from foedus.types import KEY, SERVER, Struct, Type, at_server, difference

dispatch_inline()  # Before anybody computes: models are often made of arrays.


class LearningState(NamedTuple):
    """The state of a learning algorithm.

    Args:
        weights: The model's weights, ``ModelWeights``.
        key: uint32[2], from which every round's key is made.
        round: int32[], how many rounds have been done.
        distributor: The state of the distribute stage.
        client_work: The state of the client work; ``LocalWeights`` where clients keep weights of their own.
        aggregator: The state of the aggregator.
        finaliser: The state of the finaliser.
    """

    weights: Any
    key: Any
    round: Any
    distributor: Any
    client_work: Any
    aggregator: Any
    finaliser: Any


@final
@dataclass(frozen=True, slots=True, eq=False)
class LearningProcess:
    """A learning algorithm for one model.

    Args:
        process: ``initialize`` takes a key (uint32[2]); ``next`` takes the state and what clients have, and
            gives metrics. Where clients keep weights of their own, they have them beside their data, and the
            result is ``<metrics=metrics@SERVER,local={L}@CLIENTS>``.
        model: The model.
        evaluation: ``(<weights=W@SERVER,clients={D*}@CLIENTS> -> metrics@SERVER)``.
        name: What it is called.
    """

    process: Process
    model: Model
    evaluation: Computation
    name: str

    @property
    def state_type(self) -> Type:
        """The type of the state."""
        state = self.process.state_type
        return state_type_with_local(state, self.model) if keeps_local(self.model) else state

    @property
    def fingerprint(self) -> str:
        """A hash of the program, equal for equal algorithms on equal models."""
        return hashlib.sha256(show_program(self.process.next.node).encode()).hexdigest()

    def initialize(self, seed: int = 0, *, weights: Any = None) -> LearningState:
        """Makes the first state.

        Args:
            seed: From which the initial weights and all noise are drawn.
            weights: Weights to start from, in the model's structure; else the model's own.

        Returns:
            The state.

        Raises:
            TypeMismatchError: If given weights do not match the model; the error names the path to the leaf.
        """
        given = None if weights is None else self.model.check_weights(weights)
        state = self.process.initialize(derive_key(seed, "learning"))
        if keeps_local(self.model):
            state = state._replace(client_work=no_local_weights(state.weights.non_trainable))
        return state if given is None else state._replace(weights=given)

    def next(self, state: LearningState, clients: Any) -> Output:
        """Does one round.

        Args:
            state: The state.
            clients: The data of the round's clients: a cohort, client data, or a mapping from ids to
                examples.

        Returns:
            The next state, the training metrics as a dict, and the measurements of the stages.

        Raises:
            ExecutionError: If there are no clients.
        """
        given = _some_clients(clients, f"a round of {self.name}")
        if not keeps_local(self.model):
            return self.process.next(state, given)
        cohort = self._with_local(state, given, self.process.next)
        done = self.process.next(state._replace(client_work=()), cohort)
        kept = state.client_work.after(cohort.ids, done.result["local"])
        return Output(done.state._replace(client_work=kept), done.result["metrics"], done.measurements)

    def evaluate(self, state: LearningState, clients: Any) -> dict[str, Any]:
        """Measures the state's weights on clients' data.

        Args:
            state: The state.
            clients: The clients' data, as for ``next``.

        Returns:
            The metrics over all examples of all clients.

        Raises:
            ExecutionError: If there are no clients.
        """
        given = _some_clients(clients, "an evaluation")
        if keeps_local(self.model):
            given = self._with_local(state, given, self.evaluation)
        return self.evaluation(state.weights, given)

    def _with_local(self, state: LearningState, data: Any, taken_by: Computation) -> Cohort:
        """Clients' data with the weights that each client keeps for itself, as a computation takes them."""
        cohort = cohort_of_data(data, taken_by)
        local = state.client_work.of(cohort.ids, state.weights.non_trainable)
        return cohort_with(self.model, cohort, local)

    def weights(self, state: LearningState, *, client: ClientId | None = None) -> ModelWeights:
        """The model's weights in a state, as plain arrays in the user's own structure.

        Args:
            state: The state.
            client: Whose weights; the server's if not given. Only where clients keep weights of their own do
                theirs differ.

        Returns:
            The weights.

        Raises:
            ArgumentError: If that client has no weights of its own.
        """
        if client is None:
            return state.weights
        if not keeps_local(self.model):
            raise ArgumentError(
                "Clients keep no weights of this model for themselves",
                found=f"client={client!r}",
                expected="no client: the server's weights are everyone's",
                at=place("client"),
                hint="NonTrainable.KEEP_LOCAL lets clients keep those that the model itself changes",
            )
        return state.weights._replace(non_trainable=state.client_work.one(client))

    def with_weights(self, state: LearningState, weights: Any) -> LearningState:
        """The state with other weights.

        Args:
            state: The state.
            weights: Weights in the model's structure.

        Returns:
            The new state.

        Raises:
            TypeMismatchError: If they do not match the model; the error names the path to the leaf.
        """
        return state._replace(weights=self.model.check_weights(weights))

    def model_of(self, state: LearningState, *, client: ClientId | None = None) -> Any:
        """The trained model in the user's own framework: a JAX model's trainable weights, a Keras model.

        Args:
            state: The state.
            client: Whose model, as for ``weights``; the server's if not given.

        Returns:
            The model.

        Raises:
            ArgumentError: If that client has no weights of its own.
        """
        return self.model.to_user(self.weights(state, client=client))


def _some_clients(clients: Any, what: str) -> Any:
    """Clients' data with the cohort made where a source stands for one; an error if there are no clients."""
    # What is a cohort already is asked first: whether anything is a source takes longer to find out.
    given = clients.cohort() if not isinstance(clients, Cohort) and isinstance(clients, Source) else clients
    if isinstance(given, Sized) and not len(given):
        raise ExecutionError(
            f"There are no clients in {what}",
            found="0 clients",
            expected="at least one client",
            at=place(),
            hint="choose clients that have data, or leave the round out",
        )
    return given


_OF_WEIGHTS = np.uint32(2**32 - 1)
"""Added to the key for initial weights: a round that is never reached, since rounds add their number."""


def compose(
    model: Model,
    *,
    distributor: Process,
    client_work: Process,
    aggregator: Process,
    finaliser: Process,
    evaluation: Computation,
    name: str,
) -> LearningProcess:
    """Composes a learning algorithm of its four stages.

    Args:
        model: The model.
        distributor: From the server's weights to what clients get.
        client_work: From that and the clients' data to updates, weights and metrics.
        aggregator: From updates and weights to one update.
        finaliser: From the weights and the update to new weights.
        evaluation: ``(<weights=W@SERVER,clients={D*}@CLIENTS> -> metrics@SERVER)``.
        name: What the algorithm is called.

    Returns:
        The learning process.

    Raises:
        CompositionError: If the stages do not fit together.
    """
    parts = {
        "distributor": distributor,
        "client_work": client_work,
        "aggregator": aggregator,
        "finaliser": finaliser,
    }

    @computation(KEY)
    def initialize(key: Any) -> Any:
        placed = federated_value(key, SERVER)
        weights = federated_apply(lambda k: model.initialize(jax.random.fold_in(k, _OF_WEIGHTS)), placed)
        rounds = federated_value(np.int32(0), SERVER)
        states = [part.initialize() for part in parts.values()]
        return federated_zip(LearningState(weights, placed, rounds, *states))

    weights_of = initialize.type.result.member.fields[0][1]
    _require_weights(model, weights_of)
    data = _last_parameter(client_work)

    @computation(at_server(initialize.type.result.member), data)
    def one_round(state: Any, clients: Any) -> Any:
        key = federated_apply(jax.random.fold_in, (state.key, state.round))
        sent = distributor.next(state.distributor, state.weights)
        done = client_work.next(state.client_work, key, sent.result, clients)
        mean = aggregator.next(state.aggregator, done.result.update, done.result.weight)
        new = finaliser.next(state.finaliser, state.weights, mean.result)
        rounds = federated_apply(lambda r: r + 1, state.round)
        states = (sent.state, done.state, mean.state, new.state)
        measured = {
            "distributor": sent.measurements,
            "aggregator": mean.measurements,
            "finaliser": new.measurements,
        }
        result = done.measurements
        if keeps_local(model):
            local = federated_map(lambda made: made["local"], done.result)
            result = {"metrics": result, "local": local}
        return Output(
            federated_zip(LearningState(new.result, state.key, rounds, *states)),
            result,
            federated_zip(measured),
        )

    return LearningProcess(Process(initialize, one_round), model, evaluation, name)


def _last_parameter(client_work: Process) -> Type:
    parameter = client_work.next.type.parameter
    if not isinstance(parameter, Struct) or len(parameter.fields) != 4:
        raise CompositionError(
            "The client work does not take a state, a key, weights and data",
            found=client_work.next.type,
            at=place(),
        )
    return parameter.fields[3][1]


def _require_weights(model: Model, found: Type) -> None:
    parts = difference(model.weights_type, found)
    if parts is not None:
        raise CompositionError(
            "The model's initialize does not return the model's weights",
            found=parts.found,
            expected=parts.expected,
            at=place(f"{parts.path} of the weights"),
        )
