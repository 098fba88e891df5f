# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""One run of a program that prints a JSON line, watched from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_LOOK_EVERY = 1.0
"""Seconds between two looks at a program's memory: to look takes time that the program lacks."""
_LOOK_AT_FIRST = 0.25
_AT_FIRST = 5.0


def measured_run(
    command: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Runs a program in an empty folder, and kills whatever it leaves running.

    Args:
        command: The program and its arguments.
        timeout: After how many seconds it is killed.
        environment: Variables beside those of this process.

    Returns:
        ``result``, the last line of its output that is a JSON object, or ``failed``, what is known of why
        there is none; and ``wall_s``, ``tree_mb`` and ``tree_anonymous_mb``: the most memory seen in all its
        processes, shared pages divided among them (Linux only, else 0).
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
    ):
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            memory, late = _watch(process, begin, timeout)
        finally:
            _kill_group(process.pid)
            code = process.wait()
        known = {"wall_s": round(time.monotonic() - begin, 1), **memory}
        result = _last_object(output)
        if result is not None and not late:
            return {"result": result, **known}
        if late:
            return {"failed": f"killed after {timeout:g} s", **known}
        return {"failed": _why(code, errors), **known}


def _watch(process: subprocess.Popen[bytes], begin: float, timeout: float) -> tuple[dict[str, int], bool]:
    """The most memory a program had, and whether its time ran out."""
    most = {"tree_mb": 0, "tree_anonymous_mb": 0}
    while True:
        early = time.monotonic() - begin < _AT_FIRST
        try:
            process.wait(_LOOK_AT_FIRST if early else _LOOK_EVERY)
            return most, False
        except subprocess.TimeoutExpired:
            seen = _tree_memory(process.pid)
        most = {name: max(most[name], seen[name]) for name in most}
        if time.monotonic() - begin > timeout:
            return most, True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _tree_memory(root: int) -> dict[str, int]:
    """MB of a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        parent = _parent(folder)
        if parent is not None:
            children.setdefault(parent, []).append(int(folder.name))
    kilobytes, waiting = {"Pss": 0, "Pss_Anon": 0}, [root]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        for name, value in _shares(one).items():
            kilobytes[name] += value
    return {
        "tree_mb": round(kilobytes["Pss"] / 1024),
        "tree_anonymous_mb": round(kilobytes["Pss_Anon"] / 1024),
    }


def _parent(folder: Path) -> int | None:
    try:
        return int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:  # it has ended
        return None


def _shares(process: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return {}
    fields = (line.split() for line in lines)
    return {f[0].rstrip(":"): int(f[1]) for f in fields if f[0] in ("Pss:", "Pss_Anon:")}


def _last_object(output: IO[str]) -> dict[str, Any] | None:
    output.seek(0)
    for line in reversed(output.read().splitlines()):
        found = _object(line)
        if found is not None:
            return found
    return None


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _why(code: int, errors: IO[str]) -> str:
    errors.seek(0)
    said = [line.strip() for line in errors.read().splitlines() if line.strip()]
    last = said[-1] if said else "nothing on its standard error"
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"{how}: {last}"
