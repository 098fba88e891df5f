# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where values and states of programs go."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foedus.tff import program


def release(manager: program.ReleaseManager, *pairs: tuple[Any, Any]) -> None:
    async def run() -> None:
        for key, value in pairs:
            await manager.release(value, key)

    asyncio.run(run())


def test_memory():
    memory = program.MemoryReleaseManager()
    release(memory, (1, "a"), (2, "b"))
    assert memory.values() == OrderedDict([(1, "a"), (2, "b")])
    memory.remove_all()
    assert not memory.values()


def test_some_of_the_values():
    memories = [program.MemoryReleaseManager() for _ in range(3)]
    group = program.GroupingReleaseManager(
        [
            program.PeriodicReleaseManager(memories[0], 2),
            program.DelayedReleaseManager(memories[1], 3),
            program.FilteringReleaseManager(memories[2], lambda value: value["a"]),
        ]
    )
    release(group, *((i, {"a": i}) for i in range(1, 5)))
    assert [list(memory.values()) for memory in memories] == [[2, 4], [3, 4], [1, 2, 3, 4]]
    assert memories[2].values()[3] == 3


def test_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="foedus.tff"):
        release(program.LoggingReleaseManager(), (1, {"loss": 0.5}))
    assert caplog.messages == ["Releasing {'loss': 0.5} under the key 1"]


def test_csv(tmp_path: Path):
    path = tmp_path / "new" / "metrics.csv"
    manager = program.CSVFileReleaseManager(path, key_fieldname="round")
    release(
        manager, (1, {"a": np.float32(0.5), "b": [1, {"c": np.array([2, 3], np.int32)}]}), (2, {"d": "x"})
    )
    assert path.read_text().splitlines() == ["round,a,b/0,b/1/c,d", '1,0.5,1,"[2, 3]",', "2,,,,x"]
    release(program.CSVFileReleaseManager(path, key_fieldname="round"), (2, {"a": 7}))
    assert path.read_text().splitlines()[1:] == ['1,0.5,1,"[2, 3]",', "2,7,,,"]
    with pytest.raises(program.CSVKeyFieldnameNotFoundError, match="a column 'key'"):
        program.CSVFileReleaseManager(path)


def test_states(tmp_path: Path):
    states = program.FileProgramStateManager(tmp_path, keep_total=3)
    state = OrderedDict(w=np.array([1, 2], np.float32), n=np.int32(3))
    assert asyncio.run(states.get_versions()) is None
    assert asyncio.run(states.load_latest(state)) == (None, 0)
    for version in range(5):
        asyncio.run(states.save(OrderedDict(state, n=np.int32(version)), version))
    assert asyncio.run(states.get_versions()) == [0, 3, 4]
    found, version = asyncio.run(states.load_latest(state))
    assert (found["n"], version, type(found)) == (4, 4, OrderedDict)
    np.testing.assert_array_equal(found["w"], state["w"])
    with pytest.raises(program.ProgramStateExistsError):
        asyncio.run(states.save(state, 4))
    with pytest.raises(program.ProgramStateNotFoundError):
        asyncio.run(states.load(1, state))


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"keep_total": 0}, [0, 1, 2, 3, 4]),
        ({"keep_total": 2, "keep_first": False}, [3, 4]),
        ({"keep_total": 0, "keep_every_k": 2}, [0, 2, 4]),
        ({"keep_total": 1}, [4]),
    ],
)
def test_which_states_are_kept(options: dict[str, Any], kept: list[int], tmp_path: Path):
    states = program.FileProgramStateManager(tmp_path, **options)
    for version in range(5):
        asyncio.run(states.save(np.int32(0), version))
    assert asyncio.run(states.get_versions()) == kept


def test_event_files(tmp_path: Path):
    tensorboardX = pytest.importorskip("tensorboardX")
    manager = program.TensorBoardReleaseManager(tmp_path / "events")
    release(
        manager, (1, OrderedDict(train=OrderedDict(loss=np.float32(0.5), rates=[np.array([2, 3])]))), (2, 7)
    )
    found = [
        (event.step, value.tag, value.simple_value)
        for path in (tmp_path / "events").iterdir()
        for record in _records(path.read_bytes())
        for event in [tensorboardX.proto.event_pb2.Event.FromString(record)]
        for value in event.summary.value
    ]
    rates = [(1, "train/rates/0/0", 2.0), (1, "train/rates/0/1", 3.0)]
    assert found == [(1, "train/loss", 0.5), *rates, (2, "value", 7.0)]


def _records(data: bytes) -> Iterator[bytes]:
    """TensorFlow's records: length, checksum, data, checksum."""
    while data:
        (size,) = struct.unpack_from("<Q", data)
        yield data[12 : 12 + size]
        data = data[16 + size :]


def test_refusals(tmp_path: Path):
    memory = program.MemoryReleaseManager()
    for build in (
        lambda: program.GroupingReleaseManager([]),
        lambda: program.PeriodicReleaseManager(memory, 0),
        lambda: program.DelayedReleaseManager(memory, 0),
        lambda: program.CSVFileReleaseManager(""),
        lambda: program.TensorBoardReleaseManager(""),
        lambda: program.FileProgramStateManager(""),
        lambda: program.FileProgramStateManager(tmp_path, keep_total=-1),
    ):
        with pytest.raises(ValueError, match="Expected"):
            build()
