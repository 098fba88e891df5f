# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays, and clients' examples as Python values, to examples in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import numpy as np

from foedus.data import ClientId, Columns, Ragged, cohort_of, flat_columns, map_columns
from foedus.errors import DataError, place
from foedus.simulation._store import Resident
from foedus.types import (
    DTYPES,
    STRING,
    Sequence,
    Struct,
    Tensor,
    Type,
    container_of,
    field_path,
    parts_of,
    to_type,
    type_of,
)

Array: TypeAlias = np.ndarray[Any, Any]


def resident_rows(columns: Any, client_ids: Any) -> Resident:
    """Groups rows by client, in the order in which clients first appear.

    Args:
        columns: An array ``[rows, ...]``, or nested mappings, tuples or dataclasses of such arrays.
        client_ids: One id a row.

    Raises:
        DataError: If columns differ in length, or something is no column or no id.
    """
    element, stored = _to_columns(columns, "")
    arrays = flat_columns(stored)
    if not arrays:
        raise DataError("There are no columns", found=f"{type(columns).__name__}", at=place())
    rows = len(arrays[0])
    _check_lengths(columns, rows)
    numbers: dict[ClientId, int] = {}
    ids, lengths = _runs_of(client_ids)
    owner = np.repeat(np.array([numbers.setdefault(i, len(numbers)) for i in ids], np.int64), lengths)
    if len(owner) != rows:
        raise DataError(
            "There must be one client id for each row",
            found=f"{len(owner)} ids",
            expected=f"{rows}",
            at=place(),
        )
    if np.any(owner[1:] < owner[:-1]):
        order = np.argsort(owner, kind="stable")
        stored = map_columns(lambda column: column[order], stored)
    count = np.bincount(owner, minlength=len(numbers)).astype(np.int64)
    return Resident(tuple(numbers), Ragged(element, stored, np.cumsum(count) - count, count))


def _to_columns(value: Any, path: str) -> tuple[Type, Columns]:
    """The type of one row, and the columns as nested tuples."""
    parts = None if isinstance(value, list) or value is None else parts_of(value)
    if parts is None:
        array = _to_column(value, path)
        return Tensor(STRING if array.dtype.kind == "O" else array.dtype, array.shape[1:]), array
    inner = [(name, *_to_columns(item, path + field_path(i, name))) for i, (name, item) in enumerate(parts)]
    fields = tuple((name, type_) for name, type_, _ in inner)
    return Struct(fields, container_of(value)), tuple(column for _, _, column in inner)


def _to_column(value: Any, path: str) -> Array:
    if not hasattr(value, "dtype") or not hasattr(value, "shape") or len(value.shape) < 1:
        raise DataError(
            "A column must be an array with one row for each example",
            found=f"{type(value).__name__}: {repr(value)[:60]}",
            at=place(_of_columns(path)),
            hint="give it a dtype, as in np.asarray(values, dtype=np.float32)",
        )
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        return _to_texts(array, path)
    if array.dtype in DTYPES.values():
        return array
    raise DataError(
        "A column cannot have this dtype",
        found=array.dtype,
        expected=", ".join(DTYPES),
        at=place(_of_columns(path)),
    )


def _of_columns(path: str) -> str | None:
    return f"{path} of the columns" if path else None


def _to_texts(array: Array, path: str) -> Array:
    odd = next((item for item in array.flat if not isinstance(item, str | bytes)), None)
    if odd is not None:
        raise DataError(
            "A column of objects can only hold strings",
            found=f"{type(odd).__name__}: {repr(odd)[:60]}",
            at=place(_of_columns(path)),
            hint="give it a number's dtype; examples of unequal size need `from_clients`",
        )
    texts = np.empty(array.shape, dtype=object)
    for i, item in enumerate(array.flat):
        texts.flat[i] = item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)
    return texts


def _check_lengths(columns: Any, rows: int) -> None:
    for path, length in _lengths(columns, ""):
        if length != rows:
            raise DataError(
                "The columns differ in length",
                found=f"{length} rows",
                expected=f"{rows} rows, as in the first column",
                at=place(_of_columns(path)),
            )


def _lengths(value: Any, path: str) -> Iterable[tuple[str, int]]:
    parts = parts_of(value)
    if parts is None:
        yield path, len(value)
        return
    for i, (name, item) in enumerate(parts):
        yield from _lengths(item, path + field_path(i, name))


def _runs_of(values: Any) -> tuple[list[ClientId], Array]:
    """The id of each run of neighbouring rows that have the same, and how many rows it has."""
    array = np.asarray(values) if hasattr(values, "dtype") else None
    if array is None or array.dtype.kind not in "iuU" or array.ndim != 1 or not len(array):
        ids = _to_ids(values)
        return ids, np.ones(len(ids), np.int64)
    begins = np.flatnonzero(np.concatenate([[True], array[1:] != array[:-1]]))
    return _to_ids(array[begins]), np.diff(begins, append=len(array))


def _to_ids(values: Any) -> list[ClientId]:
    listed = cast("list[Any]", values.tolist() if hasattr(values, "tolist") else list(values))
    ids = [_to_id(value) for value in listed]
    if len({type(i) for i in ids}) > 1:
        raise DataError("Client ids are all strings or all whole numbers", found=ids[:5], at=place())
    return ids


def _to_id(value: Any) -> ClientId:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise DataError(
        "A client id is a string or a whole number",
        found=f"{type(value).__name__}: {value!r}"[:80],
        at=place(),
    )


def resident_clients(clients: Mapping[str, Any] | Mapping[int, Any], element_type: object) -> Resident:
    """Joins the examples of clients.

    Args:
        clients: For each client a list of elements, or an array or a mapping of arrays with one row an
            example.
        element_type: A specification of the type of one example, None to take it from the first client that
            has any.

    Raises:
        DataError: If the type is not given and cannot be told.
        TypeMismatchError: If an example has another type; the error names the client and the path.
    """
    if not isinstance(clients, Mapping):
        raise DataError(
            "The clients must be a mapping from their ids to their examples",
            found=type(clients).__name__,
            at=place(),
        )
    element = _element_of(clients) if element_type is None else to_type(element_type)
    named = {_to_id(client): examples for client, examples in clients.items()}
    cohort = cohort_of(named, Sequence(element))
    return Resident(cohort.ids, cohort.value)


def _element_of(clients: Mapping[Any, Any]) -> Type:
    for examples in clients.values():
        if hasattr(examples, "shape") or isinstance(examples, Mapping):
            return _to_columns(examples, "")[0]
        for example in examples:
            return type_of(example)
    raise DataError(
        "The type of an example cannot be told: no client has any",
        at=place(),
        hint='say it: from_clients(..., element_type={"x": ("float32", (8,)), "y": "int32"})',
    )
