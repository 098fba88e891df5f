# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled programs on disk, so that another process need not compile them again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

import jax

VARIABLE = "FOEDUS_CACHE_DIR"
_MOST_BYTES = 2**30


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """Where compiled programs are kept.

    Args:
        environment: The variables ``FOEDUS_CACHE_DIR``, which is empty where nothing is to be kept, and
            ``XDG_CACHE_HOME``.

    Returns:
        A folder of its own for each release of JAX and sort of processor, since code for one may not run on
        another; None if nothing is to be kept.
    """
    chosen = environment.get(VARIABLE)
    if chosen == "":
        return None
    usual = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foedus"
    sort = hashlib.blake2b(_processor().encode(), digest_size=6).hexdigest()
    return (Path(chosen) if chosen else usual) / "compiled" / f"jax-{jax.__version__}-{sort}"


def keep_compiled(folder: Path | None) -> None:
    """Has JAX keep what it compiles, unless the user has told it where to keep it.

    The oldest programs go where they would take more than a gigabyte. A folder that cannot be written to is a
    warning of JAX and costs time, nothing else.

    Args:
        folder: Where; None for nowhere.
    """
    if folder is None or jax.config.values.get("jax_compilation_cache_dir") is not None:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)


def _processor() -> str:
    """What tells one sort of processor from another: where the system says it, the instructions it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = (line for line in lines if line.partition(":")[0].strip() in ("flags", "Features"))
    return f"{platform.machine()} {next(told, '')}"
