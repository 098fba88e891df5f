# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``ClientData`` as TFF has it: client ids, and a ``tf.data.Dataset`` for each."""

from __future__ import annotations

import abc
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, final

import numpy as np

from foedus import simulation
from foedus.frontends.tf_data import dataset_of_bytes, dataset_of_columns, specs_of
from foedus.lang import host
from foedus.tff._computations import Computation
from foedus.types import STRING, Sequence, Tensor, to_type


class ClientData(abc.ABC):
    """Clients, each with a ``tf.data.Dataset``."""

    @property
    @abc.abstractmethod
    def client_ids(self) -> list[str]:
        """The clients' ids."""

    @abc.abstractmethod
    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        """The data set of one client.

        Args:
            client_id: The client.

        Raises:
            ValueError: If there is no such client.
        """

    @property
    def serializable_dataset_fn(self) -> Callable[[str], Any]:
        """``create_tf_dataset_for_client``."""
        return self.create_tf_dataset_for_client

    @property
    def dataset_computation(self) -> Computation:
        """The computation from a client's id to its data set, ``(str -> T*)``.

        It is Python code, run for each client of a round; what has it inside cannot be written to bytes.
        """
        element = to_type(self.element_type_structure)
        make = self.create_tf_dataset_for_client

        @host(returns=Sequence(element))
        def create_dataset(client_id: str) -> Any:
            return make(client_id)

        return Computation(create_dataset.at_type(Tensor(STRING)))

    @property
    def element_type_structure(self) -> Any:
        """What specifies an element, as ``tf.TensorSpec``."""
        return self.create_tf_dataset_for_client(self.client_ids[0]).element_spec

    def datasets(self, limit_count: int | None = None, seed: int | None = None) -> Iterator[Any]:
        """The clients' data sets, clients in an order drawn from a seed.

        Args:
            limit_count: How many at the most.
            seed: The seed.
        """
        for client in _shuffled(self.client_ids, seed)[:limit_count]:
            yield self.create_tf_dataset_for_client(client)

    def create_tf_dataset_from_all_clients(self, seed: int | None = None) -> Any:
        """The examples of all clients, one client after another, in an order drawn from a seed.

        Args:
            seed: The seed.
        """
        datasets = list(self.datasets(seed=seed))
        joined = datasets[0]
        for dataset in datasets[1:]:
            joined = joined.concatenate(dataset)
        return joined

    def preprocess(self, preprocess_fn: Callable[[Any], Any]) -> ClientData:
        """The same clients with each data set through a function.

        Args:
            preprocess_fn: From a data set to a data set.
        """
        make = self.create_tf_dataset_for_client
        return _FromFunction(self.client_ids, lambda client: preprocess_fn(make(client)))

    @classmethod
    def from_clients_and_tf_fn(
        cls, client_ids: Iterable[str], serializable_dataset_fn: Callable[[str], Any]
    ) -> ClientData:
        """Clients, and a function from an id to a data set.

        Args:
            client_ids: The ids.
            serializable_dataset_fn: The function.
        """
        return _FromFunction(list(client_ids), serializable_dataset_fn)

    @classmethod
    def from_clients_and_fn(
        cls, client_ids: Iterable[str], create_tf_dataset_for_client_fn: Callable[[str], Any]
    ) -> ClientData:
        """As ``from_clients_and_tf_fn``, by its name of 2021."""
        return _FromFunction(list(client_ids), create_tf_dataset_for_client_fn)

    @classmethod
    def train_test_client_split(
        cls, client_data: ClientData, num_test_clients: int, seed: int | None = None
    ) -> tuple[ClientData, ClientData]:
        """Splits the clients into those to train on and those to test on.

        Args:
            client_data: The clients.
            num_test_clients: How many to test on.
            seed: From which they are drawn.

        Raises:
            ValueError: If a part would be empty.
        """
        ids = _shuffled(client_data.client_ids, seed)
        if not 0 < num_test_clients < len(ids):
            raise ValueError(
                f"Expected `num_test_clients` to be from 1 to {len(ids) - 1}, found {num_test_clients}."
            )
        make = client_data.create_tf_dataset_for_client
        test, train = ids[:num_test_clients], ids[num_test_clients:]
        return _FromFunction(train, make), _FromFunction(test, make)


def _shuffled(ids: list[str], seed: int | None) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(ids))
    return [ids[i] for i in order]


@final
class _FromFunction(ClientData):
    def __init__(self, client_ids: list[str], make: Callable[[str], Any]) -> None:
        self._ids = list(client_ids)
        self._known = set(self._ids)
        self._make = make

    @property
    def client_ids(self) -> list[str]:
        return self._ids

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        if client_id not in self._known:
            raise ValueError(f"ID [{client_id}] is not a client in this ClientData.")
        return self._make(client_id)


@final
class FoedusClientData(ClientData):
    """Client data of Foedus with TFF's face.

    Args:
        foedus: The same as ``foedus.simulation.ClientData``.
    """

    def __init__(self, foedus: simulation.ClientData) -> None:
        self.foedus = foedus

    @property
    def client_ids(self) -> list[str]:
        return [str(client) for client in self.foedus.ids]

    @property
    def element_type_structure(self) -> Any:
        return specs_of(self.foedus.element_type)

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        if client_id not in self.foedus:
            raise ValueError(f"ID [{client_id}] is not a client in this ClientData.")
        return dataset_of_columns(_ordered(self.foedus.columns(client_id)))


def _ordered(columns: Any) -> Any:
    """Columns in the container in which TFF has examples."""
    return OrderedDict(sorted(columns.items())) if isinstance(columns, dict) else columns


def of_foedus(data: simulation.ClientData) -> ClientData:
    """Client data of Foedus with TFF's face."""
    return FoedusClientData(data)


@final
class TestClientData(ClientData):
    """Clients in memory.

    Args:
        tensor_slices_dict: For each client an array, or a mapping of arrays, with one row an example.
    """

    __test__ = False  # pytest takes a class of this name for a test

    def __init__(self, tensor_slices_dict: Mapping[str, Any]) -> None:
        if not tensor_slices_dict:
            raise ValueError("Expected at least one client.")
        self._slices = dict(tensor_slices_dict)
        specs = {client: to_type(dataset_of_columns(s).element_spec) for client, s in self._slices.items()}
        first, *others = specs.values()
        if any(other != first for other in others):
            raise TypeError(
                f"Expected one type at all clients, found {sorted(set(map(str, specs.values())))}."
            )

    @property
    def client_ids(self) -> list[str]:
        return sorted(self._slices)

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        if client_id not in self._slices:
            raise ValueError(f"ID [{client_id}] is not a client in this ClientData.")
        return dataset_of_columns(self._slices[client_id])


@final
class SqlClientData(ClientData):
    """The serialised examples of a SQLite file: elements are ``tf.train.Example`` messages, as strings.

    Args:
        database_filepath: The file, in the format of TFF's data sets.
        split_name: The split.
    """

    def __init__(self, database_filepath: str, split_name: str | None = None) -> None:
        self._path = str(database_filepath)
        self._split = split_name
        where, values = ("WHERE split_name = ?", (split_name,)) if split_name else ("", ())
        query = f"SELECT DISTINCT client_id FROM client_metadata {where} ORDER BY client_id"
        self._ids = [client for (client,) in self._rows(query, values)]

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{Path(self._path).resolve().as_uri()}?mode=ro", uri=True)) as file:
            return file.execute(query, values).fetchall()

    @property
    def client_ids(self) -> list[str]:
        return self._ids

    def create_tf_dataset_for_client(self, client_id: str) -> Any:
        if client_id not in self._ids:
            raise ValueError(f"ID [{client_id}] is not a client in this ClientData.")
        where, values = ("AND split_name = ?", (self._split,)) if self._split else ("", ())
        query = f"SELECT serialized_example_proto FROM examples WHERE client_id = ? {where} ORDER BY rowid"
        return dataset_of_bytes([message for (message,) in self._rows(query, (client_id, *values))])


def load_and_parse_sql_client_data(
    database_filepath: str, element_spec: Mapping[str, Any], split_name: str
) -> ClientData:
    """The examples of a SQLite file.

    Args:
        database_filepath: The file, in the format of TFF's data sets.
        element_spec: What specifies an example: a ``tf.TensorSpec`` for each feature.
        split_name: The split.
    """
    return of_foedus(simulation.open_sql(database_filepath, split_name, element_type=dict(element_spec)))


def save_to_sql_client_data(
    client_ids: Iterable[str],
    dataset_fn: Callable[[str], Any],
    database_filepath: str,
    allow_overwrite: bool = False,
    split_names_by_client_id: Mapping[str, str] | None = None,
) -> None:
    """Writes clients' data sets to a SQLite file in the format of TFF's data sets.

    Args:
        client_ids: The clients.
        dataset_fn: From a client's id to its data set.
        database_filepath: The file.
        allow_overwrite: Whether a file that is there is replaced.
        split_names_by_client_id: Each client's split; ``default`` if not given.

    Raises:
        FileExistsError: If the file is there.
    """
    if Path(database_filepath).exists() and not allow_overwrite:
        raise FileExistsError(
            f"Expected no file at {database_filepath}; set `allow_overwrite` to replace it."
        )
    splits: dict[str, dict[str, Any]] = {}
    for client in client_ids:
        split = (split_names_by_client_id or {}).get(client, "default")
        splits.setdefault(split, {})[client] = dataset_fn(client)
    data = {
        name: simulation.ClientData.from_clients(
            clients, element_type=next(iter(clients.values())).element_spec
        )
        for name, clients in splits.items()
    }
    simulation.save_sql(database_filepath, data)
