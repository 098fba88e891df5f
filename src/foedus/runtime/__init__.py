# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes: where computations run. Each is an interpreter of the language; none knows another."""

from foedus.runtime._open import dispatch_inline, local, reference

__all__ = ["dispatch_inline", "local", "reference"]
