# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where metrics go: tables, event files, memory, logs."""

from __future__ import annotations

import logging
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foedus.errors import MissingExtraError, OutputError
from foedus.program import Record, csv_file, in_memory, log_lines, tensorboard
from foedus.program._tensorboard import _EventFiles

FIRST: Record = {"round": 1, "train/loss": 0.1, "seconds": 2.5}
SECOND: Record = {"round": 2, "train/loss": float("nan"), "evaluation/note": 'a,"b"', "seconds": 2.0}
THIRD: Record = {"round": 3, "train/loss": 3, "seconds": 1.5}


def test_a_table_is_complete_after_every_round(tmp_path: Path):
    path = tmp_path / "deep" / "metrics.csv"
    table = csv_file(path)
    table.start([])
    assert path.read_bytes() == b""
    table.release(FIRST)
    assert path.read_bytes() == b"round,train/loss,seconds\n1,0.1,2.5\n"
    table.release(SECOND)
    table.release(THIRD)
    assert path.read_bytes() == (
        b'round,train/loss,seconds,evaluation/note\n1,0.1,2.5,\n2,nan,2.0,"a,""b"""\n3,3,1.5,\n'
    )
    table.close()
    assert [p.name for p in path.parent.iterdir()] == ["metrics.csv"]


def test_a_resumed_table_is_cut_at_the_history(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_text("round,train/loss,seconds\n1,0.1,2.5\n2,0.2,2.0\n3,0.")
    table = csv_file(path)
    table.start([FIRST])
    assert path.read_text() == "round,train/loss,seconds\n1,0.1,2.5\n"
    table.release(THIRD)
    assert path.read_text() == "round,train/loss,seconds\n1,0.1,2.5\n3,3,1.5\n"


def test_a_folder_in_the_way_of_a_table(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.mkdir()
    with pytest.raises(OutputError) as caught:
        csv_file(path).start([])
    assert str(caught.value).startswith(f"{path} cannot be written\n  found     Is a directory\n  at ")
    assert caught.value.hint == "move away the folder that is in its way"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_on_a_full_disk(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    table = csv_file(path)
    table.start([FIRST])
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"):
        table.release(THIRD)


def test_memory():
    memory = in_memory()
    memory.start([FIRST])
    memory.release(SECOND)
    memory.close()
    assert memory.records == [FIRST, SECOND]


def test_lines_in_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="foedus.program")
    lines = log_lines()
    lines.start([FIRST])
    lines.release(THIRD | {"evaluation/loss": 0.5})
    lines.close()
    assert caplog.messages == ["round 3: loss 3; evaluation loss 0.5"]


# ------------------------------------------------------------------ event files


def events(folder: Path) -> Iterator[Any]:
    """The events of all files, read as TensorFlow's records: length, checksum, data, checksum."""
    from tensorboardX.proto import event_pb2

    messages: Any = event_pb2
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack_from("<Q", data)
            yield messages.Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    return [(e.step, v.tag, v.simple_value) for e in events(folder) for v in e.summary.value]


def test_event_files(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    release = tensorboard(tmp_path / "events")
    release.start([])
    release.release({"round": 1, "train/loss": 0.5, "evaluation/note": "text", "seconds": 2.5})
    assert scalars(tmp_path / "events") == [(1, "train/loss", 0.5), (1, "seconds", 2.5)]
    release.close()
    release.close()


def test_rounds_that_come_again_hide_their_first_versions(tmp_path: Path):
    """Also where a run goes on in the very second in which it was cut off."""
    pytest.importorskip("tensorboardX")
    for history, record in (([], FIRST), ([FIRST], THIRD)):
        release = tensorboard(tmp_path)
        release.start(history)
        release.release(record)
        release.close()
    assert [e.step for e in events(tmp_path) if e.HasField("session_log")] == [1, 2]
    assert [step for step, tag, _ in scalars(tmp_path) if tag == "train/loss"] == [1, 3]
    assert [e.file_version for e in events(tmp_path) if e.file_version] == ["brain.Event:2"] * 2


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("tensorboardX", "tensorboardX.proto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        tensorboard(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "Event files for TensorBoard need the package `tensorboardX`"
    assert lines[-1] == '  hint      pip install "foedus[plots]"'


def test_a_file_in_the_way_of_event_files(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    (tmp_path / "events").write_text("")
    release = tensorboard(tmp_path / "events")
    with pytest.raises(OutputError, match="cannot be written"):
        release.start([])
    release.close()


def test_event_files_on_a_full_disk(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2
    from tensorboardX.record_writer import RecordWriter

    release = _EventFiles(tmp_path, lambda path: RecordWriter("/dev/full"), event_pb2)
    for use in (lambda: release.start([]), release.close):
        with pytest.raises(OutputError, match="No space left on device"):
            use()
    release.close()
