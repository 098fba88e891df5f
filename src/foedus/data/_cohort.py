# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values at clients, as every source makes them and every runtime reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np

from foedus.data._columns import (
    Columns,
    concatenate,
    empty_columns,
    flat_columns,
    has_rows,
    in_columns,
    units,
)
from foedus.data._datasets import Dataset, runs_of
from foedus.data._elements import Elements, Ragged
from foedus.data._keys import ClientId, are_ids
from foedus.errors import DataError, place
from foedus.types import (
    Array,
    PlainValue,
    PythonValue,
    Sequence,
    Struct,
    Tensor,
    Type,
    check_assignable,
    to_plain,
)

_ByClient: TypeAlias = Any
"""An array ``[clients, ...]`` for a tensor, a ``Ragged`` for a sequence, a tuple for a struct."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """One value for each of several clients.

    Args:
        ids: The clients, each once: all strings or all whole numbers.
        type: The type of one client's value.
        value: An array ``[clients, ...]`` for a tensor, a ``Ragged`` for a sequence, a tuple for a struct.
    """

    ids: tuple[ClientId, ...]
    type: Type
    value: _ByClient

    def __post_init__(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            twice = Counter(self.ids).most_common(1)[0][0]
            raise DataError(f"Client {twice!r} is in the cohort twice", at=place())
        if not are_ids(self.ids):
            raise DataError("Client ids are all strings or all whole numbers", found=self.ids[:5], at=place())

    def __len__(self) -> int:
        return len(self.ids)

    def client(self, index: int) -> PlainValue:
        """The plain value of one client, by its index in ``ids``."""
        return _at(self.value, index, self.ids[index])

    def order(self) -> list[int]:
        """The clients' indices in the order of their ids, in which runtimes reduce."""
        return sorted(range(len(self.ids)), key=self.ids.__getitem__)

    def take(self, indices: Iterable[int]) -> Cohort:
        """The cohort of some of the clients, in the order given; columns are shared."""
        chosen = list(indices)
        ids = tuple(self.ids[i] for i in chosen)
        return Cohort(ids, self.type, _take(self.value, np.array(chosen, dtype=np.int64)))


@runtime_checkable
class Source(Protocol):
    """What can stand for values at clients in a call."""

    def cohort(self) -> Cohort:
        """Its values as a cohort."""
        ...


def _at(value: _ByClient, index: int, client: ClientId) -> PlainValue:
    if isinstance(value, Ragged):
        return Elements(value, index, client)
    if isinstance(value, tuple):
        return tuple(_at(item, index, client) for item in cast("tuple[_ByClient, ...]", value))
    item = value[index]
    return np.array(item, dtype=object) if isinstance(item, str) else item


def _take(value: _ByClient, chosen: Array) -> _ByClient:
    if isinstance(value, Ragged):
        return value.of(chosen)
    if isinstance(value, tuple):
        return tuple(_take(item, chosen) for item in cast("tuple[_ByClient, ...]", value))
    return value[chosen]


def cohort_of(values: Mapping[ClientId, PythonValue] | Iterable[PythonValue], member: Type) -> Cohort:
    """Makes a cohort of Python values.

    Args:
        values: One value a client: a mapping from ids, or a list, whose indices become the ids. A sequence is
            a list of its elements, or (cheaper) an array or a mapping of arrays with the elements along the
            first dimension.
        member: The type of one value.

    Returns:
        The cohort.

    Raises:
        DataError: If a client's value does not match; the error names the client and the path.
    """
    if isinstance(values, Mapping):
        named = cast("Mapping[ClientId, PythonValue]", values)
        ids, items = tuple(named.keys()), list(named.values())
    else:
        items = list(values)
        ids = tuple(range(len(items)))
    plain = [
        to_member(item, member, f"the value of client {i!r}", i) for i, item in zip(ids, items, strict=True)
    ]
    return Cohort(ids, member, _gather(plain, member))


def to_member(value: PythonValue, member: Type, what: str, client: ClientId = 0) -> PlainValue:
    """Takes the value of one client, or of the server, apart.

    Args:
        value: The Python value.
        member: Its type.
        what: What it is, for the error's text.
        client: Whose it is.

    Returns:
        Arrays, tuples, and ``Elements`` for sequences.

    Raises:
        TypeMismatchError: If it is not of the type; the error names the path.
    """

    def sequence(value: PythonValue, type_: Sequence, what: str, path: str) -> Elements:
        if isinstance(value, Elements):
            given = value.ragged.transformed
            check_assignable(type_.element, given, what)
            if units(given) == units(type_.element):
                return value
            value = list(value)  # What has a known length there has rows of its own here.
        columns, rows, count = _stored(value, type_.element, what, path)
        zero = np.zeros(1, dtype=np.int64)
        return Elements(Ragged(type_.element, columns, zero, zero + count, rows), 0, client)

    return to_plain(value, member, what, sequences=sequence)


def _is_columnar(value: PythonValue, element: Type) -> bool:
    if isinstance(element, Tensor):
        return hasattr(value, "dtype") and hasattr(value, "shape")
    return isinstance(value, Mapping)


def _is_list(value: PythonValue) -> bool:
    if not hasattr(value, "__iter__") or getattr(value, "shape", None) == ():
        return False
    return not isinstance(value, str | bytes | Mapping)


def _stored(value: PythonValue, element: Type, what: str, path: str) -> tuple[Columns, Array | None, int]:
    """Columns, row offsets and number of elements of a sequence given as elements or as columns."""
    if not has_rows(element) and _is_columnar(value, element):
        columns = to_plain(value, column_type(element), what, path)
        lengths = {len(column) for column in flat_columns(columns)}
        if len(lengths) > 1:
            raise DataError(
                f"The columns of {what} differ in length", found=f"lengths {sorted(lengths)}", at=place(path)
            )
        return columns, None, lengths.pop() if lengths else 0
    if isinstance(value, Dataset):
        if flat_columns(empty_columns(element)) and not has_rows(element):
            return _read_runs(value, element, what, path)
        value = list(value.as_numpy_iterator())
    if not _is_list(value):
        raise DataError(
            f"A sequence is needed in {what}",
            found=f"{type(value).__name__}: {repr(value)[:80]}",
            expected=f"a list of elements of type {element}, or columns",
            at=place(f"{path} of {what}" if path else what),
        )
    elements = [to_plain(item, element, what, f"{path}[{i}]") for i, item in enumerate(value)]
    columns, rows = in_columns(elements, element, what=what, path=path)
    return columns, rows, len(elements)


def _read_runs(dataset: Dataset, element: Type, what: str, path: str) -> tuple[Columns, Array | None, int]:
    """Columns of a data set whose elements are all of one shape."""
    try:
        runs = list(runs_of(dataset))
    except Exception as error:
        raise DataError(
            f"The data set cannot be read in {what}",
            found=f"{type(error).__name__}: {error}"[:400],
            expected=f"elements of type {element}",
            at=place(path or None),
        ) from error
    parts = [to_plain(run, column_type(element), what, path) for run in runs]
    columns = concatenate(parts) if parts else empty_columns(element)
    return columns, None, len(flat_columns(columns)[0])


def column_type(element: Type) -> Type:
    """The type of columns: that of each tensor with a first dimension more, whose size is unknown.

    Args:
        element: The type of one entry, of tensors of known shape.
    """
    match element:
        case Tensor(dtype, shape):
            return Tensor(dtype, (None, *(shape or ())))
        case Struct(fields, container):
            return Struct(tuple((name, column_type(t)) for name, t in fields), container)
        case _:
            raise AssertionError(f"{element} is in a sequence; please report")


def _gather(plain: list[PlainValue], member: Type) -> _ByClient:
    """Turns one plain value a client into columns over clients."""
    match member:
        case Sequence(element):
            return _gather_sequences(plain, element)
        case Struct(fields):
            return tuple(_gather([item[i] for item in plain], t) for i, (_, t) in enumerate(fields))
        case Tensor(shape=shape):
            if shape is None or None in shape:
                values = np.empty(len(plain), dtype=object)
                values[:] = plain
                return values
            return np.stack(plain) if plain else empty_columns(member)
        case _:
            raise AssertionError(f"{member} is at clients; please report")


def _gather_sequences(plain: list[Elements], element: Type) -> Ragged:
    counts = np.array(
        [len(list(e)) if e.ragged.transforms else e.ragged.count[e.index] for e in plain], dtype=np.int64
    )
    parts = [_own_columns(e) for e in plain]
    columns = concatenate([part for part, _ in parts]) if parts else empty_columns(element)
    first = np.cumsum([0, *counts])[:-1] if len(counts) else counts
    if not has_rows(element):
        return Ragged(element, columns, first, counts)
    sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(size for _, size in parts)])
    return Ragged(element, columns, first, counts, np.cumsum([0, *sizes], dtype=np.int64))


def _own_columns(elements: Elements) -> tuple[Columns, Array]:
    """The rows of one client's sequence, transforms applied, and the number of rows of each element."""
    ragged = elements.ragged
    if ragged.transforms:
        columns, rows, count = _stored(
            list(elements), ragged.transformed, f"the value of client {elements.client!r}", ""
        )
    else:
        columns, rows = ragged.own(elements.index)
        count = int(ragged.count[elements.index])
    return columns, np.ones(count, dtype=np.int64) if rows is None else np.diff(rows)
