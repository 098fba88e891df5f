# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.jax``: local code in JAX."""

from __future__ import annotations

from foedus.tff._computations import jax_computation as computation

__all__ = ["computation"]
