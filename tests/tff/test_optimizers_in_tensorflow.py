# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers that code of TensorFlow calls: three steps as the published rules have them, in NumPy."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.tff.learning import optimizers
from foedus.types import Tensor, type_of

from .optimizer_rules import RULES, Rule

tf: Any = pytest.importorskip("tensorflow")
tff: Any = pytest.importorskip("foedus.tff")

pytestmark = pytest.mark.tensorflow

BOUND = 2e-6
"""Three steps of float32 on numbers of about one; the hyperparameters are float32 too."""


def scheduled(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    return w - 0.5**t * g


CASES = {
    **RULES,
    "scheduled": (
        optimizers.schedule_learning_rate(
            optimizers.build_sgdm(9.0), lambda n: 0.5 * 0.5 ** tf.cast(n, tf.float32)
        ),
        scheduled,
    ),
}
SPECS = OrderedDict(kernel=tf.TensorSpec((2, 3)), bias=tf.TensorSpec((3,)))


def array(numbers: Any) -> np.ndarray:
    return np.array(numbers, np.float32)


WEIGHTS = OrderedDict(kernel=array([[0.5, -1.0, 1.5], [1.0, 0.25, -0.5]]), bias=array([0.1, -0.2, 0.3]))
STEPS = 3


def gradients_of(weights: Any) -> Any:
    """Of the sum of the squares of what differs from one, with tensors and with arrays."""
    return OrderedDict((name, 2 * (weight - 1)) for name, weight in weights.items())


def three_steps(optimizer: optimizers.Optimizer) -> Callable[[Any, Any], Any]:
    """Code of TensorFlow; the loop is one of Python."""

    def steps(kernel: Any, bias: Any) -> Any:
        weights, state = OrderedDict(kernel=kernel, bias=bias), optimizer.initialize(SPECS)
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = sum(tf.reduce_sum((weight - 1) ** 2) for weight in weights.values())
            state, weights = optimizer.next(state, weights, tape.gradient(loss, weights))
        return weights

    return steps


def by_rule(rule: Rule, weights: Any = WEIGHTS) -> dict[str, np.ndarray]:
    found: dict[str, Any] = {name: np.asarray(weight, np.float64) for name, weight in weights.items()}
    slots: dict[str, dict[str, Any]] = {name: {} for name in found}
    for t in range(1, STEPS + 1):
        gradients = gradients_of(found)
        found = {name: rule(t, w, gradients[name], slots[name]) for name, w in found.items()}
    return found


def assert_near(found: Any, expected: Any):
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=BOUND, atol=BOUND)


@pytest.mark.parametrize("way", fd.Way)
@pytest.mark.parametrize("name", CASES)
def test_steps_in_a_graph(name: str, way: fd.Way):
    optimizer, rule = CASES[name]
    marked = fd.tensorflow(three_steps(optimizer), way=way)
    weights_type = (
        fd.at_clients(Tensor(np.dtype("float32"), (2, 3))),
        fd.at_clients(Tensor(np.dtype("float32"), (3,))),
    )

    @fd.computation(*weights_type)
    def at_one(kernel: Any, bias: Any) -> Any:
        return fd.federated_sum(fd.federated_map(marked, (kernel, bias)))

    local = runtime.local()
    with fd.use(local):
        found: Any = at_one([WEIGHTS["kernel"]], [WEIGHTS["bias"]])
    assert_near(found, by_rule(rule))
    told = ("at CLIENTS: it was told to run natively",) if way is fd.Way.NATIVE else ()
    assert local.native == told
    (running,) = (told.running for told in fd.explain(at_one).ways)
    assert running.way is way


@pytest.mark.parametrize("name", CASES)
def test_steps_on_tensors_and_variables(name: str):
    optimizer, rule = CASES[name]
    if name == "scheduled":
        state = tf.function(lambda: optimizer.initialize(SPECS))()
    else:
        state = optimizer.initialize(SPECS)
    weights: Any = OrderedDict((n, tf.Variable(weight)) for n, weight in WEIGHTS.items())
    for _ in range(STEPS):
        state, weights = optimizer.next(state, weights, gradients_of(weights))
    assert all(isinstance(weight, tf.Tensor) for weight in weights.values())
    assert_near(weights, by_rule(rule))


@pytest.mark.parametrize("name", CASES)
def test_state_is_the_same_inside_and_outside(name: str):
    """Its containers, dtypes and shapes, and those after a step."""
    optimizer, _ = CASES[name]

    @tff.tensorflow.computation(tff.to_type(SPECS))
    def inside(weights: Any) -> Any:
        state = optimizer.initialize(SPECS)
        return state, optimizer.next(state, weights, weights)[0]

    before, after = (t for _, t in inside.type_signature.result.items())
    assert before == after
    if name != "scheduled":
        assert str(before) == str(type_of(optimizer.initialize(SPECS)))


@pytest.mark.parametrize("name", CASES)
def test_state_goes_round_in_a_data_set(name: str):
    """``for`` over a data set, where TensorFlow has to know that the state keeps its form."""
    optimizer, rule = CASES[name]

    @tff.tensorflow.computation(tff.to_type(SPECS), tff.SequenceType(np.float32))
    def train(weights: Any, data: Any) -> Any:
        state = optimizer.initialize(SPECS)
        for factor in data:
            gradients = gradients_of(weights)
            scaled = OrderedDict((n, factor * gradient) for n, gradient in gradients.items())
            state, weights = optimizer.next(state, weights, scaled)
        return weights

    assert_near(train(WEIGHTS, [1.0] * STEPS), by_rule(rule))


DATA = [
    (array([[1, 0], [0, 1], [1, 1]]), array([[1.0], [2.0], [2.5]])),
    (array([[2, 1], [1, -1], [0, 1]]), array([[0.5], [1.0], [-1.0]])),
]
"""Of two clients, three examples each."""
LINEAR = OrderedDict(kernel=tf.TensorSpec((2, 1)), bias=tf.TensorSpec((1,)))
EXAMPLES = OrderedDict(x=tf.TensorSpec((3, 2)), y=tf.TensorSpec((3, 1)))
ROUNDS = 2


def federated_averaging(optimizer: optimizers.Optimizer) -> Any:
    """Federated averaging by hand, of core operators and code of TensorFlow alone."""

    @tff.tensorflow.computation(tff.to_type(LINEAR), tff.to_type(EXAMPLES))
    def train(weights: Any, data: Any) -> Any:
        state = optimizer.initialize(LINEAR)
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                error = data["x"] @ weights["kernel"] + weights["bias"] - data["y"]
                loss = tf.reduce_mean(error**2)
            state, weights = optimizer.next(state, weights, tape.gradient(loss, weights))
        return weights

    total = OrderedDict(weights=LINEAR, count=tf.TensorSpec(()))

    @tff.tensorflow.computation
    def zero() -> Any:
        return OrderedDict(weights=tf.nest.map_structure(lambda s: tf.zeros(s.shape), LINEAR), count=0.0)

    @tff.tensorflow.computation(tff.to_type(total), tff.to_type(LINEAR))
    def accumulate(so_far: Any, weights: Any) -> Any:
        added = tf.nest.map_structure(tf.add, so_far["weights"], weights)
        return OrderedDict(weights=added, count=so_far["count"] + 1)

    @tff.tensorflow.computation(tff.to_type(total), tff.to_type(total))
    def merge(one: Any, other: Any) -> Any:
        return tf.nest.map_structure(tf.add, one, other)

    @tff.tensorflow.computation(tff.to_type(total))
    def report(reduced: Any) -> Any:
        return tf.nest.map_structure(lambda weight: weight / reduced["count"], reduced["weights"])

    @tff.federated_computation(
        tff.FederatedType(tff.to_type(LINEAR), tff.SERVER),
        tff.FederatedType(tff.to_type(EXAMPLES), tff.CLIENTS),
    )
    def next_round(weights: Any, data: Any) -> Any:
        trained = tff.federated_map(train, (tff.federated_broadcast(weights), data))
        return tff.federated_aggregate(trained, zero(), accumulate, merge, report)

    return next_round


def averaged_by_rule(rule: Rule) -> dict[str, Any]:
    weights: dict[str, Any] = {"kernel": np.zeros((2, 1)), "bias": np.zeros(1)}
    for _ in range(ROUNDS):
        ends = []
        for x, y in DATA:
            own, slots = dict(weights), {"kernel": {}, "bias": {}}
            for t in range(1, STEPS + 1):
                error = x.astype(np.float64) @ own["kernel"] + own["bias"] - y
                gradients = {"kernel": 2 * x.T @ error / 3, "bias": 2 * error.mean(0)}
                own = {n: rule(t, w, gradients[n], slots[n]) for n, w in own.items()}
            ends.append(own)
        weights = {n: np.mean([end[n] for end in ends], axis=0) for n in weights}
    return weights


@pytest.mark.parametrize("run", [runtime.local, runtime.reference])
@pytest.mark.parametrize("name", CASES)
def test_federated_averaging_by_hand(name: str, run: Callable[[], Any]):
    """Lowered in the local runtime, and native in the reference one."""
    optimizer, rule = CASES[name]
    next_round = federated_averaging(optimizer)
    data = [OrderedDict(x=x, y=y) for x, y in DATA]
    weights: Any = OrderedDict(kernel=np.zeros((2, 1), np.float32), bias=np.zeros(1, np.float32))
    runs = run()
    with fd.use(runs):
        for _ in range(ROUNDS):
            weights = next_round(weights, data)
    # Where a gradient comes near zero, what divides it by its size makes much of how it was rounded.
    for n, expected in averaged_by_rule(rule).items():
        np.testing.assert_allclose(weights[n], expected, rtol=1e-4, atol=1e-5)
    assert getattr(runs, "native", ()) == ()


class Pair(NamedTuple):
    first: Any
    second: Any


class Tracked(tf.Module):
    """Keeps variables in containers that TensorFlow wraps."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [tf.Variable([1.0, 2.0]), tf.Variable(3.0)]
        self.named = {"a": tf.Variable([1.0, 2.0]), "b": tf.Variable(3.0)}


@pytest.mark.parametrize("build", [tuple, list, lambda w: Pair(*w), lambda w: {"b": w[1], "a": (w[0],)}])
def test_containers_stay(build: Callable[[Any], Any]):
    weights = build([tf.constant([1.0, 2.0]), tf.constant(3.0)])
    specs = tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), weights)
    optimizer = optimizers.build_adam(0.1)
    state = optimizer.initialize(specs)
    after, moved = optimizer.next(state, weights, weights)
    for tree in (state["accumulator"], after["preconditioner"], moved):
        tf.nest.assert_same_structure(weights, tree, check_types=True)


@pytest.mark.parametrize("name", ["listed", "named"])
def test_containers_of_a_module(name: str):
    weights = getattr(Tracked(), name)
    specs = tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), weights)
    optimizer = optimizers.build_sgdm(0.5, momentum=0.5)
    _, moved = optimizer.next(
        optimizer.initialize(specs), weights, tf.nest.map_structure(tf.identity, weights)
    )
    found = tf.nest.flatten(moved)
    assert [found[0].numpy().tolist(), float(found[1])] == [[0.5, 1.0], 1.5]


def test_rows_of_a_gradient_and_none():
    """Three rows, of which one is looked up; a weight on which the loss does not depend."""
    optimizer = optimizers.build_adagrad(1.0, initial_preconditioner_value=0.0, epsilon=0.0)

    @tff.tensorflow.computation
    def step() -> Any:
        weights = [tf.ones((3, 2)), tf.constant(5.0)]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = tf.reduce_sum(3 * tf.gather(weights[0], [1]))
        gradients = tape.gradient(loss, weights)
        assert isinstance(gradients[0], tf.IndexedSlices)
        assert gradients[1] is None
        slots = optimizer.initialize([tf.TensorSpec((3, 2)), tf.TensorSpec(())])
        state = optimizer.set_hparams(slots, {"epsilon": 1e-30})
        return optimizer.next(state, weights, gradients)

    state, weights = step()
    assert np.asarray(weights[0]).tolist() == [[1, 1], [0, 0], [1, 1]]
    assert float(weights[1]) == 5
    assert np.asarray(state["preconditioner"][0]).tolist() == [[0, 0], [9, 9], [0, 0]]
    assert float(state["preconditioner"][1]) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes_stay(dtype: str):
    """Adam's shares have no place in 16 bits, so that is computed in 32."""
    optimizer = optimizers.build_adam(0.25, epsilon=0.0)
    weights = [tf.constant([1.0, -1.0], dtype)]
    state = optimizer.initialize([tf.TensorSpec((2,), dtype)])
    for _ in range(2):
        state, weights = optimizer.next(state, weights, [tf.constant([2.0, -2.0], dtype)])
    assert (weights[0].dtype, state["accumulator"][0].dtype) == (tf.as_dtype(dtype), tf.as_dtype(dtype))
    assert state["learning_rate"].dtype == tf.float32
    # Equal gradients: each step is as long as the learning rate.
    np.testing.assert_allclose(tf.cast(weights[0], tf.float32), [0.5, -0.5], rtol=2e-3)


def test_a_learning_rate_that_is_computed():
    @tff.tensorflow.computation(np.float32)
    def step(rate: Any) -> Any:
        optimizer = optimizers.build_sgdm(learning_rate=rate, momentum=rate)
        state = optimizer.initialize(tf.TensorSpec(()))
        return optimizer.next(state, tf.constant(1.0), tf.constant(2.0))[1]

    assert step(0.25) == 0.5


def test_a_gradient_of_another_structure():
    optimizer = optimizers.build_adam(0.1)
    state = optimizer.initialize([tf.TensorSpec(()), tf.TensorSpec(())])
    expected = "Expected gradients of the structure of the weights, ['*', '*'], found ['*']."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        optimizer.next(state, [tf.zeros(()), tf.zeros(())], [tf.zeros(())])


def test_nesterov_without_momentum():
    with pytest.raises(
        ValueError, match=r"^Expected `momentum` to be positive with `nesterov`, found None\.$"
    ):
        optimizers.build_sgdm(0.1, nesterov=True)
