# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Optimizers: trees of state, and numbers that optax confirms where it has the same form."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jax
import numpy as np
import optax
import pytest

from foedus.tff.learning import optimizers

from .optimizer_rules import RULES, Rule, rms

WEIGHTS = [np.array([1.0, -2.0], np.float32), np.array([[0.5]], np.float32)]
GRADIENTS = [[np.array([0.3 + i, -1.0], np.float32), np.array([[2.0 - i]], np.float32)] for i in range(3)]
SPECS = [jax.ShapeDtypeStruct(w.shape, w.dtype) for w in WEIGHTS]

CASES: dict[str, tuple[optimizers.Optimizer, list[str], Any]] = {
    "sgd": (optimizers.build_sgdm(0.1), ["learning_rate"], optax.sgd(0.1)),
    "momentum": (
        optimizers.build_sgdm(0.1, momentum=0.9),
        ["learning_rate", "momentum", "accumulator"],
        optax.sgd(0.1, momentum=0.9),
    ),
    "nesterov": (
        optimizers.build_sgdm(0.1, momentum=0.9, nesterov=True),
        ["learning_rate", "momentum", "accumulator"],
        optax.sgd(0.1, momentum=0.9, nesterov=True),
    ),
    "adam": (
        optimizers.build_adam(0.1, epsilon=0.0),
        ["learning_rate", "beta_1", "beta_2", "epsilon", "step", "accumulator", "preconditioner"],
        optax.adam(0.1, eps=0.0),
    ),
    "adamw": (
        optimizers.build_adamw(0.1, epsilon=0.0, weight_decay=0.01),
        [
            *("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay"),
            *("step", "accumulator", "preconditioner"),
        ],
        optax.adamw(0.1, eps=0.0, weight_decay=0.01),
    ),
    "adagrad": (
        optimizers.build_adagrad(0.1, epsilon=0.0),
        ["learning_rate", "epsilon", "preconditioner"],
        optax.adagrad(0.1, eps=0.0),
    ),
    "rmsprop": (
        optimizers.build_rmsprop(0.1, epsilon=1e-3),
        ["learning_rate", "decay", "epsilon", "preconditioner"],
        optax.rmsprop(0.1, eps=1e-3, eps_in_sqrt=False),
    ),
    "yogi": (
        optimizers.build_yogi(0.1, epsilon=0.0),
        ["learning_rate", "beta_1", "beta_2", "epsilon", "step", "accumulator", "preconditioner"],
        optax.yogi(0.1, eps=0.0),
    ),
}


@pytest.mark.parametrize(("ours", "names", "theirs"), CASES.values(), ids=CASES)
def test_steps_are_those_of_optax(ours: optimizers.Optimizer, names: list[str], theirs: Any):
    state, weights = ours.initialize(SPECS), WEIGHTS
    assert list(state) == names
    expected: Any = WEIGHTS
    other = theirs.init(WEIGHTS)
    for gradients in GRADIENTS:
        state, weights = ours.next(state, weights, gradients)
        updates, other = theirs.update(gradients, other, expected)
        expected = optax.apply_updates(expected, updates)
    for found, wanted in zip(weights, expected, strict=True):
        # optax' mean of squares for Yogi begins otherwise than at what is given, by its own 1e-6.
        np.testing.assert_allclose(found, wanted, rtol=1e-4 if names[-1] == "preconditioner" else 1e-6)


def nested(leaves: list[Any]) -> Any:
    """Leaves as the weights of a model might be: a structure of structures."""
    return {"hidden": OrderedDict(kernel=leaves[0], bias=leaves[1]), "scales": (leaves[2], [leaves[3]])}


def drawn(generator: np.random.Generator) -> list[Any]:
    return [generator.normal(size=shape) for shape in ((2, 3), (3,), (), (1, 2, 2))]


def as_published(rule: Rule) -> tuple[list[Any], list[list[Any]], list[Any]]:
    """Weights, the gradients of five steps, and the weights after them, in 64 bits."""
    generator = np.random.default_rng(3)
    start, gradients = drawn(generator), [drawn(generator) for _ in range(5)]
    weights, kept = start, [{} for _ in start]
    for t, now in enumerate(gradients, 1):
        weights = [rule(t, *leaf) for leaf in zip(weights, now, kept, strict=True)]
    return start, gradients, weights


CLOSE: dict[str, Any] = {"rtol": 0, "atol": 5e-6}
"""Five steps of float32 on numbers of about one; the hyperparameters are float32 too."""


@pytest.mark.parametrize("name", RULES)
def test_steps_are_those_that_were_published(name: str):
    optimizer, rule = RULES[name]
    start, gradients, expected = as_published(rule)
    weights = nested([np.float32(w) for w in start])
    state = optimizer.initialize(jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), weights))
    for now in gradients:
        state, weights = optimizer.next(state, weights, nested([np.float32(g) for g in now]))
    for found, wanted in zip(jax.tree.leaves(weights), jax.tree.leaves(nested(expected)), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, **CLOSE)


@pytest.mark.parametrize(
    ("relative_step", "rate"), [(True, lambda t: min(0.9, t**-0.5)), (False, lambda _: 0.9)]
)
def test_adafactor(relative_step: bool, rate: Any):
    """Algorithms 4 and 5 of Shazeer and Stern, 2018, in NumPy and in 64 bits."""
    random = np.random.default_rng(0)
    weights = [random.normal(size=3), random.normal(size=(2, 3)), random.normal(size=(2, 3, 4))]
    specs = [jax.ShapeDtypeStruct(w.shape, np.float32) for w in weights]
    optimizer = optimizers.build_adafactor(0.9, relative_step=relative_step)
    state, found = optimizer.initialize(specs), [w.astype(np.float32) for w in weights]
    assert [slot.shape for slot in state["r"]] == [(), (2,), (2, 3)]
    assert [slot.shape for slot in state["c"]] == [(), (3,), (2, 4)]
    assert [slot.shape for slot in state["v"]] == [(3,), (), ()]
    squares = [np.zeros_like(w) for w in weights]
    for t in (1, 2, 3):
        gradients = [random.normal(size=w.shape) for w in weights]
        state, found = optimizer.next(state, found, [g.astype(np.float32) for g in gradients])
        kept = 1 - t**-0.8
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            squares[i] = kept * squares[i] + (1 - kept) * (g**2 + 1e-30)
            v = squares[i]
            if w.ndim > 1:
                rows, columns = v.mean(-1), v.mean(-2)
                v = rows[..., None] * columns[..., None, :] / rows.mean(-1)[..., None, None]
            update = g / np.sqrt(v)
            update /= max(1.0, rms(update))
            weights[i] = w - max(1e-3, rms(w)) * rate(t) * update
        for one, other in zip(found, weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.tensorflow
def test_gradients_of_some_rows_are_made_whole():
    tf = pytest.importorskip("tensorflow")

    class Summing:
        @optimizers.handle_indexed_slices_gradients
        def next(self, state: Any, weights: Any, gradients: Any) -> Any:
            return state, {name: weights[name] + gradients[name] for name in weights}

    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([1]), tf.constant([3, 2]))
    weights = {"rows": tf.zeros((3, 2)), "all": tf.zeros(2)}
    _, found = Summing().next((), weights, {"rows": rows, "all": tf.ones(2)})
    assert found["rows"].numpy().tolist() == [[0, 0], [1, 2], [0, 0]]
    assert found["all"].numpy().tolist() == [1, 1]


def test_hyperparameters_are_in_the_state():
    optimizer = optimizers.build_adam(0.1)
    state = optimizer.initialize(SPECS)
    assert set(optimizer.get_hparams(state)) == {"learning_rate", "beta_1", "beta_2", "epsilon"}
    still = optimizer.set_hparams(state, {"learning_rate": 0.0})
    np.testing.assert_array_equal(optimizer.next(still, WEIGHTS, GRADIENTS[0])[1][0], WEIGHTS[0])


def test_schedule():
    optimizer = optimizers.schedule_learning_rate(optimizers.build_sgdm(9.0), lambda n: 1.0 / (1 + n))
    state, weights = optimizer.initialize(SPECS), [np.array([0, 0], np.float32), np.array([[0]], np.float32)]
    one = [np.array([1, 1], np.float32), np.array([[1]], np.float32)]
    for total in (-1.0, -1.5, -1.5 - 1 / 3):
        state, weights = optimizer.next(state, weights, one)
        np.testing.assert_allclose(weights[1], [[total]], rtol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="`learning_rate` to be non-negative, found -1"):
        optimizers.build_sgdm(-1)
    with pytest.raises(ValueError, match="`momentum` to be between 0 and 1, found 2"):
        optimizers.build_sgdm(0.1, momentum=2)
    with pytest.raises(ValueError, match="`beta_1` to be between 0 and 1"):
        optimizers.build_yogi(0.1, beta_1=-1)
    optimizer = optimizers.build_sgdm()
    with pytest.raises(ValueError, match="gradients of the structure of the weights"):
        optimizer.next(optimizer.initialize(SPECS), WEIGHTS, GRADIENTS[0][:1])
    with pytest.raises(ValueError, match=r"`clip_threshold` at least 1, found -0\.8 and 0\.5"):
        optimizers.build_adafactor(0.1, clip_threshold=0.5)
