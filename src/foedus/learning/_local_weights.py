# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that stay at clients: each has its own from round to round, and no one else sees them.

With the averages of batch normalisation this is SiloBN (Andreux et al., "Siloed Federated Learning for
Multi-Centric Histopathology Datasets", 2020, section 3).

A client that is drawn again goes on with the weights that it had. In a simulation, the state of the learning
process holds them for all clients that took part; a round sees those of its own clients alone, as values at
clients that go in and come back.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import jax
import numpy as np

from foedus.data import ClientId, Cohort, column_type, to_argument
from foedus.errors import ArgumentError, place
from foedus.lang import Computation
from foedus.learning.models import Model, ModelWeights, NonTrainable
from foedus.types import STRING, Array, Federated, Struct, Tensor, Type, at_clients, to_plain


class ClientWithWeights(NamedTuple):
    """What a client has where it keeps weights of its own.

    Args:
        data: Its examples or batches.
        weights: Its own non-trainable weights.
    """

    data: Any
    weights: Any


def keeps_local(model: Model) -> bool:
    """Whether clients keep the model's non-trainable weights for themselves."""
    return model.non_trainable is NonTrainable.KEEP_LOCAL


def with_local_type(model: Model, data: Type) -> Type:
    """The type of what a client has: its data, beside weights of its own if it keeps any."""
    if not keeps_local(model):
        return data
    return Struct((("data", data), ("weights", _local_type(model))), ClientWithWeights)


def at_client(model: Model, client: Any, sent: ModelWeights) -> tuple[Any, ModelWeights]:
    """A client's data and the weights that it works with, of what it has and what it got."""
    if not keeps_local(model):
        return client, sent
    return client.data, ModelWeights(sent.trainable, client.weights)


class LocalWeights(NamedTuple):
    """The weights that clients keep for themselves.

    Args:
        clients: string[n], the clients that have some, each once; their ids as JSON.
        weights: Their non-trainable weights, in the model's structure, with clients along a new first
            dimension.
    """

    clients: Any
    weights: Any

    def of(self, ids: tuple[ClientId, ...], start: Any) -> Any:
        """The weights of some clients.

        Args:
            ids: The clients.
            start: What a client begins with.

        Returns:
            The weights in the model's structure, with these clients along the first dimension.
        """
        rows = self._rows(ids)
        known = rows >= 0

        def chosen(kept: Array, first: Any) -> Array:
            found = np.repeat(np.asarray(first)[np.newaxis], len(ids), axis=0)
            found[known] = kept[rows[known]]
            return found

        return jax.tree.map(chosen, self.weights, start)

    def after(self, ids: tuple[ClientId, ...], weights: list[Any]) -> LocalWeights:
        """What clients keep after a round.

        Args:
            ids: The clients of the round.
            weights: The weights of each after it.
        """
        rows = self._rows(ids)
        known = rows >= 0
        met = [_text(client) for client, is_known in zip(ids, known, strict=True) if not is_known]

        def kept(before: Array, *each: Array) -> Array:
            now = np.stack(each)
            all_ = np.concatenate([before, now[~known]])
            all_[rows[known]] = now[known]
            return all_

        clients = np.array([*self.clients, *met], dtype=object)
        return LocalWeights(clients, jax.tree.map(kept, self.weights, *weights))

    def one(self, client: ClientId) -> Any:
        """The weights of one client.

        Raises:
            ArgumentError: If it keeps none.
        """
        (row,) = self._rows((client,))
        if row < 0:
            raise ArgumentError(
                f"Client {client!r} has no weights of its own",
                found=f"those of {len(self.clients)} clients that took part in a round",
                at=place("client"),
                hint="without a client, these are the server's weights, which clients begin with",
            )
        return jax.tree.map(lambda kept: kept[row], self.weights)

    def _rows(self, ids: tuple[ClientId, ...]) -> Array:
        """Where each client's weights are, -1 for a client that has none."""
        row_of = {client: row for row, client in enumerate(self.clients)}
        return np.array([row_of.get(_text(client), -1) for client in ids], dtype=np.int64)


def no_local_weights(start: Any) -> LocalWeights:
    """What clients keep before the first round, given what the server's non-trainable weights are."""
    empty = jax.tree.map(lambda w: np.zeros((0, *np.shape(w)), np.asarray(w).dtype), start)
    return LocalWeights(np.array([], dtype=object), empty)


def state_type_with_local(state: Type, model: Model) -> Type:
    """The type of a learning process' state that holds ``LocalWeights``."""
    assert isinstance(state, Struct), "the state of a learning process is a struct; please report"
    kept = Struct(
        (("clients", Tensor(STRING, (None,))), ("weights", column_type(_local_type(model)))), LocalWeights
    )
    fields = tuple((name, kept if name == "client_work" else type_) for name, type_ in state.fields)
    return Struct(fields, state.container)


def cohort_of_data(data: Any, taken_by: Computation) -> Cohort:
    """The cohort of clients' data alone.

    Args:
        data: A cohort, a mapping from ids, or a list.
        taken_by: The computation that takes what clients have as its last parameter.
    """
    parameter = taken_by.type.parameter
    assert isinstance(parameter, Struct), "a round takes a state and clients; please report"
    clients = parameter.fields[-1][1]
    assert isinstance(clients, Federated), "clients have data beside their weights; please report"
    assert isinstance(clients.member, Struct), "clients have data beside their weights; please report"
    return to_argument(data, at_clients(clients.member.fields[0][1]), "the clients' data")


def cohort_with(model: Model, data: Cohort, weights: Any) -> Cohort:
    """A cohort of clients with weights of their own beside their data.

    Args:
        model: The model.
        data: The cohort.
        weights: The clients' weights, with clients along the first dimension, in the cohort's order.
    """
    columns = to_plain(weights, column_type(_local_type(model)), "the clients' own weights")
    return Cohort(data.ids, with_local_type(model, data.type), (data.value, columns))


def _local_type(model: Model) -> Type:
    assert isinstance(model.weights_type, Struct), "a model's weights are a struct; please report"
    return model.weights_type.fields[1][1]


def _text(client: ClientId) -> str:
    """A client's id as JSON, which tells 1 from "1"."""
    return json.dumps(client)
