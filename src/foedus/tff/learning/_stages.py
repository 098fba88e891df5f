# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of TFF's learning algorithms, made of those of ``foedus.learning``.

TFF's states hold no key. Where a model needs randomness (dropout), the round's key is a hash of the weights
that the server has, so that a round depends on nothing but its arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from foedus.lang import federated_apply, federated_map, federated_value
from foedus.learning import train_locally
from foedus.learning.models import Model
from foedus.process import Process
from foedus.tff.learning._weighting import weighting_of
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.learning.optimizers import Optimizer
from foedus.types import SERVER, Struct, Tensor, Type, pack

_ODD = 2654435761
"""Knuth's multiplier, which spreads numbers over 32 bits."""


def key_of(weights: Any) -> Any:
    """A key, uint32[2], that depends on every bit of the weights and on nothing else."""
    total = jnp.zeros((), jnp.uint32)
    for leaf in jax.tree.leaves(weights):
        bits = jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32).ravel()
        places = jax.lax.iota(jnp.uint32, bits.size) * jnp.uint32(2) + jnp.uint32(1)
        total = (total + jnp.sum(bits * places, dtype=jnp.uint32)) * jnp.uint32(_ODD)
    return jax.random.fold_in(jnp.zeros(2, jnp.uint32), total)


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


def transformation(optimizer: Optimizer, *, proximal_strength: float = 0.0) -> optax.GradientTransformation:
    """An optimizer of TFF as one of optax.

    Args:
        optimizer: The optimizer.
        proximal_strength: How strongly weights are drawn to where they began (Li et al., "Federated
            Optimization in Heterogeneous Networks", 2020, mu in equation 2).
    """

    def init(params: Any) -> Any:
        specs = jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), params)
        return (optimizer.initialize(specs), params if proximal_strength else ())

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        inner, start = state
        if proximal_strength:
            updates = jax.tree.map(lambda g, w, w0: g + proximal_strength * (w - w0), updates, params, start)
        new, moved = optimizer.next(inner, params, updates)
        return jax.tree.map(jnp.subtract, moved, params), (new, start)

    return optax.GradientTransformation(init, update)


ClientWork: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]
"""From a key at the server, weights and data at the clients to ``<update,weight>`` at the clients, the update
being the initial weights less the trained ones, and metrics at the server."""


def training(model: Model, optimizer: optax.GradientTransformation, weighting: Any) -> ClientWork:
    """The client work of federated averaging.

    Args:
        model: The model.
        optimizer: The clients' optimizer.
        weighting: A weighting of TFF.
    """
    return uphill(train_locally(model, optimizer, batches=None, weighting=weighting_of(weighting)))


def uphill(work: Process) -> ClientWork:
    """A client work of Foedus whose updates point the other way, as TFF's do: like gradients."""

    def run(key: Any, weights: Any, data: Any) -> tuple[Any, Any]:
        done = work.next(federated_value((), SERVER), key, weights, data)
        result = federated_map(
            lambda r: {"update": jax.tree.map(jnp.negative, r["update"]), "weight": r["weight"]}, done.result
        )
        return result, done.measurements

    return run


def in_order(model: Model) -> Callable[[Any], Any]:
    """Metrics in TFF's order: the model's own, the loss, then how many examples and batches there were."""
    own = [metric.name for metric in model.metrics if metric.name != "num_batches"]

    def ordered(metrics: Any) -> Any:
        found = OrderedDict((name, metrics[name]) for name in [*own, "loss"])
        found["num_examples"] = metrics["examples"]
        if "num_batches" in metrics:
            found["num_batches"] = metrics["num_batches"]
        return found

    return ordered


def finalizing(optimizer: Optimizer) -> Callable[[Any, Any, Any], Any]:
    """The finalizer, as local code: the optimizer takes the mean update as a gradient.

    A mean update that is not finite changes nothing.

    Args:
        optimizer: The server's optimizer.

    Returns:
        ``(state, weights, update) -> <state, weights, rejected>``.
    """

    def finalize(state: Any, weights: Any, update: Any) -> Any:
        finite = jax.tree.reduce(lambda all_, u: all_ & jnp.all(jnp.isfinite(u)), update, jnp.bool_(True))
        gradients = jax.tree.map(lambda u: jnp.where(finite, u, 0).astype(u.dtype), update)
        new, moved = optimizer.next(state, weights.trainable, gradients)
        before = (state, weights.trainable)
        kept_state, trainable = jax.tree.map(
            lambda a, b: jnp.where(finite, jnp.asarray(a).astype(b.dtype), b), (new, moved), before
        )
        return {
            "state": kept_state,
            "weights": ModelWeights(trainable, weights.non_trainable),
            "rejected": jnp.where(finite, 0, 1).astype(jnp.int32),
        }

    return finalize


def finalized(optimizer: Optimizer, state: Any, weights: Any, update: Any) -> Any:
    """``finalizing``, inside a computation."""
    return federated_apply(finalizing(optimizer), (state, weights, update))
