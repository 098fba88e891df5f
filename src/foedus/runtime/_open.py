# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How runtimes are made. What a runtime needs is imported when one is made, not before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from foedus.data import ClientId, Tiers, are_ids
from foedus.errors import ArgumentError, place

if TYPE_CHECKING:
    from foedus.runtime._local import LocalRuntime
    from foedus.runtime._reference import ReferenceRuntime


def _ids(clients: Iterable[ClientId] | int | None) -> tuple[ClientId, ...] | None:
    if clients is None:
        return None
    if isinstance(clients, int):
        if clients < 0:
            raise ArgumentError("The number of clients is negative", found=clients, at=place())
        return tuple(range(clients))
    ids = tuple(clients)
    if len(set(ids)) < len(ids) or not are_ids(ids):
        raise ArgumentError(
            "Client ids are all strings or all whole numbers, each once", found=ids[:5], at=place()
        )
    return ids


def reference(
    *, clients: Iterable[ClientId] | int | None = None, tiers: Tiers | None = None, debug: bool = False
) -> ReferenceRuntime:
    """The reference runtime: slow, obvious, and the meaning of every program.

    It runs one client after another in plain Python, so that ``print`` and breakpoints inside local code
    work, and keeps
    a log of what crossed between placements in ``crossings``. An exception in local code names the client,
    the operator
    and the user's own line.

    Args:
        clients: The clients (ids, or how many) for computations that have no argument at clients.
        tiers: For each declared tier its members, and for each member the clients below it.
        debug: Keeps local code from compiling loops and functions of its own too (``jax.jit``, ``lax.scan``),
            so that
            every line of it runs as Python.

    Returns:
        A runtime, for ``foedus.use`` or ``foedus.set_default_runtime``.
    """
    from foedus.runtime._reference import ReferenceRuntime

    return ReferenceRuntime(_ids(clients), tiers or {}, debug=debug)


def dispatch_inline() -> None:
    """Has JAX run programs on a CPU in the thread that calls them, for all of this process.

    To hand a program over to a thread of XLA's, as JAX does by default, and to wait for it there takes about
    as long as a round of a small model. Results do not depend on it. JAX asks for the option
    ``jax_cpu_enable_async_dispatch`` once, when something is first computed, so it has to be set before.
    The import of ``foedus.learning`` and ``local`` do so; compute something before them to leave it as it is.
    """
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)


def local(
    *,
    clients: Iterable[ClientId] | int | None = None,
    tiers: Tiers | None = None,
    workers: int | None = None,
    together: int | None = None,
) -> LocalRuntime:
    """The local runtime: turns a round over all clients into a few compiled programs. It is the default.

    What it compiles is kept on disk for other processes, in the folder that the environment variable
    ``FOEDUS_CACHE_DIR`` names, by default ``~/.cache/foedus``; an empty variable keeps nothing.

    It calls ``dispatch_inline``.

    How a stage was run, and why, is in ``schedules`` after each run. The numbers do not depend on it:
    clients are folded in runs that depend on the clients alone (spec, N3).

    Args:
        clients: The clients (ids, or how many) for computations that have no argument at clients.
        tiers: For each declared tier its members, and for each member the clients below it.
        workers: How many clients run at the same time: on a CPU in threads, by default as many as there are
            cores; on accelerators one a device, by default all.
        together: How many runs of clients a worker folds as one batch. By default 1 on a CPU, where that is
            faster, and all of them on accelerators.

    Returns:
        A runtime, for ``foedus.use`` or ``foedus.set_default_runtime``.

    Raises:
        ArgumentError: If there are fewer accelerators than ``workers``, or a number is below one.
    """
    for what, number in (("workers", workers), ("together", together)):
        if number is not None and number < 1:
            raise ArgumentError("There is at least one", found=number, expected="1 or more", at=place(what))
    from foedus.runtime._disk import folder_of, keep_compiled
    from foedus.runtime._local import LocalRuntime

    dispatch_inline()
    keep_compiled(folder_of(os.environ))
    return LocalRuntime(_ids(clients), tiers or {}, workers=workers, together=together)
