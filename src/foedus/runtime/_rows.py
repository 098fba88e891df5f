# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of nested arrays in compiled code, by numbers that count from the first row only: to look for those
that count from the last costs a step each time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def row(arrays: Any, index: Any) -> Any:
    """A row of arrays ``[rows, ...]``."""
    return jax.tree.map(
        lambda x: lax.dynamic_index_in_dim(
            jnp.asarray(x), index, keepdims=False, allow_negative_indices=False
        ),
        arrays,
    )


def with_row(arrays: Any, value: Any, index: Any) -> Any:
    """Arrays ``[rows, ...]`` with another row."""
    return jax.tree.map(
        lambda x, own: lax.dynamic_update_index_in_dim(x, own, index, 0, allow_negative_indices=False),
        arrays,
        value,
    )
