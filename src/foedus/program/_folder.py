# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what run it is, its checkpoints, and who may write there.

```
run.json                        what may not change from one call to the next
metrics.csv                     one row a round
checkpoints/round_000012.foedus
lock
```
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foedus.data import ClientId, derive_key
from foedus.errors import ArgumentError, CorruptDataError, TypeSyntaxError, place
from foedus.program._checkpoint import Checkpoints
from foedus.program._durable import make_folder, replace_file, unwritable
from foedus.program._lock import locked
from foedus.program._sampling import in_order
from foedus.types import Type, difference, parse, show

_NAMES = {
    "seed": "seed",
    "clients_per_round": "number of clients in a round",
    "state_type": "type of the state",
    "process": "process",
    "clients": "set of clients",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a run this run: with one of these changed, its rounds would not be the ones that were begun.

    Args:
        seed: The seed.
        clients_per_round: How many clients take part in a round.
        state_type: The text of the state's type.
        process: The process' own fingerprint; empty if it has none.
        clients: How many clients there are, and a digest of their ids.
    """

    seed: int
    clients_per_round: int
    state_type: str
    process: str
    clients: str


def identity_of(process: Any, ids: tuple[ClientId, ...], *, seed: int, clients_per_round: int) -> Identity:
    """Says what run this is.

    Args:
        process: What is trained.
        ids: All clients.
        seed: The seed.
        clients_per_round: How many clients take part in a round.

    Returns:
        The identity.
    """
    digest = derive_key(*in_order(ids)).astype(">u4").tobytes().hex()
    return Identity(
        seed=seed,
        clients_per_round=clients_per_round,
        state_type=show(process.state_type),
        process=str(getattr(process, "fingerprint", "")),
        clients=f"{len(ids)} clients, {digest}",
    )


@contextlib.contextmanager
def opened(folder: Path, identity: Identity, state_type: Type, *, keep: int) -> Iterator[Checkpoints]:
    """Makes or reopens the folder of a run, and keeps others out of it.

    Args:
        folder: The folder.
        identity: What run it is for.
        state_type: The type of the state.
        keep: How many checkpoints to keep.

    Yields:
        Its checkpoints.

    Raises:
        OutputError: If nothing can be written there, or another process writes there now.
        ArgumentError: If it holds another run.
        CorruptDataError: If what it holds cannot be understood.
    """
    checkpoints = Checkpoints(folder / "checkpoints", state_type, keep=keep)
    path = folder / "run.json"
    make_folder(folder)
    with locked(folder):
        make_folder(checkpoints.folder)
        recorded = _recorded(path)
        if recorded is not None:
            _check_same(folder, recorded, identity, state_type)
        elif checkpoints.rounds():
            raise _unreadable(path, "no such file, but checkpoints beside it")
        else:
            replace_file(path, (json.dumps(asdict(identity), indent=2) + "\n").encode())
        yield checkpoints


def _recorded(path: Path) -> Identity | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        return Identity(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise _unreadable(path, repr(data[:80])) from error


def _unreadable(path: Path, found: str) -> CorruptDataError:
    return CorruptDataError(
        f"{path} does not say which run this is",
        found=found,
        at=place(),
        hint="delete the folder to start again from the first round, or choose another one",
    )


def _check_same(folder: Path, recorded: Identity, asked: Identity, state_type: Type) -> None:
    for field, what in _NAMES.items():
        before, now, where = getattr(recorded, field), getattr(asked, field), None
        if field == "state_type":
            before, now, where = _state_parts(before, state_type)
        if before != now:
            raise ArgumentError(
                f"{folder} holds a run with another {what}",
                found=f"{now or 'none'} now",
                expected=f"{before or 'none'}, as when the run began",
                at=place(where),
                hint="go on with what the run began with, or give this one a folder of its own",
            )


def _state_parts(recorded: str, state_type: Type) -> tuple[str, str, str]:
    """Where the recorded state cannot be used as one of the type: that part of both types, and its path."""
    try:
        parted = difference(state_type, parse(recorded))
    except TypeSyntaxError:
        return recorded, show(state_type), "the state"
    if parted is None:
        return "", "", ""
    where = f"{parted.path} of the state" if parted.path else "the state"
    return show(parted.found), show(parted.expected), where
