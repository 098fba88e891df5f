# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: one file each, whole or as it was before."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foedus import types, wire
from foedus.errors import CorruptDataError, MissingDataError, OutputError, TypeMismatchError
from foedus.program import Checkpoint, read_checkpoint
from foedus.program._checkpoint import Checkpoints, decode_checkpoint, encode_checkpoint
from foedus.program._durable import replace_file

STATE = types.to_type({"w": ("float32", (3,))})


def checkpoint(number: int) -> Checkpoint:
    history = [{"round": i, "train/loss": 0.1 * i, "evaluation/note": "é"} for i in range(1, number + 1)]
    return Checkpoint(number, {"w": np.full(3, number, np.float32)}, history)


@pytest.fixture
def three(tmp_path: Path) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path, STATE, keep=3)
    for number in (1, 2, 3, 4):
        checkpoints.save(checkpoint(number))
    return checkpoints


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_checkpoint_comes_back():
    before = checkpoint(3)
    before.history[0]["train/loss"] = float("inf")
    after = decode_checkpoint(encode_checkpoint(before, STATE), STATE)
    assert after.round == 3
    assert after.state["w"].tobytes() == before.state["w"].tobytes()
    assert after.history == before.history


def test_the_newest_ones_are_kept(three: Checkpoints):
    assert sorted(path.name for path in three.folder.iterdir()) == [
        "round_000002.foedus",
        "round_000003.foedus",
        "round_000004.foedus",
    ]


def test_rounds_are_ordered_as_numbers(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path, STATE, keep=2)
    for number in (999_999, 1_000_000, 1_000_001):
        checkpoints.path(number).write_bytes(b"")
    (tmp_path / "round_other.foedus").write_bytes(b"")
    assert checkpoints.rounds() == [1_000_001, 1_000_000, 999_999]


def test_the_newest_good_one_is_taken(three: Checkpoints, caplog: pytest.LogCaptureFixture):
    damage(three.path(4))
    three.path(3).write_bytes(three.path(3).read_bytes()[:100])
    with caplog.at_level(logging.WARNING, logger="foedus.program"):
        newest, broken = three.newest()
    assert newest is not None
    assert (newest.round, broken) == (2, [4, 3])
    assert caplog.messages == [
        f"The checkpoint {three.path(4)} is broken: "
        "These bytes are damaged: their checksum is not the one that was written",
        f"The checkpoint {three.path(3)} is broken: These bytes end too early",
    ]


def test_broken_ones_are_put_aside_and_count_no_more(three: Checkpoints):
    damage(three.path(4))
    half_written = three.folder / "round_000005.foedus.tmp"
    half_written.write_bytes(b"half")
    _, broken = three.newest()
    three.tidy(broken)
    assert three.rounds() == [3, 2]
    assert (three.folder / "round_000004.foedus.broken").exists()
    assert not half_written.exists()


def test_where_all_are_broken_nothing_is_touched(three: Checkpoints):
    for number in (2, 3, 4):
        damage(three.path(number))
    with pytest.raises(CorruptDataError) as caught:
        three.newest()
    lines = str(caught.value).splitlines()
    assert lines[0] == f"None of the checkpoints in {three.folder} can be read"
    assert lines[1].startswith("  found     round_000004.foedus: These bytes are damaged")
    assert lines[-1] == (
        "  hint      delete the folder to start again from the first round, or choose another one"
    )
    assert len(list(three.folder.iterdir())) == 3


def test_a_full_disk_leaves_what_was_there(three: Checkpoints):
    before = {path: path.read_bytes() for path in three.folder.iterdir()}
    for number in (4, 5):
        (three.folder / f"round_{number:06}.foedus.tmp").symlink_to("/dev/full")
        with pytest.raises(OutputError) as caught:
            three.save(checkpoint(number))
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{three.path(number)} cannot be written"
        assert lines[1] == "  found     No space left on device"
        assert lines[-1] == (
            "  hint      free some space and call it again: what was written before is still there"
        )
        assert {path: path.read_bytes() for path in three.folder.iterdir()} == before


def test_a_replaced_file_leaves_nothing_beside_it(tmp_path: Path):
    replace_file(tmp_path / "file", b"one")
    replace_file(tmp_path / "file", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"two")]


@pytest.mark.parametrize(
    "metadata", ["", "[]", "{}", '{"round": 2, "history": []}', '{"round": 1, "history": [3]}']
)
def test_metadata_that_is_none(metadata: str):
    stored = types.struct(metadata=types.string, state=STATE)
    data = wire.encode_value({"metadata": metadata, "state": {"w": [0.0] * 3}}, stored)
    with pytest.raises(CorruptDataError, match="The metadata of a checkpoint cannot be read"):
        decode_checkpoint(data, STATE)


# ------------------------------------------------------------------ for users


def test_a_checkpoint_is_read_from_a_file_or_a_run(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    checkpoints = Checkpoints(tmp_path / "checkpoints", STATE, keep=2)
    checkpoints.save(checkpoint(1))
    checkpoints.save(checkpoint(2))
    assert read_checkpoint(tmp_path, STATE).round == 2
    assert read_checkpoint(str(checkpoints.path(1)), STATE).round == 1


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_no_checkpoint(tmp_path: Path, make: Any):
    path = tmp_path / "run"
    make(path)
    with pytest.raises(MissingDataError) as caught:
        read_checkpoint(path, STATE)
    assert str(caught.value).splitlines()[0] == f"There is no checkpoint in {path}"


def test_a_checkpoint_of_another_state(three: Checkpoints):
    with pytest.raises(TypeMismatchError) as caught:
        read_checkpoint(three.path(4), types.to_type({"w": ("float32", (4,))}))
    assert caught.value.at is not None
    assert caught.value.at.startswith(".state.w of the stored value")
