# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends.reference``: the reference executor, until it was removed."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "create_reference_context",
    "set_reference_context",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.backends.reference.{name}", instead)


_REFERENCE = "use foedus.runtime.reference, as in foedus.set_default_runtime(foedus.runtime.reference())"
create_reference_context = _absent("create_reference_context", _REFERENCE)
set_reference_context = _absent("set_reference_context", _REFERENCE)
