# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tf.data`` data sets given as the clients' values become a cohort, each read once."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from foedus.data import ClientId, Cohort, Elements, cohort_of_elements, in_memory, to_member
from foedus.errors import DataError, TypeMismatchError, place
from foedus.frontends.tf_data import elements_of
from foedus.types import Sequence, Type, difference, to_type

_INFINITE = -1
"""What a data set without end says of its cardinality."""

_read: weakref.WeakKeyDictionary[Any, tuple[Type, Elements]] = weakref.WeakKeyDictionary()
"""What each living data set holds."""

_right: list[tuple[Any, Type]] = []
"""What specified the last data set that was right, and the type that it was right for."""

_last: list[tuple[list[weakref.ref[Any]], Type, Cohort]] = []
"""The last list of data sets without names, and the cohort that was made of it."""


def is_dataset(value: object) -> bool:
    """Whether this is a ``tf.data.Dataset``, or offers the same."""
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


def cohort_of_datasets(values: Any, element: Type) -> Any:
    """The cohort of a list, or a mapping from ids, of data sets; anything else as it is.

    A data set is read once, and what it held then is kept as long as it lives: later rounds with it cost
    nothing, and one that is shuffled keeps its first order.

    Args:
        values: The clients' values.
        element: The type of an element.

    Returns:
        The cohort, or ``values``.

    Raises:
        TypeMismatchError: If a data set's elements are of another type; the error names the client.
        DataError: If a data set has no end.
    """
    named = isinstance(values, Mapping)
    if not named and not isinstance(values, list | tuple):
        return values
    datasets = list(values.values()) if named else list(values)
    if not datasets or not all(is_dataset(dataset) for dataset in datasets):
        return values
    if not named and (found := _cohort_before(datasets, element)) is not None:
        return found
    ids = list(values) if named else list(range(len(datasets)))
    members: dict[ClientId, Elements] = {
        i: _elements(dataset, element, i) for i, dataset in zip(ids, datasets, strict=True)
    }
    cohort = cohort_of_elements(members, element)
    if not named:
        _last[:] = [([weakref.ref(dataset) for dataset in datasets], element, cohort)]
    return cohort


def _cohort_before(datasets: list[Any], element: Type) -> Cohort | None:
    """The cohort that was made of these very data sets just before, now in arrays for they are used again."""
    for references, type_, cohort in _last:
        same = len(references) == len(datasets) and all(
            reference() is dataset for reference, dataset in zip(references, datasets, strict=True)
        )
        if same and type_ == element:
            again = in_memory(cohort)
            _last[:] = [(references, type_, again)]
            return again
    return None


def _elements(dataset: Any, element: Type, client: Any) -> Elements:
    type_, found = _read.get(dataset, (None, None))
    if found is not None and type_ == element:
        return found
    _check_spec(dataset, element, client)
    read = elements_of(dataset, element, client)
    if read is None:
        _require_an_end(dataset, client)
        read = to_member(dataset, Sequence(element), f"the data set of client {client!r}", client)
    _read[dataset] = (element, read)
    return read


def _check_spec(dataset: Any, element: Type, client: Any) -> None:
    if (dataset.element_spec, element) in _right:
        return
    found = difference(element, to_type(dataset.element_spec))
    if found is not None:
        raise TypeMismatchError(
            f"The data set of client {client!r} has elements of another type than the model's input",
            found=f"{to_type(dataset.element_spec)}, with {found.found} where {found.expected} is needed",
            expected=element,
            at=place(f"{found.path} of an element" if found.path else "an element"),
            hint="bring the data set to the input_spec that the model was made with, for example by batch",
        )
    _right[:] = [(dataset.element_spec, element)]


def _require_an_end(dataset: Any, client: Any) -> None:
    cardinality: Any = getattr(dataset, "cardinality", lambda: 0)
    if int(cardinality()) == _INFINITE:
        raise DataError(
            f"The data set of client {client!r} has no end",
            found="a data set that is repeated for ever",
            at=place(),
            hint="repeat(n) with a number, or take(n)",
        )
