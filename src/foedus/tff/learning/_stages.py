# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What the stages of TFF's learning algorithms share.

TFF's states hold no key. Where a model needs randomness (dropout), a client's key is made of its own and a
hash of the weights that it got, so that a round depends on nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from foedus.learning.models import Model
from foedus.tff.learning.optimizers import Optimizer
from foedus.types import Struct, Tensor, Type, pack

_ODD = 2654435761
"""Knuth's multiplier, which spreads numbers over 32 bits."""


def digest_of(weights: Any) -> Any:
    """A number, uint32, that depends on every bit of the weights and on nothing else."""
    total = jnp.zeros((), jnp.uint32)
    for leaf in jax.tree.leaves(weights):
        bits = jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32).ravel()
        places = jax.lax.iota(jnp.uint32, bits.size) * jnp.uint32(2) + jnp.uint32(1)
        total = (total + jnp.sum(bits * places, dtype=jnp.uint32)) * jnp.uint32(_ODD)
    return total


def trainable_type(model: Model) -> Type:
    """The type of a model's trainable weights."""
    assert isinstance(model.weights_type, Struct)
    return model.weights_type.fields[0][1]


def specs_of(type_: Type) -> Any:
    """What has the shapes and dtypes of weights, for an optimizer's ``initialize``."""
    match type_:
        case Struct(fields):
            return pack(type_, [specs_of(t) for _, t in fields])
        case Tensor(dtype, shape):
            return jax.ShapeDtypeStruct([size or 0 for size in shape or ()], np.dtype(dtype))
        case _:
            raise AssertionError(f"{type_} is no type of weights; please report")


def initial_weights(model: Model) -> Callable[[], Any]:
    """A function that makes a model's first weights, for ``federated_eval``."""
    return lambda: model.initialize(jnp.zeros(2, jnp.uint32))


def transformation(
    optimizer: Optimizer, hparams: Any, *, proximal_strength: float = 0.0
) -> optax.GradientTransformation:
    """An optimizer of TFF as one of optax.

    Args:
        optimizer: The optimizer.
        hparams: Its hyperparameters, in place of its own.
        proximal_strength: How strongly weights are drawn to where they began (Li et al., "Federated
            Optimization in Heterogeneous Networks", 2020, mu in equation 2).
    """

    def init(params: Any) -> Any:
        specs = jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), params)
        state = optimizer.set_hparams(optimizer.initialize(specs), hparams)
        return (state, params if proximal_strength else ())

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        inner, start = state
        if proximal_strength:
            updates = jax.tree.map(lambda g, w, w0: g + proximal_strength * (w - w0), updates, params, start)
        new, moved = optimizer.next(inner, params, updates)
        return jax.tree.map(jnp.subtract, moved, params), (new, start)

    return optax.GradientTransformation(init, update)
