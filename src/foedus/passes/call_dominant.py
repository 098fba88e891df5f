# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Call-dominant form: flat, without duplicates, without dead code; what runtimes plan from."""

from __future__ import annotations

from foedus.ir import Lambda, Node
from foedus.passes.dead_code import remove_dead_code
from foedus.passes.inline import inline
from foedus.passes.merge_duplicates import merge_duplicates


def call_dominant(program: Node) -> Lambda:
    """Brings a program into call-dominant form.

    Args:
        program: A closed program of function type.

    Returns:
        The program in flat form (see ``inline``), each different call bound once and every binding used.
    """
    return remove_dead_code(merge_duplicates(inline(program)))
