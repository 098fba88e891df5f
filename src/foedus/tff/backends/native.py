# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends.native``: where computations run; each context is a runtime of Foedus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foedus import lang, runtime
from foedus.tff._absent import Absent

__all__ = [
    "compile_to_mergeable_comp_form",
    "create_async_local_cpp_execution_context",
    "create_mergeable_comp_execution_context",
    "create_sync_local_cpp_execution_context",
    "create_sync_remote_cpp_execution_context",
    "desugar_and_transform_to_native",
    "set_async_local_cpp_execution_context",
    "set_local_execution_context",
    "set_local_python_execution_context",
    "set_mergeable_comp_execution_context",
    "set_remote_python_execution_context",
    "set_sync_local_cpp_execution_context",
    "set_sync_remote_cpp_execution_context",
    "transform_to_native_form",
]

if TYPE_CHECKING:
    from foedus.runtime._local import LocalRuntime


def create_sync_local_cpp_execution_context(
    default_num_clients: int = 0, max_concurrent_computation_calls: int = -1, stream_structs: bool = False
) -> LocalRuntime:
    """The local runtime of Foedus.

    Args:
        default_num_clients: How many clients there are in computations without an argument at clients.
        max_concurrent_computation_calls: Without a meaning here.
        stream_structs: Without a meaning here.
    """
    return runtime.local(clients=default_num_clients or None)


def set_sync_local_cpp_execution_context(
    default_num_clients: int = 0, max_concurrent_computation_calls: int = -1, stream_structs: bool = False
) -> None:
    """Runs computations in the local runtime of Foedus from now on, as they are anyway.

    Args:
        default_num_clients: How many clients there are in computations without an argument at clients.
        max_concurrent_computation_calls: Without a meaning here.
        stream_structs: Without a meaning here.
    """
    lang.set_default_runtime(create_sync_local_cpp_execution_context(default_num_clients))


def set_local_execution_context(num_clients: int | None = None, **options: Any) -> None:
    """As ``set_sync_local_cpp_execution_context``, by its name of 2020; options have no meaning here.

    Args:
        num_clients: How many clients there are in computations without an argument at clients.
        **options: What TFF took beside.
    """
    set_sync_local_cpp_execution_context(num_clients or 0)


def set_local_python_execution_context(default_num_clients: int = 0, **options: Any) -> None:
    """As ``set_sync_local_cpp_execution_context``, by its name of 2021; options have no meaning here.

    Args:
        default_num_clients: How many clients there are in computations without an argument at clients.
        **options: What TFF took beside.
    """
    set_sync_local_cpp_execution_context(default_num_clients)


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.backends.native.{name}", instead)


_SYNCHRONOUS = "computations run when they are called; there is no asynchronous context"
create_async_local_cpp_execution_context = _absent("create_async_local_cpp_execution_context", _SYNCHRONOUS)
set_async_local_cpp_execution_context = _absent("set_async_local_cpp_execution_context", _SYNCHRONOUS)
create_mergeable_comp_execution_context = _absent("create_mergeable_comp_execution_context", _SYNCHRONOUS)
set_mergeable_comp_execution_context = _absent("set_mergeable_comp_execution_context", _SYNCHRONOUS)
_ONE_MACHINE = "there are no other machines yet"
create_sync_remote_cpp_execution_context = _absent("create_sync_remote_cpp_execution_context", _ONE_MACHINE)
set_sync_remote_cpp_execution_context = _absent("set_sync_remote_cpp_execution_context", _ONE_MACHINE)
set_remote_python_execution_context = _absent("set_remote_python_execution_context", _ONE_MACHINE)
_PASSES = "use foedus.passes"
desugar_and_transform_to_native = _absent("desugar_and_transform_to_native", _PASSES)
transform_to_native_form = _absent("transform_to_native_form", _PASSES)
compile_to_mergeable_comp_form = _absent("compile_to_mergeable_comp_form", _PASSES)
