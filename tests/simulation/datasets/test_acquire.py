# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from foedus.errors import CorruptDataError, MissingDataError
from foedus.simulation.datasets._acquire import Folders, acquire, folders, is_writable


def is_data(path: Path) -> None:
    """Finds files good that begin as ours do."""
    if not path.read_bytes().startswith(b"data"):
        raise CorruptDataError("No data", found="something else")


@pytest.fixture
def where(tmp_path: Path) -> Folders:
    (tmp_path / "own").mkdir()
    return Folders((tmp_path / "own", tmp_path / "cache"), tmp_path / "cache")


@pytest.fixture
def get(where: Folders, site) -> Callable[[], Path]:
    return lambda: acquire("f.sqlite", f"{site.address}/f", where=where, check=is_data)


def test_where_to_look(tmp_path: Path):
    own, cache = tmp_path / "own", tmp_path / "home"
    environment = {"FOEDUS_DATA_DIR": str(own), "XDG_CACHE_HOME": str(cache)}
    assert folders(None, environment=environment) == Folders((own, cache / "foedus"), cache / "foedus")
    assert folders(tmp_path, environment=environment) == Folders((tmp_path, own), tmp_path)
    (tmp_path / "shut").mkdir(mode=0o555)
    shut = folders(tmp_path / "shut", environment=environment)
    assert shut == Folders((tmp_path / "shut", own), cache / "foedus")
    assert folders(tmp_path / "new", environment={}).cache == tmp_path / "new"
    assert folders(str(tmp_path), environment={}) == Folders((tmp_path,), tmp_path)
    usual = Path.home() / ".cache" / "foedus"
    assert folders(None, environment={}) == Folders((usual,), usual)


def test_a_users_file_is_used_as_it_is(get, where: Folders, site):
    own = where.given[0] / "f.sqlite"
    own.write_bytes(b"data of the user")
    own.with_name("f.sqlite.lzma").write_bytes(b"not even looked at")
    assert get() == own
    assert site.asked == []
    assert not where.cache.exists()


def test_a_users_packed_file_is_unpacked_beside_it(get, where: Folders, site):
    own = where.given[0] / "f.sqlite.lzma"
    own.write_bytes(lzma.compress(b"data, packed"))
    assert get() == own.with_name("f.sqlite")
    assert get().read_bytes() == b"data, packed"
    assert own.exists()
    assert site.asked == []


def test_a_folder_that_may_not_be_written_to(get, where: Folders, site):
    own = where.given[0] / "f.sqlite.lzma"
    own.write_bytes(lzma.compress(b"data 1"))
    own.parent.chmod(0o555)
    where.cache.mkdir()
    (where.cache / "f.sqlite").write_bytes(b"data of an earlier download")
    path = get()
    assert path.parent == where.cache
    assert path.name != "f.sqlite"
    assert path.read_bytes() == b"data 1"
    assert get() == path
    own.write_bytes(lzma.compress(b"data 2"))
    os.utime(own, ns=(1, 1))
    assert get().read_bytes() == b"data 2"
    assert [path.name for path in own.parent.iterdir()] == [own.name]
    assert site.asked == []
    own.parent.chmod(0o755)


def test_writable_is_what_can_be_written_to(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "shut").mkdir(mode=0o555)
    assert not is_writable(tmp_path / "shut")
    (tmp_path / "shut").rmdir()
    assert is_writable(tmp_path)
    assert not is_writable(tmp_path / "file")
    assert not is_writable(tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_users_damaged_file_is_left_alone(get, where: Folders, told):
    own = where.given[0] / "f.sqlite.lzma"
    own.write_bytes(lzma.compress(b"data, packed")[:-3])
    assert told(get).startswith("f.sqlite.lzma cannot be unpacked\n  found     it ends too early\n")
    own.write_bytes(lzma.compress(b"a letter"))
    assert told(get) == (
        "f.sqlite.lzma cannot be unpacked\n"
        "  found     it unpacks to something else: something else\n"
        "  expected  a complete LZMA file\n"
        "  at        TMP/own/f.sqlite.lzma\n"
        "  hint      the file is damaged: remove it and fetch it again"
    )
    assert own.exists()


def test_a_download_is_unpacked_into_the_cache_once(get, where: Folders, site):
    site.content = lzma.compress(b"data from afar")
    assert get() == where.cache / "f.sqlite"
    assert get().read_bytes() == b"data from afar"
    assert len(site.asked) == 1
    assert sorted(path.name for path in where.cache.iterdir()) == ["f.sqlite", "f.sqlite.lock"]


def test_a_damaged_download_is_removed(get, where: Folders, site, told):
    site.content = lzma.compress(b"data from afar")[:-5]
    assert told(get) == (
        "f.sqlite.lzma was damaged on its way here, and has been removed\n"
        "  found     it ends too early\n"
        "  at        TMP/cache/f.sqlite.lzma\n"
        "  hint      the next call downloads it anew"
    )
    site.content = lzma.compress(b"data from afar")
    assert get().read_bytes() == b"data from afar"


def test_two_at_once_download_once(get, site):
    site.content = lzma.compress(b"data from afar")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(site.asked) == 1


def test_nothing_here_and_nothing_there(get, where: Folders, site, told):
    site.statuses = [404]
    assert told(get).replace(site.address, "SITE") == (
        "f.sqlite is not here, and cannot be downloaded\n"
        "  found     neither it nor f.sqlite.lzma in TMP/own, TMP/cache\n"
        "            HTTP status 404: Not Found\n"
        "  expected  SITE/f\n"
        "  hint      put the file, packed or not, into a folder, and pass it as cache_dir "
        "or set FOEDUS_DATA_DIR to it"
    )
    site.statuses = [404]
    with pytest.raises(MissingDataError):
        get()


def test_what_has_arrived_is_mentioned(get, where: Folders, site, told):
    where.cache.mkdir()
    (where.cache / "f.sqlite.lzma.part").write_bytes(bytes(1234))
    site.statuses = [403]
    assert told(get).splitlines()[-1].strip() == (
        "1,234 bytes have arrived and are kept; the next call goes on from there"
    )


def test_a_cache_that_cannot_be_made(tmp_path: Path, site, told):
    (tmp_path / "file").touch()
    where = Folders((tmp_path / "file" / "cache",), tmp_path / "file" / "cache")
    text = told(lambda: acquire("f.sqlite", site.address, where=where, check=is_data))
    assert text == (
        "f.sqlite cannot be written\n"
        "  found     Not a directory\n"
        "  at        TMP/file/cache\n"
        "  hint      choose a folder that you may write to"
    )
    assert site.asked == []
