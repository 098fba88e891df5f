# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from foedus.errors import MissingDataError, OutputError
from foedus.simulation.datasets._download import download

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "f.lzma"


def test_fetches_a_file(site, target: Path):
    site.content = CONTENT
    download(f"{site.address}/f", target)
    assert target.read_bytes() == CONTENT
    assert site.asked == [None]
    assert list(target.parent.iterdir()) == [target]


def test_goes_on_where_the_connection_broke(site, target: Path, waits):
    site.content, site.breaks = CONTENT, [100_000, 1, 500_000, len(CONTENT)]
    download(f"{site.address}/f", target, pause=waits.append)
    assert target.read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-", "bytes=100001-", "bytes=600001-"]
    assert waits == [0, 0, 0]


def test_goes_on_in_a_later_call(site, target: Path, waits):
    site.content, site.breaks = CONTENT, [100_000, 0]
    with pytest.raises(MissingDataError):
        download(f"{site.address}/f", target, pause=waits.append)
    assert [path.name for path in target.parent.iterdir()] == ["f.lzma.part"]
    site.breaks, site.asked = [], []
    download(f"{site.address}/f", target, pause=waits.append)
    assert site.asked == ["bytes=100000-"]
    assert target.read_bytes() == CONTENT


def test_gives_up_when_nothing_arrives(site, target: Path, waits, told):
    site.content, site.breaks = CONTENT, [100_000, 0]
    url = f"{site.address}/f"
    assert told(lambda: download(url, target, pause=waits.append)) == (
        f"{url} cannot be downloaded\n"
        "  found     the connection broke after 100,000 of 1,024,000 bytes\n"
        "  at        TMP\n"
        "  hint      100,000 bytes have arrived and are kept; the next call goes on from there"
    )
    assert len(site.asked) == 5
    assert waits == [0, 1, 3, 7]


@pytest.mark.parametrize("shift", [0, 1])
def test_a_server_that_sends_another_part_than_asked_for(site, target: Path, shift: int, waits):
    site.content, site.ignores_range, site.shift = CONTENT, shift == 0, shift
    target.with_name("f.lzma.part").write_bytes(CONTENT[:1000])
    download(f"{site.address}/f", target, pause=waits.append)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_everything(site, target: Path):
    site.content = CONTENT
    target.with_name("f.lzma.part").write_bytes(CONTENT)
    download(f"{site.address}/f", target)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file(site, target: Path, waits):
    site.content = CONTENT
    target.with_name("f.lzma.part").write_bytes(CONTENT + b"more")
    download(f"{site.address}/f", target, pause=waits.append)
    assert target.read_bytes() == CONTENT
    assert site.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_server_in_trouble_is_asked_again(site, target: Path, waits):
    site.content, site.statuses = CONTENT, [503, 500]
    download(f"{site.address}/f", target, pause=waits.append)
    assert target.read_bytes() == CONTENT
    assert waits == [1, 3]


def test_a_file_that_the_server_lacks(site, target: Path, waits, told):
    site.statuses = [404]
    url = f"{site.address}/f"
    assert told(lambda: download(url, target, pause=waits.append)) == (
        f"{url} cannot be downloaded\n  found     HTTP status 404: Not Found\n  at        TMP"
    )
    assert (waits, len(site.asked)) == ([], 1)


def test_no_server(target: Path, waits, told, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/f"
    text = told(lambda: download(url, target, pause=waits.append))
    refused = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    assert text.splitlines()[:2] == [
        f"{url} cannot be downloaded",
        f"  found     URLError: <urlopen error {refused}>",
    ]
    assert waits == [1, 3, 7]


def test_a_folder_that_cannot_be_written_to(site, tmp_path: Path, told):
    site.content = CONTENT
    assert told(lambda: download(f"{site.address}/f", tmp_path / "none" / "f")) == (
        "f cannot be written\n"
        "  found     No such file or directory\n"
        "  at        TMP/none\n"
        "  hint      choose a folder that you may write to"
    )


def test_a_full_disk_is_no_broken_connection(site, target: Path):
    """The system's full device stands for the disk."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    site.content = CONTENT
    target.with_name("f.lzma.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"The disk is full: f\.lzma cannot be written"):
        download(f"{site.address}/f", target)
