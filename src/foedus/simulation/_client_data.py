# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated data sets: clients, each with examples of one type."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np

from foedus.data import (
    Batch,
    ClientId,
    Cohort,
    Filter,
    Map,
    Repeat,
    Shuffle,
    Take,
    Transform,
    derive_key,
    empty_columns,
    has_rows,
    map_columns,
    permutation,
    stack,
    transformed,
)
from foedus.errors import ArgumentError, DataError, place
from foedus.foreign import kind
from foedus.simulation._from_rows import resident_clients, resident_rows
from foedus.simulation._store import Resident, Store
from foedus.simulation._unknown_client import unknown_client
from foedus.types import Sequence, Type, from_plain


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClientData:
    """Clients, each with examples of one type. It never changes; every method returns a new one.

    It is made by `from_arrays`, `from_clients`, `open_sql` or a data set of `simulation.datasets`, and can be
    passed wherever a computation takes sequences at clients. Examples are read when a cohort is asked for;
    transforms are declared here and done where the examples are used.

    Example:
        >>> import numpy as np
        >>> readings = {"day": np.array([1, 2, 1]), "degrees": np.array([20.5, 21.0, 19.0], np.float32)}
        >>> data = ClientData.from_arrays(readings, ["north", "north", "south"])
        >>> data
        ClientData(2 clients, 3 examples, <day=int64,degrees=float32>)
        >>> data.examples("south")
        [{'day': np.int64(1), 'degrees': np.float32(19.0)}]
        >>> data.map(lambda reading: reading["degrees"]).batch(2).element_type
        Tensor(dtype=dtype('float32'), shape=(None,))
    """

    _store: Store
    _chosen: Mapping[ClientId, int]
    """Where each client is in the store, in the order of the ids."""
    _transforms: tuple[Transform, ...]
    element_type: Type
    """The type of one example, after the transforms."""
    ids: tuple[ClientId, ...] = field(init=False)
    """The clients' ids, all strings or all whole numbers, in a fixed order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self._chosen))

    @staticmethod
    def from_arrays(columns: Any, client_ids: Any) -> ClientData:
        """Groups the rows of arrays by client.

        Args:
            columns: An array ``[rows, ...]``, or nested mappings, tuples or dataclasses of such arrays; one
                row an example. They are used as they are where each client's rows lie together, and must not
                be changed afterwards; otherwise they are copied once.
            client_ids: One id a row: an array or a list of strings or whole numbers.

        Returns:
            The data, clients in the order in which they first appear.

        Raises:
            DataError: If columns differ in length, or something is no column or no id.
        """
        return whole(resident_rows(columns, client_ids))

    @staticmethod
    def from_clients(
        clients: Mapping[str, Any] | Mapping[int, Any], *, element_type: object = None
    ) -> ClientData:
        """Joins the examples of clients.

        Args:
            clients: For each client a list of its examples, or an array or a mapping of arrays with one row
                an example; an empty list for a client without examples.
            element_type: A specification of one example's type, as ``foedus.types.to_type`` takes it. Where
                it is left out, the first client that has an example decides.

        Returns:
            The data, clients in the order of the mapping.

        Raises:
            DataError: If the type is left out and no client has an example.
            TypeMismatchError: If an example has another type; the error names the client and the path.
        """
        return whole(resident_clients(clients, element_type))

    def __len__(self) -> int:
        """The number of clients."""
        return len(self._chosen)

    def __contains__(self, client: object) -> bool:
        """Whether this is the id of a client."""
        return client in self._chosen

    def __repr__(self) -> str:
        counts = self._counts()
        return f"ClientData({len(self)} clients, {counts.sum()} examples, {self.element_type})"

    def _positions(self) -> np.ndarray[Any, Any]:
        return np.fromiter(self._chosen.values(), dtype=np.int64, count=len(self._chosen))

    def _counts(self) -> np.ndarray[Any, Any]:
        return self._store.counts[self._positions()]

    def sizes(self) -> dict[ClientId, int]:
        """How many examples each client has, before the transforms; no example is read.

        Returns:
            A number for each client, in the order of ``ids``.
        """
        return dict(zip(self.ids, self._counts().tolist(), strict=True))

    def summary(self) -> str:
        """Says in a few lines what there is: clients, examples, how many each has, and their type."""
        counts = self._counts()
        lines = [f"{len(self):,} clients, {int(counts.sum()):,} examples"]
        if len(self):
            spread = f"{int(counts.min()):,} to {int(counts.max()):,}, median {np.median(counts):,g}"
            lines.append(f"examples per client: {spread}")
        lines.append(f"one example: {self._store.element}")
        if self._transforms:
            names = ", ".join(type(transform).__name__.lower() for transform in self._transforms)
            lines.append(f"then: {names}, which gives {self.element_type}")
        return "\n".join(lines)

    # ------------------------------------------------------------ reading

    def cohort(self, ids: Iterable[ClientId] | None = None) -> Cohort:
        """The sequences of some clients, as runtimes read them.

        Args:
            ids: The clients, each once; None for all.

        Returns:
            A cohort of type ``element_type*``, in the order asked for. What is in memory is shared, not
            copied; what is in a file is read now.

        Raises:
            DataError: If a client is unknown, or asked for twice.
            CorruptDataError: If the file is broken.
        """
        chosen = self if ids is None else self.select(ids)
        ragged = self._store.read(chosen._positions())
        return Cohort(chosen.ids, Sequence(self.element_type), replace(ragged, transforms=self._transforms))

    def examples(self, client_id: ClientId) -> list[Any]:
        """The examples of one client as Python values, transforms done.

        Args:
            client_id: The client.

        Returns:
            One value an example, in the containers of the element type.

        Raises:
            DataError: If the client is unknown.
        """
        cohort = self.cohort([client_id])
        return from_plain(cohort.client(0), cohort.type)

    def columns(self, client_id: ClientId) -> Any:
        """The examples of one client stacked along a new first dimension, transforms done.

        Args:
            client_id: The client.

        Returns:
            One array ``[examples, ...]`` for each leaf, in the containers of the element type.

        Raises:
            DataError: If the client is unknown, or the examples have rows of their own, as batches do.
        """
        if has_rows(self.element_type):
            raise DataError(
                "Examples with rows of their own cannot be stacked",
                found=self.element_type,
                at=place(),
                hint="use `examples`, or ask for the columns before `batch`",
            )
        cohort = self.cohort([client_id])
        elements = cohort.client(0)
        if not self._transforms:
            first, count = int(elements.ragged.first[0]), int(elements.ragged.count[0])
            stacked = map_columns(lambda column: column[first : first + count], elements.ragged.columns)
        else:
            read = list(elements)
            stacked = stack(read) if read else empty_columns(self.element_type)
        return from_plain(stacked, self.element_type)

    def in_memory(self) -> ClientData:
        """The same data with all its examples in memory, read at once. Shows progress when it takes long.

        Returns:
            The data, from which cohorts are taken without reading or copying.

        Raises:
            CorruptDataError: If the file is broken.
        """
        if isinstance(self._store, Resident):
            return self
        read = self._store.read(self._positions())
        read = replace(read, columns=map_columns(np.asarray, read.columns))
        chosen = {client: i for i, client in enumerate(self.ids)}
        return replace(self, _store=Resident(self.ids, read), _chosen=chosen)

    # ------------------------------------------------------------ choosing clients

    def select(self, ids: Iterable[ClientId]) -> ClientData:
        """The data of some clients, in the order given.

        Raises:
            DataError: If a client is unknown, or asked for twice.
        """
        if isinstance(ids, str | bytes):
            raise DataError(
                "Several clients are asked for by a list of ids",
                found=repr(ids),
                at=place(),
                hint=f"[{ids!r}]",
            )
        chosen: dict[ClientId, int] = {}
        for client in ids:
            try:
                position = self._chosen[client]
            except (KeyError, TypeError):  # A list, say, is no key.
                raise unknown_client(client, self.ids) from None
            known = self._store.ids[position]
            if known in chosen:
                raise DataError(f"Client {known!r} is asked for twice", at=place())
            chosen[known] = position
        return replace(self, _chosen=chosen)

    def split_clients(self, test_clients: int, *, seed: int) -> tuple[ClientData, ClientData]:
        """Splits the clients, not their examples, into two parts.

        Args:
            test_clients: How many clients go into the second part; at least one client stays in the first.
            seed: Which of the ways to split; the same seed gives the same split.

        Returns:
            The clients to train on, and those to test on, both in the order of ``ids``.

        Raises:
            ArgumentError: If a part would be empty.
        """
        test_clients = _whole_number(test_clients, "The number of test clients")
        if not 0 < test_clients < len(self):
            raise ArgumentError(
                "Neither part may be empty",
                found=f"{test_clients} of {len(self)} clients for the test",
                expected=f"1 to {len(self) - 1}" if len(self) > 1 else "more than one client to split",
                at=place(),
            )
        order = permutation(derive_key(_whole_number(seed, "A seed"), "split clients"), len(self))
        test = np.sort(order[:test_clients])
        train = np.sort(order[test_clients:])
        return self.select(self.ids[i] for i in train), self.select(self.ids[i] for i in test)

    # ------------------------------------------------------------ declared transforms

    def _then(self, transform: Transform) -> ClientData:
        element = transformed(self.element_type, transform)
        return replace(self, _transforms=(*self._transforms, transform), element_type=element)

    def map(self, fn: Callable[..., Any]) -> ClientData:
        """Every example through a function.

        Args:
            fn: Takes an example in its container (a mapping for named fields) and returns arrays in any
                container. It is traced by JAX now, and run where the examples are used.

        Raises:
            TracingError: If JAX cannot trace it.
        """
        return self._then(Map(kind("jax").trace(fn, self.element_type)))

    def filter(self, fn: Callable[..., Any]) -> ClientData:
        """The examples for which a function is true.

        Args:
            fn: Takes an example as in ``map``, and returns a truth value.

        Raises:
            TracingError: If JAX cannot trace it.
            TypeMismatchError: If it returns something else.
        """
        return self._then(Filter(kind("jax").trace(fn, self.element_type)))

    def shuffle(self, seed: int) -> ClientData:
        """All examples of each client in an order drawn from a seed, another one in each repetition."""
        return self._then(Shuffle(_whole_number(seed, "A seed")))

    def repeat(self, n: int) -> ClientData:
        """The examples of each client ``n`` times over."""
        return self._then(Repeat(_whole_number(n, "The number of repetitions")))

    def take(self, n: int) -> ClientData:
        """The first ``n`` examples of each client, or all if it has fewer."""
        return self._then(Take(_whole_number(n, "The number of elements to take")))

    def batch(self, n: int) -> ClientData:
        """Runs of ``n`` examples of a client stacked along a new first dimension; the last may be shorter."""
        return self._then(Batch(_whole_number(n, "The size of a batch")))


def whole(store: Store) -> ClientData:
    """All clients of a store."""
    return ClientData(store, {client: i for i, client in enumerate(store.ids)}, (), store.element)


def _whole_number(value: int, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{what} must be a whole number", found=repr(value), at=place()) from None
