# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from foedus.errors import DataError, OutputError
from foedus.simulation._replace_file import replacing


def test_the_file_appears_when_it_is_complete(tmp_path: Path):
    path = tmp_path / "new" / "f"
    with replacing(path) as temporary:
        temporary.write_text("all of it")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "f"
    path.write_text("old")

    def fail(error: BaseException) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    for error in (DataError("no"), KeyboardInterrupt(), OSError(errno.EIO, "broken")):
        with pytest.raises((DataError, KeyboardInterrupt, OutputError)):
            fail(error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk(tmp_path: Path, told):
    def write() -> None:
        with replacing(tmp_path / "f"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert told(write) == (
        "The disk is full: f cannot be written\n"
        "  found     No space left on device\n"
        "  at        TMP\n"
        "  hint      free some space, or choose another folder"
    )
