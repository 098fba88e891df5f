# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Randomness by counting: keys depend on what they should, permutations permute (spec, section 6)."""

from __future__ import annotations

import itertools
from hashlib import blake2b
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.data import client_key, client_keys, derive_key, half_bits, permutation

SIZES = [*range(20), 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 1000, 1023, 1024, 1025, 4097, 65536, 65537]
parts = st.lists(st.text() | st.integers() | st.binary(), max_size=4)


def test_a_key_is_the_hash_that_the_spec_says():
    """R1, spelled out."""
    data = b"i" + (1).to_bytes(8, "little") + b"7" + b"s" + (5).to_bytes(8, "little") + b"noise"
    digest = blake2b(data, digest_size=8).digest()
    assert derive_key(7, "noise").tolist() == [
        int.from_bytes(digest[:4], "little"),
        int.from_bytes(digest[4:], "little"),
    ]


def test_keys_stay_as_they_are_from_release_to_release():
    assert derive_key().tolist() == [1470146276, 3031595380]
    assert client_key(np.array([1, 2], np.uint32), "ada", "shuffle").tolist() == [2912853873, 3725238545]
    assert permutation([1, 2], 8).tolist() == [4, 2, 1, 6, 5, 7, 0, 3]
    assert permutation([1, 2], 8, 1).tolist() == [2, 1, 0, 5, 6, 3, 7, 4]


@given(parts, parts)
def test_other_parts_give_another_key(one: list[str | int | bytes], other: list[str | int | bytes]):
    same_kinds = [type(p) for p in one] == [type(p) for p in other]
    assert np.array_equal(derive_key(*one), derive_key(*other)) == (one == other and same_kinds)


def test_kinds_and_borders_of_parts_count():
    keys = [
        derive_key(*p)
        for p in [(1,), ("1",), (b"1",), ("1", ""), ("", "1"), ("a", "bc"), ("ab", "c"), (True,)]
    ]
    assert len({tuple(key.tolist()) for key in keys}) == len(keys)


def test_keys_differ_by_client_purpose_and_round():
    rounds = [derive_key("seed", r) for r in range(5)]
    keys = {
        tuple(client_key(key, client, purpose).tolist())
        for key in rounds
        for client in ["0", 0, "1", 1, "größe", ""]
        for purpose in ["noise", "shuffle"]
    }
    assert len(keys) == 5 * 6 * 2


@given(st.permutations(["ada", "bea", "cid", "dan"]), st.integers(1, 4))
def test_a_clients_key_does_not_depend_on_the_cohort(clients: list[str], count: int):
    server_key = np.array([3, 4], np.uint32)
    keys = client_keys(server_key, clients[:count], "noise")
    assert keys.dtype == np.uint32
    assert keys.shape == (count, 2)
    for client, key in zip(clients, keys, strict=False):
        assert np.array_equal(key, client_key(server_key, client, "noise"))


def test_a_number_is_the_same_client_whether_pythons_or_numpys():
    assert np.array_equal(derive_key(cast("int", np.int64(7))), derive_key(7))
    assert np.array_equal(derive_key(np.str_("7")), derive_key("7"))


def test_nobody_has_no_keys():
    assert client_keys([1, 2], [], "noise").shape == (0, 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_permutation_is_one(size: int):
    for key, repetition in itertools.product([[0, 0], [1, 2], [2**32 - 1, 5]], [0, 1, 7]):
        order = permutation(key, size, repetition)
        assert order.dtype == np.int64
        assert np.array_equal(np.sort(order), np.arange(size))


@pytest.mark.parametrize("size", [10, 64, 1000])
def test_every_key_and_repetition_has_an_order_of_its_own(size: int):
    orders = {tuple(permutation([k, 9], size, r).tolist()) for k in range(20) for r in range(20)}
    assert len(orders) == 400


def test_every_element_comes_to_every_place_about_as_often():
    size, keys = 7, 2100
    counts = np.zeros((size, size))
    for k in range(keys):
        counts[np.arange(size), permutation(derive_key(k), size)] += 1
    # Each count is binomial with a mean of 300 and a deviation of 16; six deviations are no chance.
    assert np.abs(counts - keys / size).max() < 6 * 16


def test_half_the_bits_of_a_domain():
    assert [half_bits(size) for size in (0, 1, 2, 4, 5, 16, 17, 64, 65)] == [1, 1, 1, 1, 2, 2, 3, 3, 4]
    for size in range(1, 5000):
        assert 4 ** half_bits(size) >= size
        assert half_bits(size) == 1 or 4 ** (half_bits(size) - 1) < size
