# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.program``: what becomes of the results and the states of a program's rounds."""

from __future__ import annotations

import abc
import csv
import enum
import logging
import os
import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from foedus.program import tensorboard
from foedus.tff._absent import Absent
from foedus.types import parts_of, type_of
from foedus.wire import decode_value, encode_value

__all__ = [
    "CSVFileReleaseManager",
    "CSVKeyFieldnameNotFoundError",
    "CSVSaveMode",
    "ClientIdDataSource",
    "DatasetDataSource",
    "DelayedReleaseManager",
    "FederatedContext",
    "FederatedDataSource",
    "FederatedDataSourceIterator",
    "FileProgramStateManager",
    "FilteringReleaseManager",
    "GroupingReleaseManager",
    "LoggingReleaseManager",
    "MemoryReleaseManager",
    "NativeFederatedContext",
    "NativeValueReference",
    "PeriodicReleaseManager",
    "PrefetchingDataSource",
    "ProgramStateExistsError",
    "ProgramStateManager",
    "ProgramStateNotFoundError",
    "ReleaseManager",
    "ReleasedValueNotFoundError",
    "SavedModelFileReleaseManager",
    "TensorBoardReleaseManager",
    "check_in_federated_context",
    "contains_only_server_placed_data",
    "materialize_value",
]


class ProgramStateExistsError(Exception):
    """A state of this version has been saved already."""


class ProgramStateNotFoundError(Exception):
    """There is no state of this version."""


class ReleasedValueNotFoundError(Exception):
    """Nothing has been released under a key."""


class CSVKeyFieldnameNotFoundError(Exception):
    """A file of values has no column for keys."""


class ReleaseManager(abc.ABC):
    """Takes what a program releases."""

    @abc.abstractmethod
    async def release(self, value: Any, key: Any) -> None:
        """Takes a value.

        Args:
            value: Numbers in containers.
            key: What it is released under, such as the number of a round.
        """


@final
class MemoryReleaseManager(ReleaseManager):
    """Keeps values in memory."""

    def __init__(self) -> None:
        self._values: OrderedDict[Any, Any] = OrderedDict()

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        self._values[key] = value

    def values(self) -> OrderedDict[Any, Any]:
        """All values by key."""
        return self._values

    def remove_all(self) -> None:
        """Forgets all values."""
        self._values.clear()


@final
class LoggingReleaseManager(ReleaseManager):
    """Writes values to the log of Python, logger ``foedus.tff``."""

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        logging.getLogger("foedus.tff").info("Releasing %s under the key %s", value, key)


@final
class GroupingReleaseManager(ReleaseManager):
    """Gives values to several others.

    Args:
        release_managers: The others.
    """

    def __init__(self, release_managers: Sequence[ReleaseManager]) -> None:
        if not release_managers:
            raise ValueError("Expected `release_managers` not to be empty.")
        self._others = list(release_managers)

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        for other in self._others:
            await other.release(value, key)


@final
class PeriodicReleaseManager(ReleaseManager):
    """Gives every so many-th value to another.

    Args:
        release_manager: The other.
        periodicity: The number of values from one that is given to the next.
    """

    def __init__(self, release_manager: ReleaseManager, periodicity: int) -> None:
        if periodicity < 1:
            raise ValueError(f"Expected `periodicity` to be positive, found {periodicity}.")
        self._other = release_manager
        self._periodicity = periodicity
        self._count = 0

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        self._count += 1
        if self._count % self._periodicity == 0:
            await self._other.release(value, key)


@final
class DelayedReleaseManager(ReleaseManager):
    """Gives values to another from some number of them on.

    Args:
        release_manager: The other.
        delay: The number of the first value that is given.
    """

    def __init__(self, release_manager: ReleaseManager, delay: int) -> None:
        if delay < 1:
            raise ValueError(f"Expected `delay` to be positive, found {delay}.")
        self._other = release_manager
        self._delay = delay
        self._count = 0

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        self._count += 1
        if self._count >= self._delay:
            await self._other.release(value, key)


@final
class FilteringReleaseManager(ReleaseManager):
    """Gives parts of values to another.

    Args:
        release_manager: The other.
        filter_fn: From a value to what is given on.
    """

    def __init__(self, release_manager: ReleaseManager, filter_fn: Callable[[Any], Any]) -> None:
        self._other = release_manager
        self._filter = filter_fn

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``."""
        await self._other.release(self._filter(value), key)


class CSVSaveMode(enum.Enum):
    """How a file of values is written; one that is whole appears in either."""

    APPEND = "append"
    """A line at a time."""
    WRITE = "write"
    """Anew each time."""


def flat_names(value: Any, path: str = "") -> OrderedDict[str, Any]:
    """The numbers in nested containers, by their path with ``/`` between its parts."""
    parts = None if hasattr(value, "dtype") else parts_of(value)
    if parts is None:
        return OrderedDict([(path, value)])
    found: OrderedDict[str, Any] = OrderedDict()
    for i, (name, part) in enumerate(parts):
        step = str(i) if name is None else name
        found.update(flat_names(part, f"{path}/{step}" if path else step))
    return found


@final
class CSVFileReleaseManager(ReleaseManager):
    """Writes values to a file, a line for each key and a column for each number.

    Args:
        file_path: The file.
        save_mode: How it is written.
        key_fieldname: The column with the keys.

    Raises:
        ValueError: If the path or the name of the column is empty.
        CSVKeyFieldnameNotFoundError: If there is a file without that column.
    """

    def __init__(
        self,
        file_path: str | os.PathLike[str],
        save_mode: CSVSaveMode = CSVSaveMode.APPEND,
        key_fieldname: str = "key",
    ) -> None:
        if not file_path or not key_fieldname:
            raise ValueError("Expected `file_path` and `key_fieldname` not to be empty.")
        self._path = Path(file_path)
        self._key = key_fieldname
        self._path.parent.mkdir(parents=True, exist_ok=True)
        names, _ = self._read()
        if names and key_fieldname not in names:
            raise CSVKeyFieldnameNotFoundError(f"Expected a column {key_fieldname!r}, found {names}.")

    def _read(self) -> tuple[list[str], list[dict[str, Any]]]:
        if not self._path.is_file():
            return [], []
        with open(self._path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or []), list(reader)

    async def release(self, value: Any, key: Any) -> None:
        """See ``ReleaseManager.release``; what was there under the key, and under later ones, goes."""
        row = {self._key: str(key)} | {name: _shown(v) for name, v in flat_names(value).items()}
        names, rows = self._read()
        kept = [old for old in rows if int(old[self._key]) < int(key)]
        names = [*(names or [self._key]), *(name for name in row if name not in names and name != self._key)]
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows([*kept, row])
        os.replace(temporary, self._path)


@final
class TensorBoardReleaseManager(ReleaseManager):
    """Writes numbers as event files, which TensorBoard shows.

    Args:
        summary_dir: The folder; give each run its own.

    Raises:
        ValueError: If the path is empty.
        MissingExtraError: If the package ``tensorboardX`` is not installed.
    """

    def __init__(self, summary_dir: str | os.PathLike[str]) -> None:
        if not summary_dir:
            raise ValueError("Expected `summary_dir` not to be empty.")
        self._files = tensorboard(summary_dir)
        self._files.start([])
        weakref.finalize(self, self._files.close)

    async def release(self, value: Any, key: int) -> None:
        """See ``ReleaseManager.release``; each element of an array has a curve of its own."""
        numbers = {
            f"{name}/{i}" if np.ndim(item) else name or "value": element
            for name, item in flat_names(value).items()
            for i, element in enumerate(np.asarray(item).ravel().tolist())
        }
        self._files.release({"round": key, **numbers})


def _shown(value: Any) -> str:
    array = np.asarray(value)
    return str(array.item() if array.ndim == 0 else array.tolist())


class ProgramStateManager(abc.ABC):
    """Keeps the states of a program, so that it can be gone on with."""

    @abc.abstractmethod
    async def get_versions(self) -> list[int] | None:
        """The versions that there are, sorted; None for none."""

    @abc.abstractmethod
    async def load(self, version: int, structure: Any) -> Any:
        """The state of a version.

        Args:
            version: The version.
            structure: A state of the same type.
        """

    async def load_latest(self, structure: Any) -> tuple[Any, int]:
        """The newest state and its version; ``(None, 0)`` if there is none.

        Args:
            structure: A state of the same type.
        """
        versions = await self.get_versions()
        if not versions:
            return None, 0
        return await self.load(versions[-1], structure), versions[-1]

    @abc.abstractmethod
    async def save(self, program_state: Any, version: int) -> None:
        """Keeps a state.

        Args:
            program_state: The state.
            version: Its version.
        """


@final
class FileProgramStateManager(ProgramStateManager):
    """Keeps states in files of a folder, in the format of ``foedus.wire``.

    Args:
        root_dir: The folder.
        prefix: What the names of its files begin with.
        keep_total: How many states are kept; 0 for all.
        keep_first: Whether the first one stays.
        keep_every_k: Of which versions one is kept.

    Raises:
        ValueError: If the folder has no name, or a number makes no sense.
    """

    def __init__(
        self,
        root_dir: str | os.PathLike[str],
        prefix: str = "program_state_",
        keep_total: int = 5,
        keep_first: bool = True,
        keep_every_k: int = 1,
    ) -> None:
        if not root_dir:
            raise ValueError("Expected `root_dir` not to be empty.")
        if keep_total < 0 or keep_every_k < 1:
            raise ValueError("Expected `keep_total` not to be negative and `keep_every_k` to be positive.")
        self._folder = Path(root_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prefix = prefix
        self._keep_total = keep_total
        self._keep_first = keep_first
        self._keep_every = keep_every_k

    def _path(self, version: int) -> Path:
        return self._folder / f"{self._prefix}{version}"

    def _versions(self) -> list[int]:
        pattern = re.compile(re.escape(self._prefix) + r"(\d+)")
        found = (pattern.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    async def get_versions(self) -> list[int] | None:
        """See ``ProgramStateManager.get_versions``."""
        return self._versions() or None

    async def load(self, version: int, structure: Any) -> Any:
        """See ``ProgramStateManager.load``.

        Raises:
            ProgramStateNotFoundError: If there is none.
            CorruptDataError: If it is damaged, or of another type.
        """
        path = self._path(version)
        if not path.is_file():
            raise ProgramStateNotFoundError(f"No program state found for version: {version}")
        return decode_value(path.read_bytes(), type_of(structure))

    async def save(self, program_state: Any, version: int) -> None:
        """See ``ProgramStateManager.save``.

        Raises:
            ProgramStateExistsError: If there is one of this version.
        """
        path = self._path(version)
        if path.exists():
            raise ProgramStateExistsError(f"Program state already exists for version: {version}")
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(encode_value(program_state, type_of(program_state)))
        os.replace(temporary, path)
        self._tidy()

    def _tidy(self) -> None:
        versions = self._versions()
        last = versions[-1:]
        kept = [v for v in versions if v % self._keep_every == 0 or v in last]
        if self._keep_total:
            first = versions[:1] if self._keep_first and self._keep_total > 1 else []
            rest = [v for v in kept if v not in first]
            kept = [*first, *rest[len(first) - self._keep_total :]]
        for version in versions:
            if version not in kept:
                self._path(version).unlink()


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.program.{name}", instead)


_DIRECT = "computations run when they are called; give their arguments to them"
_SOURCE = "give a process the data sets of each round's clients"
ClientIdDataSource = _absent("ClientIdDataSource", _SOURCE)
DatasetDataSource = _absent("DatasetDataSource", _SOURCE)
FederatedDataSource = _absent("FederatedDataSource", _SOURCE)
FederatedDataSourceIterator = _absent("FederatedDataSourceIterator", _SOURCE)
PrefetchingDataSource = _absent("PrefetchingDataSource", _SOURCE)
FederatedContext = _absent("FederatedContext", _DIRECT)
NativeFederatedContext = _absent("NativeFederatedContext", _DIRECT)
NativeValueReference = _absent("NativeValueReference", _DIRECT)
check_in_federated_context = _absent("check_in_federated_context", _DIRECT)
contains_only_server_placed_data = _absent("contains_only_server_placed_data", _DIRECT)
materialize_value = _absent("materialize_value", _DIRECT)
SavedModelFileReleaseManager = _absent("SavedModelFileReleaseManager", "use FileProgramStateManager")
