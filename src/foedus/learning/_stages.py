# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The four stages of a learning algorithm, each a process: distribute, client work, aggregate, finalise.

The aggregate stage is any of ``foedus.aggregators``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import lax

from foedus.data import Batch, transformed
from foedus.errors import ArgumentError, place
from foedus.lang import (
    computation,
    federated_apply,
    federated_broadcast,
    federated_eval,
    federated_key,
    federated_map,
    federated_sum,
    federated_value,
)
from foedus.learning._batches import Batches
from foedus.learning._local_weights import at_client, keeps_local, with_local_type
from foedus.learning._statistics import EXAMPLES, cast_like, gather, no_statistics, report
from foedus.learning.models import Mode, Model, ModelWeights, NonTrainable
from foedus.process import Output, Process
from foedus.types import (
    EMPTY,
    KEY,
    SERVER,
    Sequence,
    Struct,
    Tensor,
    Type,
    at_clients,
    at_server,
    pack,
    parts_of,
)


class Weighting(Enum):
    """How much a client's update counts in the mean."""

    EXAMPLES = "examples"
    """As often as it has examples."""
    UNIFORM = "uniform"
    """Once."""


ClientWeight: TypeAlias = Weighting | Callable[[dict[str, Any]], Any]
"""A weighting, or a function from a client's own metrics to float[]."""


class ClientUpdate(NamedTuple):
    """What a client makes of its data.

    Args:
        update: By how much training changed each trainable weight.
        weight: float32[], how much that counts.
        statistics: What it gathered on the way.
        dropped: int32[], 1 if its update was not finite and has been dropped.
        local: The weights that it keeps for itself; nothing if it keeps none.
    """

    update: Any
    weight: Any
    statistics: Any
    dropped: Any
    local: Any = ()


def broadcast_weights(weights_type: Type) -> Process:
    """The distribute stage that sends the server's weights to every client as they are.

    Args:
        weights_type: The type of the weights.

    Returns:
        A process with ``next: (<state=<>@SERVER,weights=W@SERVER> ->
        <state,result=W@CLIENTS,measurements>)``.
    """

    @computation
    def initialize() -> Any:
        return federated_value((), SERVER)

    @computation(at_server(EMPTY), at_server(weights_type))
    def distribute(state: Any, weights: Any) -> Any:
        return Output(state, federated_broadcast(weights), federated_value((), SERVER))

    return Process(initialize, distribute)


def client_type(model: Model, batches: Batches | None) -> Type:
    """The type of what a client has: examples, or ready-made batches where ``batches`` is None, and beside
    them the weights that it keeps for itself, if any."""
    element = model.element_type
    # Batches of any size have one type.
    data = Sequence(element if batches is not None else transformed(element, Batch(size=1)))
    return with_local_type(model, data)


def fold_batches(model: Model, data: Any, step: Callable[[Any, Any, Any], Any], init: Any) -> Any:
    """Folds over batches: padded where the model's rows are independent, else each in its own shape."""
    if not model.coupled:
        return data.fold_padded(step, init)

    return data.fold(lambda carry, batch: step(carry, batch, jnp.ones(_rows(batch), dtype=bool)), init)


def _rows(batch: Any) -> int:
    """The number of rows of a batch, or 0 where it has no leaf."""
    parts = parts_of(batch)
    return batch.shape[0] if parts is None else max((_rows(part) for _, part in parts), default=0)


def all_finite(tree: Any) -> Any:
    """Whether every number of a tree is finite, bool[]."""
    return jax.tree.reduce(lambda all_, leaf: all_ & _is_finite(jnp.asarray(leaf)), tree, jnp.bool_(True))


def _is_finite(array: Any) -> Any:
    """Whether every number is finite, by a sum of them all: it is not finite if one of them is not.

    They are made so small first that finite ones add up to a finite number. On a CPU such a product reads an
    array several times faster than a look at each number.
    """
    if not jnp.issubdtype(array.dtype, jnp.inexact) or not array.size:
        return jnp.bool_(True)
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    small = jnp.full(rows.shape[1:], 2.0**-14 if array.dtype == jnp.float16 else 2.0**-64, array.dtype)
    wide = jnp.promote_types(array.dtype, jnp.float32)
    return jnp.isfinite(jnp.sum(jnp.matmul(rows, small, preferred_element_type=wide)))


def _zero_unless(condition: Any, tree: Any) -> Any:
    return jax.tree.map(lambda x: lax.select(condition, x, jnp.zeros_like(x)), tree)


class _Progress(NamedTuple):
    """Where a client is in its training."""

    trainable: Any
    non_trainable: Any
    optimizer: Any
    statistics: Any
    steps: Any


def _training_step(
    model: Model, optimizer: optax.GradientTransformation, noise: Any
) -> Callable[[_Progress, Any, Any], _Progress]:
    """One step of stochastic gradient descent on a batch, for ``fold_batches``."""

    def step(now: _Progress, batch: Any, mask: Any) -> _Progress:
        key = jax.random.fold_in(noise, now.steps)
        rows = jnp.maximum(jnp.sum(mask, dtype=jnp.int32), 1)

        def loss_of(trainable: Any) -> tuple[Any, Any]:
            given = ModelWeights(trainable, now.non_trainable)
            outcome = model.forward(given, batch, key, Mode.TRAIN)
            total = jnp.sum(jnp.where(mask, outcome.losses, 0))
            return total / rows.astype(total.dtype) + outcome.penalty, outcome

        gradients, outcome = jax.grad(loss_of, has_aux=True)(now.trainable)
        updates, state = optimizer.update(gradients, now.optimizer, now.trainable)
        new = _Progress(
            optax.apply_updates(now.trainable, updates),
            outcome.non_trainable,
            state,
            gather(model, now.statistics, outcome, mask),
            now.steps + 1,
        )
        return cast_like(now, new)

    return step


AtClient: TypeAlias = Callable[[Any, Any, Any], ClientUpdate]
"""``(client, weights, key) -> ClientUpdate``: what one client does, as local code in JAX, of what it has (its
data, beside weights of its own where it keeps any), the weights it got, and a key."""


def training_at_client(
    model: Model,
    optimizer: optax.GradientTransformation,
    *,
    batches: Batches | None,
    weighting: ClientWeight = Weighting.EXAMPLES,
) -> AtClient:
    """What one client does in ``train_locally``, for client work that goes on with it.

    Args:
        model: The model.
        optimizer: The client's optimizer.
        batches: How it goes through its examples; None if its data are batches already.
        weighting: How much its update counts.

    Returns:
        ``(client, weights, key) -> ClientUpdate``.

    Raises:
        ArgumentError: If the weighting is none, or gives no number.
    """
    if not isinstance(weighting, Weighting) and not callable(weighting):
        raise _no_weight(repr(weighting))

    def work(client: Any, sent: Any, key: Any) -> ClientUpdate:
        data, weights = at_client(model, client, sent)
        order, noise = jax.random.split(jnp.asarray(key, jnp.uint32))
        walked = data if batches is None else batches.of(data, order)
        start = _Progress(
            weights.trainable,
            weights.non_trainable,
            optimizer.init(weights.trainable),
            no_statistics(model),
            jnp.int32(0),
        )
        done = fold_batches(model, walked, _training_step(model, optimizer, noise), start)
        update = jax.tree.map(jnp.subtract, done.trainable, weights.trainable)
        trained = done.trainable
        if model.non_trainable is NonTrainable.AVERAGE:
            others = jax.tree.map(jnp.subtract, done.non_trainable, weights.non_trainable)
            update, trained = ModelWeights(update, others), (trained, done.non_trainable)
        any_examples = done.statistics[EXAMPLES] > 0
        weight = jnp.where(any_examples, _weight_of(weighting, report(model, done.statistics)), 0)
        # The weights, not the update, so that what is sent need not be written down before it is added up.
        finite = all_finite((trained, weight))
        local = keep_if(finite, model, done.non_trainable, weights.non_trainable)
        return update_if(
            finite, update, weight=weight, statistics=done.statistics, nothing=start.statistics, local=local
        )

    return work


def train_locally(
    model: Model,
    optimizer: optax.GradientTransformation,
    *,
    batches: Batches | None,
    weighting: ClientWeight = Weighting.EXAMPLES,
) -> Process:
    """The client work of federated averaging: a client trains the weights it got on its own data.

    An update that is not finite, or whose weight is not, is dropped: it counts for nothing, and neither do
    that client's metrics. A client without examples has weight zero, whatever the weighting.

    Args:
        model: The model.
        optimizer: The clients' optimizer; its state begins anew in every round.
        batches: How a client goes through its examples; None if its data are batches already.
        weighting: How much its update counts.

    Returns:
        A process with
        ``next: (<state=<>@SERVER,key=uint32[2]@SERVER,weights={W}@CLIENTS,clients={D*}@CLIENTS>
        -> <state,result=<update,weight>@CLIENTS,measurements=metrics@SERVER>)``. Where clients keep weights
        ``L`` of their own, each has ``<data=D*,weights=L>``, and the result has a third field, ``local``.

    Raises:
        ArgumentError: If the weighting is none, or gives no number.
    """
    work = training_at_client(model, optimizer, batches=batches, weighting=weighting)
    return client_work(work, model, batches)


def keep_if(finite: Any, model: Model, new: Any, old: Any) -> Any:
    """What a client keeps for itself: its new non-trainable weights if ``finite`` and they are, else the old
    ones; nothing where clients keep no weights."""
    if not keeps_local(model):
        return ()
    kept = finite & all_finite(new)
    return jax.tree.map(partial(lax.select, kept), new, old)


def update_if(
    finite: Any, update: Any, *, weight: Any, statistics: Any, nothing: Any, local: Any
) -> ClientUpdate:
    """What a client made of its data, or nothing at all unless ``finite``.

    Args:
        finite: bool[], whether it counts.
        update: The update.
        weight: How much it counts.
        statistics: What it gathered.
        nothing: What it gathered before it began.
        local: The weights that it keeps for itself.
    """
    return ClientUpdate(
        *_zero_unless(finite, (update, weight)),
        statistics=jax.tree.map(partial(lax.select, finite), statistics, nothing),
        dropped=jnp.logical_not(finite).astype(jnp.int32),
        local=local,
    )


def client_work(work: AtClient, model: Model, batches: Batches | None) -> Process:
    """The process of what every client does with its data, the weights it got and a key of its own."""

    @computation
    def initialize() -> Any:
        return federated_value((), SERVER)

    @computation(
        at_server(EMPTY),
        at_server(KEY),
        at_clients(model.weights_type),
        at_clients(client_type(model, batches)),
    )
    def at_all_clients(state: Any, key: Any, weights: Any, clients: Any) -> Any:
        done = federated_map(work, (clients, weights, federated_key(key, "client work")))
        total = federated_sum((done.statistics, done.dropped))
        metrics = federated_apply(
            lambda statistics, dropped: {**report(model, statistics), "dropped_clients": dropped}, total
        )
        given = ("update", "weight", "local") if keeps_local(model) else ("update", "weight")
        result = federated_map(lambda d: {name: getattr(d, name) for name in given}, done)
        return Output(state, result, metrics)

    return Process(initialize, at_all_clients)


def _weight_of(weighting: ClientWeight, metrics: dict[str, Any]) -> Any:
    match weighting:
        case Weighting.EXAMPLES:
            return metrics[EXAMPLES].astype(jnp.float32)
        case Weighting.UNIFORM:
            return jnp.float32(1)
    weight = jnp.asarray(weighting(metrics))
    if weight.shape:
        raise _no_weight(f"{weight.dtype}{list(weight.shape)}")
    return weight.astype(jnp.float32)


def _no_weight(found: str) -> ArgumentError:
    return ArgumentError(
        "A client's weight is one number",
        found=found,
        expected="Weighting.EXAMPLES, Weighting.UNIFORM, or a function from a client's metrics to a number",
        at=place("weighting"),
    )


def _zeros_of(type_: Type) -> Any:
    """Zeros of a type, in its containers."""
    if isinstance(type_, Struct):
        return pack(type_, [_zeros_of(t) for _, t in type_.fields])
    assert isinstance(type_, Tensor)
    return jnp.zeros([size or 0 for size in type_.shape or ()], type_.dtype)


def update_type(weights_type: Type, non_trainable: NonTrainable) -> Type:
    """The type of what a client makes of a model's weights.

    Args:
        weights_type: The type of the model's weights.
        non_trainable: What becomes of those that the model changes itself.

    Returns:
        That of the trainable weights; that of all where the others are averaged.
    """
    assert isinstance(weights_type, Struct), "a model's weights are a struct; please report"
    return weights_type if non_trainable is NonTrainable.AVERAGE else weights_type.fields[0][1]


def apply_update(
    optimizer: optax.GradientTransformation,
    weights_type: Struct,
    *,
    non_trainable: NonTrainable = NonTrainable.KEEP_SERVERS,
) -> Process:
    """The finalise stage: the server's optimizer takes the mean update as a descent direction.

    From Reddi et al., "Adaptive Federated Optimization", 2021, algorithm 1.

    A mean update that is not finite changes nothing, and is reported.

    Args:
        optimizer: The server's optimizer.
        weights_type: The type of the model's weights.
        non_trainable: What becomes of the weights that the model changes itself. Averages of them are taken
            as they are, without the optimizer.

    Returns:
        A process with ``next: (<state=S@SERVER,weights=W@SERVER,update=U@SERVER> -> <state,result=W@SERVER,
        measurements=<update_norm=float32,update_rejected=int32>@SERVER>)``.
    """
    trainable_type = weights_type.fields[0][1]

    def start() -> Any:
        return optimizer.init(_zeros_of(trainable_type))

    @computation
    def initialize() -> Any:
        return federated_eval(start, SERVER)

    def finalize(state: Any, weights: Any, update: Any) -> Any:
        finite = all_finite(update)
        moved, others = update, weights.non_trainable
        if non_trainable is NonTrainable.AVERAGE:
            moved = update.trainable
            others = jax.tree.map(jnp.add, others, _zero_unless(finite, update.non_trainable))
        gradients = jax.tree.map(jnp.negative, _zero_unless(finite, moved))
        updates, new_state = optimizer.update(gradients, state, weights.trainable)
        trainable = optax.apply_updates(weights.trainable, updates)
        kept = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            cast_like((weights.trainable, state), (trainable, new_state)),
            (weights.trainable, state),
        )
        measured = {
            "update_norm": optax.tree.norm(moved).astype(jnp.float32),
            "update_rejected": jnp.where(finite, 0, 1).astype(jnp.int32),
        }
        return {
            "state": kept[1],
            "weights": ModelWeights(kept[0], others),
            "measurements": measured,
        }

    state_type = initialize.type.result.member

    moved_type = update_type(weights_type, non_trainable)

    @computation(at_server(state_type), at_server(weights_type), at_server(moved_type))
    def finalise(state: Any, weights: Any, update: Any) -> Any:
        done = federated_apply(finalize, (state, weights, update))
        return Output(done.state, done.weights, done.measurements)

    return Process(initialize, finalise)
