# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from foedus.errors import ArgumentError, CorruptDataError, MissingDataError
from foedus.simulation import ClientData, Splits, save_sql
from foedus.simulation.datasets import emnist
from foedus.simulation.datasets._acquire import Folders
from foedus.simulation.datasets.emnist import Characters

NAME = "emnist_all.sqlite"


def save(path: Path, *wanted: Characters) -> dict[str, ClientData]:
    splits = {}
    for characters in wanted:
        data = emnist.synthetic(characters=characters, writers=4)
        splits |= {f"{characters.value}_train": data.train, f"{characters.value}_test": data.test}
    save_sql(path, splits)
    return splits


def assert_same(one: ClientData, other: ClientData) -> None:
    assert one.ids == other.ids
    assert one.sizes() == other.sizes()
    for client in one.ids:
        for name, column in one.columns(client).items():
            np.testing.assert_array_equal(column, other.columns(client)[name])


def test_loads_a_users_file(tmp_path: Path):
    saved = save(tmp_path / NAME, Characters.DIGITS, Characters.ALL)
    for characters in Characters:
        splits = emnist.load(characters=characters, cache_dir=tmp_path)
        assert splits.train.element_type == emnist.ELEMENT_TYPE
        assert_same(splits.train, saved[f"{characters.value}_train"])
        assert_same(splits.test, saved[f"{characters.value}_test"])


def test_loads_the_file_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path / NAME, Characters.DIGITS)
    monkeypatch.setenv("FOEDUS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing here"))
    assert len(emnist.load().train) == 4
    assert not (tmp_path / "nothing here").exists()


def test_downloads_resumes_and_unpacks(tmp_path: Path, site):
    saved = save(tmp_path / NAME, Characters.DIGITS)
    site.content = lzma.compress((tmp_path / NAME).read_bytes(), lzma.FORMAT_ALONE, preset=0)
    site.breaks = [1000, len(site.content)]
    where = Folders((), tmp_path / "cache")
    splits = emnist.open_file(Characters.DIGITS, where=where, url=site.address)
    assert site.asked == [None, "bytes=1000-"]
    assert_same(splits.train, saved["digits_only_train"])


@pytest.mark.parametrize("content", [b"a letter", b""])
def test_a_download_of_something_else(content: bytes, tmp_path: Path, site):
    site.content = lzma.compress(content)
    where = Folders((), tmp_path)
    with pytest.raises(CorruptDataError, match=r"emnist_all\.sqlite\.lzma was damaged on its way here"):
        emnist.open_file(Characters.DIGITS, where=where, url=site.address)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.lock"]


def test_a_download_without_splits(tmp_path: Path, site, told):
    save_sql(tmp_path / "empty", {})
    site.content = lzma.compress((tmp_path / "empty").read_bytes())
    where = Folders((), tmp_path / "cache")
    text = told(lambda: emnist.open_file(Characters.DIGITS, where=where, url=site.address))
    assert text.splitlines()[1] == "  found     it unpacks to something else: no split"


def test_characters_that_the_file_lacks(tmp_path: Path, told):
    save(tmp_path / NAME, Characters.DIGITS)
    assert told(lambda: emnist.load(characters=Characters.ALL, cache_dir=tmp_path)) == (
        "emnist_all.sqlite has no split 'all_train'\n"
        "  found     splits digits_only_test, digits_only_train\n"
        "  expected  all_train and all_test\n"
        "  at        TMP/emnist_all.sqlite\n"
        "  hint      ask for characters=Characters.DIGITS, or set FOEDUS_DATA_DIR to a folder with a file "
        "that has it; the whole set is at https://storage.googleapis.com/tff-datasets-public/emnist_all.sqlite.lzma"
    )
    with pytest.raises(MissingDataError):
        emnist.load(characters=Characters.ALL, cache_dir=tmp_path)


def test_a_damaged_file(tmp_path: Path):
    save(tmp_path / NAME, Characters.DIGITS)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptDataError):
        emnist.load(cache_dir=tmp_path).train.in_memory()


def test_the_real_file(real_emnist: Path, tmp_path: Path):
    (tmp_path / real_emnist.name).symlink_to(real_emnist)
    splits = emnist.load(cache_dir=tmp_path)
    assert (tmp_path / NAME).is_file()
    assert len(splits.train) == len(splits.test) == 298
    assert (sum(splits.train.sizes().values()), sum(splits.test.sizes().values())) == (8999, 1001)
    columns = splits.train.columns(splits.train.ids[0])
    assert columns["pixels"].shape == (94, 28, 28)
    assert (columns["pixels"].min(), columns["pixels"].max()) == (0, 1)
    assert columns["pixels"].mean() > 0.8  # paper is 1
    labels = np.concatenate([splits.test.columns(client)["label"] for client in splits.test.ids])
    assert np.bincount(labels, minlength=10).min() > 50
    with pytest.raises(MissingDataError, match="has no split 'all_train'"):
        emnist.load(characters=Characters.ALL, cache_dir=tmp_path)


# ---------------------------------------------------------------- the synthetic twin


@pytest.fixture(scope="module")
def twin() -> Splits:
    return emnist.synthetic(writers=12)


def test_the_twin_has_the_same_form(twin: Splits):
    assert twin.train.element_type == twin.test.element_type == emnist.ELEMENT_TYPE
    assert twin.train.ids == twin.test.ids
    assert len(set(twin.train.sizes().values())) > 4
    assert min(twin.test.sizes().values()) >= 2
    pixels = twin.train.columns("writer000")["pixels"]
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert pixels.mean() > 0.5


def test_the_twin_is_seeded_and_writers_do_not_depend_on_each_other(twin: Splits):
    fewer = emnist.synthetic(writers=2)
    assert_same(fewer.train, twin.train.select(fewer.train.ids))
    other = emnist.synthetic(writers=2, seed=1)
    assert (
        other.train.columns("writer000")["pixels"].tolist()
        != fewer.train.columns("writer000")["pixels"].tolist()
    )


def test_the_twin_can_be_learned(twin: Splits):
    def gathered(data: ClientData, name: str) -> np.ndarray:
        return np.concatenate([data.columns(client)[name] for client in data.ids])

    pixels, labels = gathered(twin.train, "pixels"), gathered(twin.train, "label")
    means = np.stack([pixels[labels == label].mean(axis=0) for label in range(10)])
    pixels, labels = gathered(twin.test, "pixels"), gathered(twin.test, "label")
    nearest = ((pixels[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
    assert (nearest == labels).mean() > 0.8  # a nearest mean gets about 0.97; by chance it is 0.1


def test_all_characters_of_the_twin():
    labels = emnist.synthetic(characters=Characters.ALL, writers=30).train
    seen = {int(label) for client in labels.ids for label in labels.columns(client)["label"]}
    assert min(seen) >= 0
    assert 50 < len(seen) <= 62
    assert max(seen) < 62


def test_somebody_must_write(told):
    assert told(lambda: emnist.synthetic(writers=0)) == "There must be a writer\n  found     0"
    with pytest.raises(ArgumentError):
        emnist.synthetic(writers=-1)
