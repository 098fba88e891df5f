# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes: where computations run. Each is an interpreter of the language; none knows another."""

from foedus.runtime._open import local, reference

__all__ = ["local", "reference"]
