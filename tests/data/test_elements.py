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
    ],
)
def test_which_elements_have_rows(element: str, rows: bool):
    assert has_rows(parse(element)) == rows


@pytest.mark.parametrize(
    "element", ["<int32[?],int32>", "int32[2,?]", "int32[...]", "<int32[?,?]>", "<int32[?],int32[2]>"]
)
def test_elements_partly_with_rows_are_refused(refused, element: str):
    message = f"""
    In a sequence, either no dimension is unknown or the first one of every leaf
      found     {element}
      at        HERE
    """
    with refused(DataError, message):
        has_rows(parse(element))


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
        empty_columns,
        lambda type_: transformed(type_, Batch(2)),
        lambda type_: cohort_of([None], type_),
    ],
    ids=["rows", "columns", "batches", "cohort"],
)
def test_a_type_of_no_element_is_our_own_mistake(use: Callable[[Type], Any]):
    with pytest.raises(AssertionError, match="please report"):
        use(parse("(int32 -> int32)"))
