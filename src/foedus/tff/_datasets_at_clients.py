# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tf.data`` data sets given as the clients' values become a cohort, each read once."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, final

from foedus.data import ClientId, Cohort, Elements, Stock, cohort_of, to_member
from foedus.errors import DataError, TypeMismatchError, place
from foedus.frontends.tf_data import elements_of
from foedus.types import STRING, Sequence, Tensor, Type, difference, to_type, walk

_INFINITE = -1
"""What a data set without end says of its cardinality."""

_right: list[tuple[Any, Type]] = []
"""What specified the last data set that was right, and the type that it was right for."""

_FIRST_BYTES = 2**30
"""How much room there is at first for the data sets of one type; what nobody writes to takes no memory."""


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
    of_client: dict[ClientId, Any] = dict(
        zip(list(values) if named else range(len(datasets)), datasets, strict=True)
    )
    if _has_strings(element):
        members = {client: _elements(dataset, element, client) for client, dataset in of_client.items()}
        return cohort_of(members, Sequence(element))
    return _held_for(element).cohort(of_client)


@final
class _Held:
    """What living data sets of one type hold.

    Args:
        element: The type of an element.
    """

    def __init__(self, element: Type) -> None:
        self._element = element
        self._stock = Stock(element, _FIRST_BYTES)
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def cohort(self, datasets: Mapping[ClientId, Any]) -> Cohort:
        """The cohort of clients' data sets."""
        for client, dataset in datasets.items():
            if dataset not in self._numbers:
                self._hold(dataset, _elements(dataset, self._element, client))
        return self._stock.cohort({client: self._numbers[d] for client, d in datasets.items()})

    def _hold(self, dataset: Any, elements: Elements) -> None:
        number = self._stock.put(elements)
        if number is None:
            living = list(self._numbers.items())
            self._stock = self._stock.renewed([own for _, own in living], elements)
            self._numbers = weakref.WeakKeyDictionary({known: i for i, (known, _) in enumerate(living)})
            number = self._stock.put(elements)
            assert number is not None, "a renewed stock has no room; please report"
        self._numbers[dataset] = number


@lru_cache(maxsize=64)
def _has_strings(element: Type) -> bool:
    return any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(element))


@lru_cache(maxsize=4)
def _held_for(element: Type) -> _Held:
    return _Held(element)


def _elements(dataset: Any, element: Type, client: Any) -> Elements:
    _check_spec(dataset, element, client)
    read = elements_of(dataset, element, client)
    if read is None:
        _require_an_end(dataset, client)
        read = to_member(dataset, Sequence(element), f"the data set of client {client!r}", client)
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
