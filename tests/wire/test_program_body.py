# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies of programs that somebody made up, under a right checksum: each is refused, soon and in little
memory.
"""

from __future__ import annotations

import time
import tracemalloc

import pytest

from foedus import wire
from foedus.errors import CorruptDataError, FoedusError, TypeMismatchError
from foedus.wire import Sender, _extent
from foedus.wire._envelope import Content, seal

from .stored_programs import program_of, stream

Items = tuple[int | str | bytes, ...]

NOTHING: Items = (1, 0, 0, 0, 0)
"""Format, and no tiers, types, literals and leaves."""
ONE = b"\x90" + stream(b"\7\0\0\0")
"""The number seven, as a tensor of int32."""
SECONDS = 8
"""How long refusing a body may take on a slow machine, and for each byte ``SECONDS_PER_BYTE`` more: about
four
times what it takes."""
SECONDS_PER_BYTE = 4e-6


def error_of(data: bytes) -> FoedusError:
    with pytest.raises((CorruptDataError, TypeMismatchError)) as caught:
        wire.decode_program(data, sender=Sender.TRUSTED)
    return caught.value


def body(*parts: bytes | Items) -> bytes:
    pieces = [part if isinstance(part, bytes) else stream(*part) for part in parts]
    return seal(Content.PROGRAM, b"".join(pieces))


def typed(*texts: str) -> Items:
    """The tables of a program without tiers, literals and leaves."""
    return (1, 0, len(texts), *(item for text in texts for item in (text, "")), 0, 0)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (program_of(), "no number, string or bytes"),
        (program_of("1"), "str for a length"),
        (program_of(1, 1, "R", 2, 0), "2 where a number below 2 should be"),
        (program_of(1, 1, "R", 0, 1), "1 where a number below 1 should be"),
        (program_of(1, 1, "CLIENTS", 0, 0), "A tier cannot have this name: 'CLIENTS'"),
        (program_of(1, 1, "1st", 0, 0), "A tier cannot have this name: '1st'"),
        (program_of(1, 2, "R", 0, 0, "R", 0, 0, *b"    "), "a second tier 'R'"),
        (program_of(1, 65, *b" " * 65), "65 where at most 64 can be"),
        (program_of(1, 0, 1, "int32", "0", 0, 0, 1, 0, "x", 0), "more containers than structs"),
        (program_of(1, 0, 1, "<int32>", "7", 0, 0, 0), "no container"),
        (program_of(1, 0, 1, "<int32>", "²", 0, 0, 0), "no container"),
        (program_of(1, 0, 1, "<<>>", "0", 0, 0, 0), "no container"),
        (program_of(1, 0, 1, "<int32>", "3", 0, 0, 0), "a mapping with fields that have no name"),
        (program_of(1, 0, 1, "<int32>", "5", 0, 0, 0), "nothing, with fields"),
        (body((1, 0, 1, "int32[?]", "", 1, 0), ONE), "a constant of unknown shape"),
        (body((1, 0, 1, "int32[2]", "", 1, 0), ONE), "the shape [] where int32[2] should be"),
        (body((1, 0, 1, "int32", "", 0, 1, "word", 0, 0, b"", 0)), "what is no function"),
        (body((1, 0, 1, "( -> int32)", "", 0, 1, "word", 0, 1 << 27, b"", 0)), "134217728 where a number"),
        (body((1, 0, 1, "( -> int32)", "", 0, 1, "word", 0, 3, b"", 0)), "0 bytes where 3 bytes should be"),
        (program_of(*NOTHING, 0), "no node"),
        (program_of(*NOTHING, 1 << 30), "1073741824 where a number below 6"),
        (program_of(*NOTHING, 1, 9), "9 where a number below 9 should be"),
        (program_of(*typed("int32"), 1, 0, "x", 1), "1 where a number below 1 should be"),
        (program_of(*typed("int32"), 1, 2, "x", 0), "what is no function"),
        (program_of(*NOTHING, 1, 5, 0, 0), "0 where a number below 0 should be"),
        (program_of(*NOTHING, 1, 4, 0, 1, 2, 0), "2 where a number below 2 should be"),
        (program_of(*NOTHING, 1, 4, 6, 0), "no container"),
        (program_of(*NOTHING, 2, 4, 0, 0, 4, 3, 1, 0, 0), "a mapping with fields that have no name"),
        (
            program_of(*NOTHING, 2, 4, 0, 0, 4, 0, 2, 1, "a", 0, 1, "a", 0),
            "A struct has two fields called 'a'",
        ),
        (program_of(*NOTHING, 1, 4, 0, 0, 0), "1 bytes that nothing explains"),
    ],
)
def test_a_made_up_body_is_refused(data: bytes, found: str):
    error = error_of(data)
    assert isinstance(error, CorruptDataError)
    assert error.headline == "These bytes do not hold what they say they do"
    assert found in (error.found or "")


@pytest.mark.parametrize(
    ("data", "headline"),
    [
        (program_of(*typed("int32"), 1, 0, "x", 0), "Nothing in the program is called 'x'"),
        (
            program_of(*typed("int32", "bool"), 2, 0, "x", 0, 6, 1, "x", 1, 0),
            "'x' is used at another type than it has",
        ),
        (
            program_of(*typed("(int32 -> int32)"), 1, 2, "make_coffee", 0),
            "There is no operator 'make_coffee'",
        ),
        (
            program_of(*typed("(int32 -> int32)"), 1, 2, "federated_sum", 0),
            "federated_sum needs a value at CLIENTS",
        ),
        (program_of(*NOTHING, 2, 4, 0, 0, 5, 0, 0), "There is no field 0"),
        (program_of(*typed("int32"), 2, 0, "x", 0, 5, 0, 0), "Only a struct has fields"),
        (program_of(*typed("int32"), 2, 0, "x", 0, 7, 0, 0), "Only a function can be called"),
        (
            program_of(*typed("( -> int32)"), 3, 4, 0, 0, 6, 0, 0, 7, 1, 1, 0),
            "A call has an argument too many",
        ),
    ],
)
def test_a_program_that_is_not_well_typed_is_refused(data: bytes, headline: str):
    error = error_of(data)
    assert isinstance(error, TypeMismatchError)
    assert error.headline.startswith(headline)


def test_an_operator_at_a_type_that_no_rule_expects():
    """Its rule fails in a way that would be our bug, had Foedus written the program."""
    operator = program_of(*typed("( -> (int32 -> int32))"), 1, 2, "generic_zero", 0)
    assert "generic_zero" in str(error_of(operator)) or "an operator at a type" in str(error_of(operator))


def test_a_leaf_of_an_unknown_kind():
    data = program_of(1, 0, 1, "( -> int32)", "", 0, 1, "brainfuck", 0, 1, b"+", 1, 3, 0)
    error = error_of(data)
    assert error.headline == "The stored leaf is of a kind that this version of Foedus does not know"
    assert error.found == "'brainfuck'"


def doubled(levels: int) -> Items:
    """A few bytes for a struct of 2^levels fields, as nodes and as a type."""
    return (levels + 1, 4, 0, 0, *(item for i in range(levels) for item in (4, 0, 2, 0, i, 0, i)))


def chained(levels: int) -> Items:
    return (levels + 1, 4, 0, 0, *(item for i in range(levels) for item in (6, 0, i)))


WIDE = f"<{','.join(['int32'] * 100_000)}>"
BOMBS = {
    "shared parts": body(NOTHING, doubled(190)),
    "deep nodes": body(NOTHING, chained(100_000)),
    "a deep type": program_of(*typed("<" * 100_000), 1, 0, "x", 0),
    "one wide type at many nodes": body(
        typed(WIDE), (1000, *(item for _ in range(1000) for item in (0, "x", 0)))
    ),
    "wide types that are compared": body(
        typed(WIDE, f"({WIDE} -> int32)"),
        (1002, 0, "x", 0, 0, "f", 1, *(item for _ in range(1000) for item in (7, 1, 1, 0))),
    ),
    "many nodes": body(NOTHING, ((1 << 20) + 1,), stream(4, 0, 0) * ((1 << 20) + 1)),
    "many types": program_of(1, 0, (1 << 16) + 1, *["int32"] * ((1 << 17) + 2)),
    "many literals": program_of(1, 0, 0, (1 << 20) + 1, b" " * (1 << 21)),
    "a field twice": program_of(
        *typed(f"<{','.join(f'a{i}=bool' for i in range(50_000))},a49999=bool>"), 1, 0, "x", 0
    ),
    "a name twice, last": body(
        (*NOTHING, 2, 4, 0, 0, 4, 0, 100_001),
        *(stream(1, f"a{i}", 0) for i in range(100_000)),
        (1, "a99999", 0),
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon(name: str):
    data = BOMBS[name]
    start = time.perf_counter()
    error = error_of(data)
    assert time.perf_counter() - start < SECONDS + len(data) * SECONDS_PER_BYTE
    assert len(str(error)) < 10_000


def test_types_are_read_up_to_a_length_of_all_texts(monkeypatch: pytest.MonkeyPatch):
    """At the real limit, 16 million characters, reading them takes some ten seconds."""
    monkeypatch.setattr("foedus.wire._program_reader.MOST_TEXT", 1000)
    data = program_of(1, 0, 3, *([f"<{','.join(['int8'] * 99)}>", ""] * 3), 0, 0, 0)
    assert "more than 1000 characters of types" in (error_of(data).found or "")


def test_a_bomb_takes_little_memory():
    tracemalloc.start()
    try:
        for name in ("shared parts", "deep nodes", "a deep type"):
            error_of(BOMBS[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 27


def test_the_limits_leave_room_for_what_people_write():
    """A learning process for a model of 300 arrays has some 400 nodes, most with types of 300 to 2,000
    parts.
    """
    assert _extent.MOST_WORK > 400 * 2_000 * 4
