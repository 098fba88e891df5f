# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Ragged columns and declared transforms, against plain Python lists."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.data import (
    Batch,
    Elements,
    Filter,
    Map,
    Ragged,
    Repeat,
    Shuffle,
    Take,
    Transform,
    Unit,
    client_key,
    cohort_of,
    derive_key,
    empty_columns,
    flat_columns,
    has_rows,
    map_columns,
    permutation,
    stack,
    transformed,
    units,
)
from foedus.errors import ClientError, DataError
from foedus.foreign import kind
from foedus.types import Type, parse

INTEGER = parse("int32")
CLIENT = "ada"


def leaf(fn: Callable[..., Any], parameter: str) -> Any:
    return kind("jax").trace(fn, parse(parameter))


TRIPLED = Map(leaf(lambda x: 3 * x + 1, "int32"))
ODD = Filter(leaf(lambda x: x % 2 == 1, "int32"))
SUMMED = Map(leaf(lambda x: x.sum().astype("int32"), "int32[?]"))


def oracle(items: list[Any], transforms: tuple[Transform, ...], repetition: int = 0) -> list[Any]:
    """What transforms mean (spec, C1 to C4), on a list of Python integers or lists of such."""
    if not transforms:
        return items
    *before, last = transforms

    def previous(number: int) -> list[Any]:
        return oracle(items, tuple(before), number)

    match last:
        case Map():
            return [3 * x + 1 if last is TRIPLED else sum(x) for x in previous(repetition)]
        case Filter():
            return [x for x in previous(repetition) if x % 2 == 1]
        case Take(count):
            return previous(repetition)[:count]
        case Repeat(count):
            return [x for k in range(count) for x in previous(repetition * count + k)]
        case Batch(size):
            found = previous(repetition)
            return [found[i : i + size] for i in range(0, len(found), size)]
        case Shuffle(seed):
            found = previous(repetition)
            key = client_key(derive_key(seed), CLIENT, "shuffle")
            return [found[i] for i in permutation(key, len(found), repetition)]


def elements(items: list[int], transforms: tuple[Transform, ...]) -> Elements:
    """The items as the second of three clients, in columns that hold more than theirs."""
    columns = np.array([100, 101, *items, 102], np.int32)
    first, count = np.array([0, 2, 2 + len(items)]), np.array([2, len(items), 1])
    return Elements(Ragged(INTEGER, columns, first, count, None, transforms), 1, CLIENT)


EACH_ONCE = (Shuffle(3), Repeat(2), Take(3), Batch(2), TRIPLED, ODD)
ORDERS = [
    order
    for length in range(4)
    for order in itertools.permutations(EACH_ONCE, length)
    if Batch(2) not in order or {TRIPLED, ODD}.isdisjoint(order[order.index(Batch(2)) :])
]


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_transforms_in_every_order_mean_what_lists_mean(count: int):
    items = list(range(count))
    for order in ORDERS:
        read = [np.asarray(e).tolist() for e in elements(items, order)]
        assert read == oracle(items, order), order


transforms = st.lists(
    st.sampled_from([Shuffle(3), Shuffle(4), TRIPLED, ODD])
    | st.builds(Repeat, st.integers(1, 3))
    | st.builds(Take, st.integers(1, 5)),
    max_size=5,
)


@given(st.lists(st.integers(-5, 5), max_size=6), transforms, transforms, st.booleans())
def test_longer_chains_with_batches_that_are_mapped(
    items: list[int], before: list[Transform], after: list[Transform], batched: bool
):
    middle = [Batch(2), SUMMED] if batched else []
    chain = (*before, *middle, *after)
    assert [np.asarray(e).tolist() for e in elements(items, chain)] == oracle(items, chain)


def test_a_sequence_is_read_as_often_as_one_likes():
    shuffled = elements([1, 2, 3, 4, 5], (Shuffle(1), Repeat(2)))
    once = list(shuffled)
    assert once == list(shuffled)
    assert once[:5] != once[5:], "each repetition has an order of its own"


def test_the_order_depends_on_the_client():
    columns, zero, count = np.arange(20, dtype=np.int32), np.zeros(1, np.int64), np.full(1, 20)
    ragged = Ragged(INTEGER, columns, zero, count, None, (Shuffle(1),))
    assert list(Elements(ragged, 0, "ada")) != list(Elements(ragged, 0, "bea"))
    assert list(Elements(ragged, 0, "1")) != list(Elements(ragged, 0, 1))


def test_elements_with_rows_of_their_own():
    columns = (np.arange(6, dtype=np.int32), np.arange(12, dtype=np.float32).reshape(6, 2))
    rows = np.array([0, 2, 2, 5, 6])
    ragged = Ragged(parse("<int32[?],float32[?,2]>"), columns, np.array([0, 1]), np.array([1, 3]), rows)
    assert [x.tolist() for x, _ in Elements(ragged, 0, 0)] == [[0, 1]]
    assert [x.tolist() for x, _ in Elements(ragged, 1, 1)] == [[], [2, 3, 4], [5]]
    assert [y.shape for _, y in Elements(ragged, 1, 1)] == [(0, 2), (3, 2), (1, 2)]


def mixed(*transforms: Transform) -> Ragged:
    """Batches of 2, 0, 3 and 1 rows, each with a number of its own: one client has one, the next two, the
    next none; the first batch and the last row are nobody's.
    """
    columns = (np.arange(7, dtype=np.int32), (np.array([9, 8, 7, 6], np.int8), np.arange(8).reshape(4, 2)))
    rows, element = np.array([0, 2, 2, 5, 6]), parse("<x=int32[?],y=<int8,int64[2]>>")
    return Ragged(element, columns, np.array([1, 2, 4]), np.array([1, 2, 0]), rows, transforms)


MIXED = [[([], (8, [2, 3]))], [([2, 3, 4], (7, [4, 5])), ([5], (6, [6, 7]))], []]


def as_lists(elements: Any) -> Any:
    if isinstance(elements, tuple):
        return tuple(map(as_lists, elements))
    return np.asarray(elements).tolist()


def test_elements_with_rows_in_some_of_their_tensors():
    ragged = mixed()
    for i, expected in enumerate(MIXED):
        assert [as_lists(e) for e in Elements(ragged, i, i)] == expected
        assert [as_lists(e) for e in Elements(ragged.of(np.array([2, i])), 1, i)] == expected


def test_what_one_client_has_stored():
    for i, (x, numbers, offsets) in enumerate(
        [([], [8], [0, 0]), ([2, 3, 4, 5], [7, 6], [0, 3, 4]), ([], [], [0])]
    ):
        columns, rows = mixed().own(i)
        assert as_lists(columns)[0] == x
        assert as_lists(columns)[1][0] == numbers
        assert as_lists(rows) == offsets
    columns, rows = elements([4, 5], ()).ragged.own(1)
    assert (as_lists(columns), rows) == ([4, 5], None)


def test_transforms_of_elements_with_rows_in_some_of_their_tensors():
    for transform, expected in [
        (Repeat(2), MIXED[1] * 2),
        (Take(1), MIXED[1][:1]),
        (Map(leaf(lambda e: e["x"].sum() * e["y"][0], "<x=int32[?],y=<int8,int64[2]>>")), [9 * 7, 5 * 6]),
        (Filter(leaf(lambda e: e["y"][0] < 7, "<x=int32[?],y=<int8,int64[2]>>")), MIXED[1][1:]),
    ]:
        assert [as_lists(e) for e in Elements(mixed(transform), 1, CLIENT)] == expected
    counted = Map(leaf(lambda x: (x, np.int32(x.shape[0])), "int32[?]"))
    read = elements([1, 2, 3, 4, 5], (Batch(2), counted))
    assert str(read.ragged.transformed) == "<int32[?],int32>"
    assert [as_lists(e) for e in read] == [([1, 2], 2), ([3, 4], 2), ([5], 1)]


def test_strings_in_columns_keep_their_last_zeros():
    columns = np.array(["a\0", "b"], dtype=object)
    read = list(Elements(Ragged(parse("str"), columns, np.zeros(1, int), np.full(1, 2)), 0, 0))
    assert [str(e[()]) for e in read] == ["a\0", "b"]


def test_an_error_in_a_transform_names_the_client_and_the_line(refused):
    calls = [False]

    def broken(x: Any) -> Any:
        if calls[0]:
            raise ZeroDivisionError("no such luck")
        return x

    function = leaf(broken, "int32")
    calls[0] = True
    message = """
    A transform of the data of client 'ada' failed
      found     ZeroDivisionError: no such luck
      at        HERE
    """
    with refused(ClientError, message):
        list(elements([1], (Map(function),)))


@pytest.mark.parametrize(
    ("element", "rows"),
    [
        ("int32", False),
        ("<a=int32[2],b=<>>", False),
        ("int32[?]", True),
        ("<a=int32[?,3],b=<str[?]>>", True),
        ("<int32[?],int32>", True),
        ("<a=int32[2],b=<str[?],<>>>", True),
    ],
)
def test_which_elements_have_rows(element: str, rows: bool):
    assert has_rows(parse(element)) == rows


def test_what_an_entry_of_a_column_is():
    element, row = Unit.ELEMENT, Unit.ROW
    assert units(parse("int32[?]")) is row
    assert units(parse("<a=int32[?,3],b=<str,<>>,c=int32[0]>")) == (row, (element, ()), element)


@pytest.mark.parametrize(
    ("element", "found", "path"),
    [
        ("int32[2,?]", "int32[2,?]", "an element"),
        ("int32[...]", "int32[...]", "an element"),
        ("<int32[?,?]>", "int32[?,?]", "[0] of an element"),
        ("<a=int32[?],b=<int32,c=str[1,?]>>", "str[1,?]", ".b.c of an element"),
    ],
)
def test_other_unknown_dimensions_than_the_first_are_refused(refused, element: str, found: str, path: str):
    message = f"""
    In a sequence, only the first dimension of a tensor can be unknown
      found     {found}
      at        {path}, HERE
    """
    for use in (has_rows, units):
        with refused(DataError, message):
            use(parse(element))


def test_columns_are_arrays_in_nested_tuples():
    columns = (np.arange(3), (np.arange(2), ()))
    assert [len(c) for c in flat_columns(columns)] == [3, 2]
    assert map_columns(len, columns) == (3, (2, ()))
    stacked = stack([(1, (2.0,)), (3, (4.0,))])
    assert stacked[0].tolist() == [1, 3]
    assert stacked[1][0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "use",
    [
        has_rows,
        units,
        empty_columns,
        lambda type_: transformed(type_, Batch(2)),
        lambda type_: cohort_of([None], type_),
    ],
    ids=["rows", "units", "columns", "batches", "cohort"],
)
def test_a_type_of_no_element_is_our_own_mistake(use: Callable[[Type], Any]):
    with pytest.raises(AssertionError, match="please report"):
        use(parse("(int32 -> int32)"))
