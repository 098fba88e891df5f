# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Randomness by counting: keys from keys, and permutations from keys."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from foedus.types import Array

ClientId: TypeAlias = str | int
Key: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]

ROUNDS = 6
"""Rounds of the permutation's Feistel network."""
MULTIPLIERS = (0x85EBCA6B, 0xC2B2AE35, 0x9E3779B9)
"""Odd constants of its round function: the finaliser of MurmurHash3, and the golden ratio."""


def are_ids(ids: Iterable[object]) -> bool:
    """Whether all of these are strings, or all whole numbers, which clients' ids have to be."""
    sorts = set(map(type, ids))
    return any(all(issubclass(sort, wanted) for sort in sorts) for wanted in (str, (int, np.integer)))


def derive_key(*parts: ClientId | bytes) -> Key:
    """A key that depends on every part.

    Args:
        *parts: Strings, whole numbers and bytes; their kinds and borders count, not only their characters.

    Returns:
        uint32[2]: the first eight bytes of BLAKE2b over the parts, little endian.
    """
    digest = blake2b(b"".join(map(_framed, parts)), digest_size=8)
    return np.frombuffer(digest.digest(), dtype="<u4").astype(np.uint32)


def _framed(part: ClientId | bytes) -> bytes:
    """A part with its kind and its length."""
    data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
    sort = b"i" if isinstance(part, int | np.integer) else b"s" if isinstance(part, str) else b"b"
    return sort + len(data).to_bytes(8, "little") + data


def client_key(server_key: ArrayLike, client: ClientId, purpose: str) -> Key:
    """The key of one client for one purpose.

    Args:
        server_key: uint32[2], of one round.
        client: The client's id.
        purpose: What the key is for.

    Returns:
        uint32[2]. It depends on nothing else: not on the cohort, its order, or the number of workers.
    """
    return derive_key(np.asarray(server_key, dtype="<u4").tobytes(), client, purpose)


def client_keys(server_key: ArrayLike, clients: Iterable[ClientId], purpose: str) -> Key:
    """``client_key`` of several clients: uint32[clients,2]."""
    start = blake2b(_framed(np.asarray(server_key, dtype="<u4").tobytes()), digest_size=8)
    end, found = _framed(purpose), bytearray()
    for client in clients:
        digest = start.copy()
        digest.update(_framed(client) + end)
        found += digest.digest()
    return np.frombuffer(bytes(found), dtype="<u4").astype(np.uint32).reshape(-1, 2)


def half_bits(size: int) -> int:
    """Bits in each half of the permutation's domain, the least power of four that holds ``size`` values."""
    return max(1, ((size - 1).bit_length() + 1) // 2)


def _scramble(x: Array, k: Array) -> Array:
    x = (x ^ k) * np.uint32(MULTIPLIERS[0])
    x = (x ^ (x >> np.uint32(13))) * np.uint32(MULTIPLIERS[1])
    return x ^ (x >> np.uint32(16))


def permutation(key: ArrayLike, size: int, repetition: int = 0) -> Array:
    """A permutation that a key determines.

    A Feistel network over the least power of four that holds ``size``, walked until the value is below
    ``size`` (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, section 3), so that every
    position can be computed on its own, inside compiled code too.

    Args:
        key: uint32[2].
        size: How many values are permuted.
        repetition: Which repetition of the data this is; each has an order of its own.

    Returns:
        int64[size].
    """
    key = np.asarray(key, dtype=np.uint32)
    bits = np.uint32(half_bits(size))
    mask = np.uint32((1 << int(bits)) - 1)
    with np.errstate(over="ignore"):
        again = np.uint32(repetition) * np.uint32(MULTIPLIERS[2])
        counters = np.arange(ROUNDS, dtype=np.uint32) * np.uint32(MULTIPLIERS[2])
        round_keys = [_scramble(key[i % 2] + again, counters[i]) for i in range(ROUNDS)]
        values = np.arange(size, dtype=np.uint32)
        outside = np.ones(size, dtype=bool)
        while outside.any():
            left, right = values[outside] >> bits, values[outside] & mask
            for k in round_keys:
                left, right = right, left ^ (_scramble(right, k) & mask)
            values[outside] = (left << bits) | right
            outside = values >= np.uint32(size)
    return values.astype(np.int64)
