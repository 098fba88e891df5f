# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The stages: what is not finite is dropped, and stages that do not fit together are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import foedus as fd
from foedus import aggregators, runtime
from foedus.aggregators import Aggregator
from foedus.errors import ArgumentError, CompositionError, TypeMismatchError
from foedus.learning import (
    Batches,
    LearningProcess,
    Weighting,
    apply_update,
    broadcast_weights,
    compose,
    train_locally,
)
from foedus.learning._stages import all_finite
from foedus.learning.algorithms import fed_avg, fed_eval
from foedus.learning.models import ModelWeights
from foedus.process import Output, Process
from foedus.types import EMPTY, Struct, Type, type_of

from .small_models import CLASSES, FEATURES, clients, initial, model_of

WEIGHTS = initial()
BATCHES = Batches(size=3, epochs=2, shuffle=False)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    """One runtime for the module, so that each program is compiled once."""
    with fd.use(runtime.local()):
        yield


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("shape", [(), (5,), (0,), (3, 0), (7, 3), (2, 3, 1), (70_000,)])
def test_finite_numbers_are_told_from_others(dtype: str, shape: tuple[int, ...]):
    with jax.enable_x64(True):
        greatest = np.full(shape, jnp.finfo(dtype).max, jnp.dtype(dtype))
        for finite in (np.zeros_like(greatest), greatest, -greatest):
            assert jax.jit(all_finite)({"a": finite, "b": np.int32(7)})
        for odd in (np.nan, np.inf, -np.inf) if greatest.size else ():
            for where in {0, greatest.size // 2, greatest.size - 1}:
                broken = greatest.copy()
                broken.flat[where] = odd
                assert not jax.jit(all_finite)((np.float32(1), broken))


def built(**settings: Any) -> LearningProcess:
    return _plain() if not settings else _built(**settings)


def _built(**settings: Any) -> LearningProcess:
    defaults = {"client_optimizer": optax.sgd(0.1), "batches": BATCHES}
    return fed_avg(model_of(coupled=False), **defaults | settings)


_plain = cache(_built)


def poisoned(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """The same clients, some with one feature that is not a number in their last example."""
    spoilt = {i: {"x": d["x"].copy(), "y": d["y"]} for i, d in data.items()}
    for name in names:
        spoilt[name]["x"][-1, 0] = np.nan
    return spoilt


def equal_trees(one: Any, other: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def test_a_client_with_nan_is_dropped_and_counted():
    process, data = built(), clients()
    state = process.initialize(3)
    spoilt = process.next(state, poisoned(data, "b"))
    without = process.next(state, {i: d for i, d in data.items() if i != "b"})
    assert spoilt.result["dropped_clients"] == 1
    assert without.result["dropped_clients"] == 0
    assert spoilt.result["examples"] == without.result["examples"] == 2 * (2 + 7 + 4)
    # As if it were not there, but for the rounding of sums over four clients instead of five.
    np.testing.assert_allclose(spoilt.result["loss"], without.result["loss"], rtol=1e-6)
    for name, leaf in without.state.weights.trainable.items():
        np.testing.assert_allclose(spoilt.state.weights.trainable[name], leaf, rtol=0, atol=1e-6)
    assert spoilt.measurements["finaliser"]["update_rejected"] == 0


def test_the_reference_drops_it_too():
    process, data = built(batches=Batches(size=4)), poisoned(clients(sizes={"a": 1, "b": 1}), "b")
    outputs = []
    for make in (runtime.local, runtime.reference):
        with fd.use(make()):
            outputs.append(process.next(process.initialize(3), data))
    one, other = outputs
    assert one.result["dropped_clients"] == other.result["dropped_clients"] == 1
    np.testing.assert_allclose(
        one.state.weights.trainable["w1"], other.state.weights.trainable["w1"], rtol=1e-5
    )


def test_if_all_are_dropped_nothing_changes():
    process, data = built(server_optimizer=optax.adam(0.1)), clients(sizes={"a": 2, "b": 5})
    state = process.initialize(3)
    output = process.next(state, poisoned(data, "a", "b"))
    assert output.result == {"accuracy": 0, "dropped_clients": 2, "examples": 0, "loss": 0}
    assert equal_trees(output.state.weights, state.weights)
    assert output.measurements["finaliser"] == {"update_norm": 0, "update_rejected": 0}


def test_updates_that_overflow_are_dropped():
    process = built(client_optimizer=optax.sgd(1e38))
    state = process.initialize(3)
    output = process.next(state, clients())
    assert output.result["dropped_clients"] == 4  # All that have examples.
    assert equal_trees(output.state.weights, state.weights)


def test_a_weight_that_is_not_finite_drops_its_client():
    process = built(weighting=lambda m: 1 / (m["examples"] - 10))
    output = process.next(process.initialize(3), clients())
    assert output.result["dropped_clients"] == 1  # The client that goes twice through five examples.
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(output.state.weights))


@dataclass(frozen=True)
class Spoilt(Aggregator):
    """A mean that comes out as infinite."""

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        inner = aggregators.mean().create(value_type, weight_type)
        parameter = inner.next.type.parameter
        assert isinstance(parameter, Struct)
        types = [t for _, t in parameter.fields]

        @fd.computation(*types)
        def next_(state: Any, value: Any, weight: Any) -> Any:
            done = inner.next(state, value, weight)
            infinite = fd.federated_apply(lambda tree: jax.tree.map(lambda x: x + jnp.inf, tree), done.result)
            return Output(done.state, infinite, done.measurements)

        return Process(inner.initialize, next_)


def test_the_server_rejects_what_is_not_finite():
    process = built(aggregator=Spoilt(), server_optimizer=optax.adam(0.1))
    state = process.initialize(3)
    output = process.next(state, clients())
    assert output.measurements["finaliser"]["update_rejected"] == 1
    assert output.measurements["finaliser"]["update_norm"] == np.inf
    assert equal_trees(output.state.weights, state.weights)
    assert equal_trees(output.state.finaliser, state.finaliser)
    assert output.state.round == 1


def test_the_norm_of_the_update_is_measured():
    process = built()
    state = process.initialize(3)
    output = process.next(state, clients())
    changes = jax.tree.map(np.subtract, output.state.weights.trainable, state.weights.trainable)
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(changes)))
    # Adding the update to the weights rounds each of them once.
    np.testing.assert_allclose(output.measurements["finaliser"]["update_norm"], norm, rtol=1e-4)


def test_a_weighting_gives_one_number(refused: Any):
    model = model_of(coupled=False)
    settings: Any = {"client_optimizer": optax.sgd(0.1), "batches": BATCHES}
    with refused(
        ArgumentError,
        """
        A client's weight is one number
          found     float32[2]
          expected  Weighting.EXAMPLES, Weighting.UNIFORM, or a function from a client's metrics to a number
          at        weighting, HERE
        """,
    ):
        fed_avg(model, weighting=lambda m: jnp.float32([1, 2]), **settings)


def test_a_weighting_is_no_text(refused: Any):
    model = model_of(coupled=False)
    settings: Any = {"weighting": "uniform", "client_optimizer": optax.sgd(0.1), "batches": BATCHES}
    with refused(
        ArgumentError,
        """
        A client's weight is one number
          found     'uniform'
          expected  Weighting.EXAMPLES, Weighting.UNIFORM, or a function from a client's metrics to a number
          at        weighting, HERE
        """,
    ):
        fed_avg(model, **settings)


def stages(**others: Any) -> Any:
    """The stages of federated averaging, some exchanged."""
    model = model_of(coupled=False)
    weights = model.weights_type
    assert isinstance(weights, Struct)
    trainable = weights.fields[0][1]
    return {
        "distributor": broadcast_weights(model.weights_type),
        "client_work": train_locally(model, optax.sgd(0.1), batches=BATCHES, weighting=Weighting.UNIFORM),
        "aggregator": aggregators.mean().create(trainable, fd.float32),
        "finaliser": apply_update(optax.sgd(1.0), weights),
        "evaluation": fed_eval(model),
        "name": "mine",
    } | others, model


def test_stages_compose():
    parts, model = stages()
    process = compose(model, **parts)
    output = process.next(process.initialize(3), clients())
    assert output.result["examples"] == 2 * sum((5, 2, 0, 7, 4))
    assert type_of(output.state) == process.state_type


def test_stages_for_another_model_do_not_compose():
    wide = aggregators.mean().create(fd.to_type({"w": ("float32", (FEATURES, CLASSES))}), fd.float32)
    parts, model = stages(aggregator=wide)
    with pytest.raises(TypeMismatchError):
        compose(model, **parts)


def test_client_work_takes_four_things():
    parts, model = stages()
    parts["client_work"] = parts["distributor"]
    with pytest.raises(CompositionError) as caught:
        compose(model, **parts)
    assert caught.value.headline == "The client work does not take a state, a key, weights and data"


def test_a_model_starts_with_its_own_weights(refused: Any):
    parts, model = stages()
    odd = replace(
        model, initialize=lambda key: ModelWeights({**WEIGHTS(key), "b1": jnp.zeros(9, "float32")}, ())
    )
    with refused(
        CompositionError,
        """
        The model's initialize does not return the model's weights
          found     float32[9]
          expected  float32[4]
          at        .trainable.b1 of the weights, HERE
        """,
    ):
        compose(odd, **parts)
