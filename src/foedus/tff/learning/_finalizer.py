# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The finalizer that gives the clients' mean update to an optimizer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from foedus.lang import federated_apply, federated_eval, tensorflow
from foedus.tff.learning._keras_optimizers import optimizer_of
from foedus.tff.learning._parts import FinalizerProcess
from foedus.tff.learning._stages import specs_of
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.templates import MeasuredProcessOutput, computation
from foedus.tff.types import foedus_type, view
from foedus.types import SERVER, Struct, Type, at_server


def reject_non_finite_update(state: Any, update: Any) -> tuple[Any, Any]:
    """Rejects an update that is not finite.

    Args:
        state: The optimizer's state.
        update: The clients' mean update.

    Returns:
        Whether it is rejected, and ``update_non_finite``, which is 1 then.
    """
    finite = jax.tree.reduce(lambda all_, u: all_ & jnp.all(jnp.isfinite(u)), update, jnp.bool_(True))
    return ~finite, OrderedDict(update_non_finite=jnp.where(finite, 0, 1).astype(jnp.int32))


def build_apply_optimizer_finalizer(
    optimizer_fn: Any,
    model_weights_type: Any,
    should_reject_update: Callable[[Any, Any], tuple[Any, Any]] = reject_non_finite_update,
) -> FinalizerProcess:
    """The finalizer in which an optimizer takes the mean update as a gradient.

    From Reddi et al., "Adaptive Federated Optimization", 2021, algorithm 1.

    Args:
        optimizer_fn: An optimizer of TFF, or a function that makes one of Keras.
        model_weights_type: The type of the model's weights.
        should_reject_update: ``(optimizer's state, update) -> (bool, measurements)`` in TensorFlow; an
            update that is rejected changes neither the weights nor the state.

    Returns:
        The finalizer; its state is the optimizer's.

    Raises:
        TypeError: If the optimizer is none, or the type is not that of weights.
    """
    optimizer = optimizer_of(optimizer_fn, "optimizer_fn")
    weights_type = foedus_type(model_weights_type)
    trainable = _trainable(weights_type)
    specs = specs_of(trainable)

    @computation()
    def initialize() -> Any:
        return federated_eval(lambda: optimizer.initialize(specs), SERVER)

    ours = should_reject_update is reject_non_finite_update
    judge = should_reject_update if ours else tensorflow(should_reject_update)

    def finalize(state: Any, weights: Any, update: Any, rejected: Any) -> Any:
        gradients = jax.tree.map(lambda u: jnp.where(rejected, jnp.zeros_like(u), u), update)
        before = (state, weights.trainable)
        after = optimizer.next(state, weights.trainable, gradients)
        kept_state, moved = jax.tree.map(
            lambda new, old: jnp.where(rejected, old, jnp.asarray(new).astype(old.dtype)), after, before
        )
        return {"state": kept_state, "weights": ModelWeights(moved, weights.non_trainable)}

    @computation(initialize.type.result, at_server(weights_type), at_server(trainable))
    def next_(state: Any, weights: Any, update: Any) -> Any:
        verdict = federated_apply(judge, (state, update))
        new = federated_apply(finalize, (state, weights, update, verdict[0]))
        return MeasuredProcessOutput(new.state, new.weights, verdict[1])

    return FinalizerProcess(
        initialize, next_, get_hparams_fn=optimizer.get_hparams, set_hparams_fn=optimizer.set_hparams
    )


def _trainable(weights_type: Type) -> Type:
    fields = list(weights_type.fields) if isinstance(weights_type, Struct) else []
    if [name for name, _ in fields] != list(ModelWeights._fields):
        raise TypeError(
            "Expected `model_weights_type` to be of the form <trainable=...,non_trainable=...>, "
            f"found {view(weights_type)}."
        )
    return fields[0][1]
