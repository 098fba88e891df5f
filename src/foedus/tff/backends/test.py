# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends.test``: where tests run: the local runtime, which also simulates secure sums."""

from __future__ import annotations

from foedus.tff._absent import Absent
from foedus.tff.backends.native import (
    create_sync_local_cpp_execution_context as create_sync_test_cpp_execution_context,
)
from foedus.tff.backends.native import (
    set_sync_local_cpp_execution_context as set_sync_test_cpp_execution_context,
)

__all__ = [
    "create_async_test_cpp_execution_context",
    "create_sync_test_cpp_execution_context",
    "replace_secure_intrinsics_with_bodies",
    "set_async_test_cpp_execution_context",
    "set_sync_test_cpp_execution_context",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.backends.test.{name}", instead)


_SYNCHRONOUS = "computations run when they are called; there is no asynchronous context"
create_async_test_cpp_execution_context = _absent("create_async_test_cpp_execution_context", _SYNCHRONOUS)
set_async_test_cpp_execution_context = _absent("set_async_test_cpp_execution_context", _SYNCHRONOUS)
_PASSES = "use foedus.passes.replace_intrinsics"
replace_secure_intrinsics_with_bodies = _absent("replace_secure_intrinsics_with_bodies", _PASSES)
