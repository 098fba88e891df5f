# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run stood after a round, in one file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, final

from foedus.errors import CorruptDataError, FoedusError, MissingDataError, place
from foedus.program._durable import TEMPORARY, replace_file, unwritable
from foedus.program._record import Record
from foedus.types import Struct, Type, string
from foedus.wire import decode_value, encode_value

_LOG = logging.getLogger("foedus.program")
_NAME = re.compile(r"round_(\d{6,12})\.foedus")
_BROKEN = ".broken"


class Checkpoint(NamedTuple):
    """Where a run stood after a round.

    Args:
        round: The round's number; 0 before the first.
        state: The state after it.
        history: The records of all rounds up to it.
    """

    round: int
    state: Any
    history: Sequence[Record]


def _stored_type(state_type: Type) -> Struct:
    return Struct((("metadata", string), ("state", state_type)), dict)


def encode_checkpoint(checkpoint: Checkpoint, state_type: Type) -> bytes:
    """Writes a checkpoint to bytes.

    Args:
        checkpoint: The checkpoint.
        state_type: The type of its state.

    Returns:
        The bytes: a value of ``foedus.wire`` with the fields ``metadata``, JSON text, and ``state``.
    """
    metadata = {"round": checkpoint.round, "history": list(checkpoint.history)}
    value = {"metadata": json.dumps(metadata), "state": checkpoint.state}
    return encode_value(value, _stored_type(state_type))


def decode_checkpoint(data: bytes, state_type: Type) -> Checkpoint:
    """Reads a checkpoint back.

    Args:
        data: The bytes.
        state_type: The type that the state should have.

    Returns:
        The checkpoint, its state in the containers of ``state_type``.

    Raises:
        CorruptDataError: If the bytes are no checkpoint.
        TypeMismatchError: If the state has another type.
    """
    value = decode_value(data, _stored_type(state_type))
    try:
        metadata = json.loads(value["metadata"])
        number, history = metadata["round"], metadata["history"]
        whole = number == len(history) and all(isinstance(record, dict) for record in history)
    except (ValueError, TypeError, KeyError):
        whole, number, history = False, 0, []
    if not whole:
        raise CorruptDataError(
            "The metadata of a checkpoint cannot be read", found=repr(value["metadata"][:80]), at=place()
        )
    return Checkpoint(number, value["state"], cast("list[Record]", history))


def read_checkpoint(path: str | os.PathLike[str], state_type: Type) -> Checkpoint:
    """Reads the state that a run left behind.

    Args:
        path: A checkpoint's file, or the folder of a run, whose newest good checkpoint is taken.
        state_type: The type of the state: ``process.state_type``.

    Returns:
        The checkpoint, its state in the containers of ``state_type``.

    Raises:
        MissingDataError: If there is no checkpoint.
        CorruptDataError: If it is broken, or all of them are.
        TypeMismatchError: If its state has another type; the error names the path.
    """
    path = Path(path)
    if path.is_dir():
        newest, _ = Checkpoints(path / "checkpoints", state_type).newest()
        if newest is not None:
            return newest
    if not path.is_file():
        raise MissingDataError(f"There is no checkpoint in {path}", at=place())
    return decode_checkpoint(path.read_bytes(), state_type)


@final
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: The folder that they are in.
        state_type: The type of the state.
        keep: How many to keep; older ones are deleted.
    """

    def __init__(self, folder: Path, state_type: Type, *, keep: int = 1) -> None:
        self.folder = folder
        self._state_type = state_type
        self._keep = keep

    def rounds(self) -> list[int]:
        """The rounds that have a checkpoint, newest first."""
        names = (_NAME.fullmatch(path.name) for path in self.folder.glob("round_*"))
        return sorted((int(name.group(1)) for name in names if name), reverse=True)

    def path(self, number: int) -> Path:
        """The file of the checkpoint after a round."""
        return self.folder / f"round_{number:06d}.foedus"

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and then deletes those that are too old.

        Args:
            checkpoint: The checkpoint.

        Raises:
            OutputError: If it cannot be written; what was there before still is.
        """
        replace_file(self.path(checkpoint.round), encode_checkpoint(checkpoint, self._state_type))
        for number in self.rounds()[self._keep :]:
            # One too many does no harm.
            with contextlib.suppress(OSError):
                self.path(number).unlink()

    def newest(self) -> tuple[Checkpoint | None, list[int]]:
        """Finds the newest checkpoint that is whole.

        Returns:
            The checkpoint, None if there is not a single file, and the rounds of newer ones that are broken.

        Raises:
            CorruptDataError: If there are some, and all are broken.
        """
        broken: dict[int, str] = {}
        for number in self.rounds():
            try:
                return decode_checkpoint(self.path(number).read_bytes(), self._state_type), list(broken)
            except (CorruptDataError, OSError) as error:
                broken[number] = error.headline if isinstance(error, FoedusError) else str(error)
                _LOG.warning("The checkpoint %s is broken: %s", self.path(number), broken[number])
        if not broken:
            return None, []
        newest = next(iter(broken))
        raise CorruptDataError(
            f"None of the checkpoints in {self.folder} can be read",
            found=f"{self.path(newest).name}: {broken[newest]}",
            at=place(),
            hint="delete the folder to start again from the first round, or choose another one",
        )

    def tidy(self, broken: Sequence[int]) -> None:
        """Puts broken checkpoints aside, so that they are not counted, and removes half-written files.

        Args:
            broken: The rounds of the broken ones.

        Raises:
            OutputError: If that cannot be done.
        """
        try:
            for number in broken:
                path = self.path(number)
                path.replace(path.with_name(path.name + _BROKEN))
            for path in self.folder.glob(f"*{TEMPORARY}"):
                path.unlink()
        except OSError as error:
            raise unwritable(self.folder, error) from error
