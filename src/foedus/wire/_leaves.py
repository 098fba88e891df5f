# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Leaves from bytes. Those of a sender that is not trusted are read in a child process first.

What reads a framework's compiled code is native code that was not written for bytes which somebody made up:
it may end the process. So a child reads them, goes through all that running them will read, and compiles
them; only then does this process read them too. The child has bounds: ``SECONDS`` of time,
``_leaf_child.MEMORY`` bytes of memory where the system can bound it, and ``MOST_BYTES`` of input. It starts
this Python, without a shell, with little more in its environment than the path of modules. It keeps a crash
away from this process; it is no sandbox for code that takes over the child.

A leaf that was read once is known by its hash and not read by a child again. Measured on two cores: starting
a child takes 0.6 s; reading the three programs of the digits baseline (13 leaves, 180 kB) 4.1 s, with a child
for each; reading them again, or from a trusted sender, 0.04 s. Compiling is most of it, and grows with the
code: a leaf with 20 sizes of batches compiled in takes 10 to 20 s.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, cast

from foedus.errors import (
    ArgumentError,
    CorruptDataError,
    FoedusError,
    MissingExtraError,
    UnsupportedError,
    place,
)
from foedus.foreign import kind
from foedus.ir import Foreign
from foedus.types import Function, show
from foedus.wire._stream import Writer

CHILD = "foedus.wire._leaf_child"
"""The module that the child runs."""
SECONDS = 120
"""How long a child may take for all leaves of a program."""
MOST_BYTES = 1 << 27
"""Most bytes of all leaves that a child reads."""
_MOST_REMEMBERED = 1 << 14
_MOST_ANSWER = 1 << 16
_KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""What the child keeps of this process's environment: what the interpreter itself may need to start."""

_ERRORS: Mapping[str, type[FoedusError]] = {
    error.__name__: error for error in (CorruptDataError, MissingExtraError, UnsupportedError)
}

_approved: set[str] = set()
"""Hashes of leaves that a child has read."""


class Sender(enum.Enum):
    """Who made the bytes of a program."""

    UNTRUSTED = "untrusted"
    """Anybody: leaves are read in a child process first, and may call nothing outside of them. What they
    compute, and how long that takes, is still up to the sender."""
    TRUSTED = "trusted"
    """Yourself, or somebody whose code you would run: leaves are read at once, in this process."""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as it was stored.

    Args:
        kind: The kind that reads it.
        type: Its type.
        data: Its bytes.
    """

    kind: str
    type: Function
    data: bytes

    @property
    def fingerprint(self) -> str:
        """A hash of all of it."""
        digest = hashlib.sha256(f"{self.kind}\0{show(self.type)}\0".encode("utf-8", "surrogatepass"))
        digest.update(self.data)
        return digest.hexdigest()


def load_leaves(stored: list[StoredLeaf], sender: Sender) -> list[Foreign]:
    """Reads leaves.

    Args:
        stored: What was stored, under a checksum that has been verified.
        sender: Who wrote it.

    Returns:
        The leaves. Their digests are made of what was read, never taken from the sender's word.

    Raises:
        CorruptDataError: If one is broken, ends the process that reads it, or takes it too long.
        UnsupportedError: If one calls what stands outside of it, and the sender is not trusted.
    """
    if sender is Sender.UNTRUSTED:
        unknown = {leaf.fingerprint: leaf for leaf in stored if leaf.fingerprint not in _approved}
        if unknown:
            _read_in_child(list(unknown.values()))
            if len(_approved) > _MOST_REMEMBERED:
                _approved.clear()
            _approved.update(unknown)
    return [_load(leaf) for leaf in stored]


def _load(stored: StoredLeaf) -> Foreign:
    try:
        front_end = kind(stored.kind)
    except ArgumentError as error:
        raise CorruptDataError(
            "The stored leaf is of a kind that this version of Foedus does not know",
            found=repr(stored.kind)[:80],
            expected=error.expected,
            at=place(),
        ) from error
    leaf = front_end.decode(stored.data, stored.type)
    assert leaf.type == stored.type, f"{stored.kind} read a leaf of another type; please report"
    return leaf


def _read_in_child(stored: list[StoredLeaf]) -> None:
    size = sum(len(leaf.data) for leaf in stored)
    if size > MOST_BYTES:
        raise CorruptDataError(
            "The leaves of this program are too large to be read for a sender that is not trusted",
            found=f"{size} bytes",
            expected=f"at most {MOST_BYTES}",
            at=place(),
        )
    writer = Writer()
    writer.item(len(stored))
    for leaf in stored:
        writer.item(leaf.kind)
        writer.item(show(leaf.type))
        writer.item(len(leaf.data))
        writer.item(memoryview(leaf.data))
    answers, ending = _ask_child(writer.body())
    last: Mapping[str, object] = answers[-1] if answers else {}
    if last.get("read") == len(stored) and ending == "exit status 0":
        return
    if "error" in last:
        raise _told(last)
    _refuse(stored, last.get("leaf"), ending)


def _ask_child(body: bytes) -> tuple[list[Mapping[str, object]], str]:
    """What a child says about leaves, line by line, and how it ended."""
    # A file, unlike a pipe, cannot be filled faster than it is read.
    with tempfile.TemporaryFile() as answer:
        with subprocess.Popen(
            [sys.executable, "-P", "-s", "-B", "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as child:
            try:
                child.communicate(body, timeout=SECONDS)
                ending = f"exit status {child.returncode}"
            except subprocess.TimeoutExpired:
                child.kill()
                ending = f"no answer within {SECONDS} s"
            except BaseException:
                child.kill()
                raise
        answer.seek(0)
        return list(_lines(answer.read(_MOST_ANSWER))), ending


def _environment() -> dict[str, str]:
    """The environment of a child: the modules of this process, and nothing of what it does."""
    paths = os.pathsep.join(path for path in sys.path if path)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu", "MALLOC_ARENA_MAX": "2"}


def _lines(answer: bytes) -> Iterable[Mapping[str, object]]:
    for line in answer.splitlines():
        try:
            found = cast("object", json.loads(line))
        except ValueError:
            continue
        if isinstance(found, dict):
            yield cast("Mapping[str, object]", found)


def _told(answer: Mapping[str, object]) -> FoedusError:
    """The error that a child met."""
    sort = _ERRORS.get(str(answer["error"]), CorruptDataError)
    parts = {name: str(answer[name])[:2000] for name in ("found", "expected", "hint") if answer.get(name)}
    return sort(
        str(answer.get("headline"))[:200],
        found=parts.get("found"),
        expected=parts.get("expected"),
        at=place(),
        hint=parts.get("hint"),
    )


def _refuse(stored: list[StoredLeaf], number: object, ending: str) -> NoReturn:
    which = ""
    if isinstance(number, int) and 0 <= number < len(stored):
        which = f" on leaf {number} of type {stored[number].type}"[:300]
    raise CorruptDataError(
        "The process that read a stored leaf did not survive it",
        found=ending + which,
        at=place(),
        hint="the leaf is damaged, made up, or far larger than usual; ask whoever sent it",
    )
