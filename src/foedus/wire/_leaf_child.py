# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a child process does with leaves of a sender that is not trusted; see ``_leaves``.

Standard input is the number of leaves, then for each its kind, the text of its type, the number of its bytes,
and these. Standard output is a line of JSON before each leaf, ``{"leaf": 0}``, and one at the end:
``{"read": 3}``, or what was wrong.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from foedus.errors import ArgumentError, CorruptDataError, FoedusError
from foedus.foreign import kind
from foedus.types import Function
from foedus.wire._leaves import MOST_BYTES, SECONDS
from foedus.wire._stream import Reader
from foedus.wire._type import parsed

MEMORY = 1 << 32
"""Most bytes of memory that the child may map."""
_MOST_WRITTEN = 1 << 20
_MOST_PROCESSORS = 4
"""Each processor brings threads, whose stacks count as memory."""


def bound() -> None:
    """Sets limits that the system enforces, where it can."""
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_MOST_PROCESSORS])
    try:
        import resource
    except ImportError:  # There is none on Windows, where the parent's watch must do.
        return
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CPU: SECONDS * _MOST_PROCESSORS,
        resource.RLIMIT_FSIZE: _MOST_WRITTEN,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def read(data: bytes, say: Callable[[dict[str, object]], None]) -> None:
    """Reads leaves.

    Args:
        data: Standard input.
        say: Writes a line to standard output.
    """
    try:
        _read(Reader(memoryview(data), "the leaves"), say)
    except FoedusError as error:
        sort = CorruptDataError if isinstance(error, ArgumentError) else type(error)
        say(
            {
                "error": sort.__name__,
                "headline": error.headline,
                "found": error.found,
                "expected": error.expected,
                "hint": error.hint,
            }
        )
    except Exception as error:
        found = f"{type(error).__name__}: {error}"[:1000]
        say({"error": "CorruptDataError", "headline": "The stored leaf cannot be read", "found": found})


def _read(reader: Reader, say: Callable[[dict[str, object]], None]) -> None:
    count = reader.count("the number")
    for i in range(count):
        at = f"leaf {i}"
        say({"leaf": i})
        name, type_ = reader.text(at), parsed(reader.text(at))
        leaf_data = reader.blob(reader.count(at), at)
        if not isinstance(type_, Function):
            raise reader.broken("what is no function", at)
        front_end = kind(name)
        front_end.examine(front_end.decode(leaf_data, type_).payload, type_)
    reader.end()
    say({"read": count})


def main() -> None:
    """Reads standard input, and keeps standard output for itself: frameworks print."""
    bound()
    with os.fdopen(os.dup(1), "wb", buffering=0) as out, open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)

        def say(line: dict[str, object]) -> None:
            out.write(json.dumps(line).encode() + b"\n")

        read(sys.stdin.buffer.read(2 * MOST_BYTES), say)


if __name__ == "__main__":
    main()
