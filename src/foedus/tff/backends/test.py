# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends.test``: where tests run computations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foedus import lang, runtime
from foedus.tff._absent import Absent

__all__ = [
    "create_async_test_cpp_execution_context",
    "create_sync_test_cpp_execution_context",
    "replace_secure_intrinsics_with_bodies",
    "set_async_test_cpp_execution_context",
    "set_sync_test_cpp_execution_context",
]

if TYPE_CHECKING:
    from foedus.runtime._local import LocalRuntime


def create_sync_test_cpp_execution_context(
    default_num_clients: int = 0, max_concurrent_computation_calls: int = -1, stream_structs: bool = False
) -> LocalRuntime:
    """The local runtime of Foedus, which also simulates secure sums.

    Args:
        default_num_clients: How many clients there are in computations without an argument at clients.
        max_concurrent_computation_calls: Without a meaning here.
        stream_structs: Without a meaning here.
    """
    return runtime.local(clients=default_num_clients or None)


def set_sync_test_cpp_execution_context(
    default_num_clients: int = 0, max_concurrent_computation_calls: int = -1, stream_structs: bool = False
) -> None:
    """Runs computations in the local runtime of Foedus from now on, as they are anyway.

    Args:
        default_num_clients: How many clients there are in computations without an argument at clients.
        max_concurrent_computation_calls: Without a meaning here.
        stream_structs: Without a meaning here.
    """
    lang.set_default_runtime(create_sync_test_cpp_execution_context(default_num_clients))


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.backends.test.{name}", instead)


_SYNCHRONOUS = "computations run when they are called; there is no asynchronous context"
create_async_test_cpp_execution_context = _absent("create_async_test_cpp_execution_context", _SYNCHRONOUS)
set_async_test_cpp_execution_context = _absent("set_async_test_cpp_execution_context", _SYNCHRONOUS)
_PASSES = "use foedus.passes.replace_intrinsics"
replace_secure_intrinsics_with_bodies = _absent("replace_secure_intrinsics_with_bodies", _PASSES)
