# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from foedus.errors import CorruptDataError, OutputError
from foedus.simulation.datasets import _unpack
from foedus.simulation.datasets._unpack import unpack

CONTENT = np.random.default_rng(0).bytes(200_000) + bytes(3_000_000)


def anything(path: Path) -> None:
    """Finds every file good."""


@pytest.mark.parametrize("form", [lzma.FORMAT_ALONE, lzma.FORMAT_XZ])
def test_unpacks_both_formats(form: int, tmp_path: Path):
    (tmp_path / "f.lzma").write_bytes(lzma.compress(CONTENT, form, preset=0))
    unpack(tmp_path / "f.lzma", tmp_path / "f", check=anything)
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("form", [lzma.FORMAT_ALONE, lzma.FORMAT_XZ])
@pytest.mark.parametrize("kept", [0, 1, 5, 13, 100, 100_000, -1])
def test_a_file_that_ends_too_early(form: int, kept: int, tmp_path: Path, told):
    (tmp_path / "f.lzma").write_bytes(lzma.compress(CONTENT, form, preset=0)[:kept])
    assert told(lambda: unpack(tmp_path / "f.lzma", tmp_path / "f", check=anything)) == (
        "f.lzma cannot be unpacked\n"
        "  found     it ends too early\n"
        "  expected  a complete LZMA file\n"
        "  at        TMP/f.lzma\n"
        "  hint      the file is damaged: remove it and fetch it again"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["f.lzma"]


def test_a_file_of_another_format(tmp_path: Path, told):
    (tmp_path / "f.lzma").write_bytes(b"SQLite format 3\0" * 10)
    text = told(lambda: unpack(tmp_path / "f.lzma", tmp_path / "f", check=anything))
    assert "Input format not supported by decoder" in text


def test_a_file_that_wants_too_much_memory(tmp_path: Path):
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(CONTENT[:1000], lzma.FORMAT_ALONE, filters=filters))
    packed[1:5] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "f.lzma").write_bytes(packed)
    with pytest.raises(CorruptDataError, match=r"f\.lzma cannot be unpacked"):
        unpack(tmp_path / "f.lzma", tmp_path / "f", check=anything)


def test_content_is_checked_before_it_gets_its_name(tmp_path: Path, told):
    (tmp_path / "f.lzma").write_bytes(lzma.compress(b"abc"))

    def check(path: Path) -> None:
        assert path.read_bytes() == b"abc"
        raise CorruptDataError("Not what was expected", found="abc")

    text = told(lambda: unpack(tmp_path / "f.lzma", tmp_path / "f", check=check))
    assert text.splitlines()[1] == "  found     it unpacks to something else: abc"
    assert [path.name for path in tmp_path.iterdir()] == ["f.lzma"]


def test_a_full_disk(tmp_path: Path):
    """The system's full device stands for the disk."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    source = tmp_path / "f.lzma"
    source.write_bytes(lzma.compress(CONTENT, preset=0))
    with (
        pytest.raises(OutputError, match="The disk is full: f cannot be written"),
        _unpack.replacing(tmp_path / "f"),
        open(source, "rb") as packed,
        open("/dev/full", "wb") as full,
    ):
        _unpack._decompress(packed, full, source)
