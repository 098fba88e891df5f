# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Passes: from program to program, one file each. Every pass keeps the type and the meaning."""

from foedus.passes.call_dominant import call_dominant
from foedus.passes.dead_code import remove_dead_code
from foedus.passes.inline import inline
from foedus.passes.merge_duplicates import merge_duplicates
from foedus.passes.replace_intrinsics import expand, replace_intrinsics
from foedus.passes.uniquify import uniquify

__all__ = [
    "call_dominant",
    "expand",
    "inline",
    "merge_duplicates",
    "remove_dead_code",
    "replace_intrinsics",
    "uniquify",
]
