# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras models on JAX: their initial weights are those of Keras, drawn by one program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

from foedus.frontends._keras_building import build_model

keras: Any = pytest.importorskip("keras")
pytestmark = pytest.mark.keras
L = keras.layers


def sequential(*layers: Any, shape: tuple[int, ...] = (6,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def image() -> Any:
    layers = [L.Conv2D(3, 2), L.BatchNormalization(), L.MaxPool2D(2), L.Flatten(), L.Dropout(0.1), L.Dense(4)]
    return sequential(*layers, shape=(6, 6, 1))


def text() -> Any:
    return sequential(L.Embedding(11, 5), L.LSTM(4), L.Dense(3, kernel_initializer="truncated_normal"))


def with_weights_set() -> Any:
    model = sequential(L.Dense(4), L.Dense(2))
    model.layers[1].set_weights([np.full((4, 2), 0.25, np.float32), np.ones(2, np.float32)])
    model.layers[0].bias.assign_add(keras.ops.ones(4) * 3)
    return model


def with_generators_in_common() -> Any:
    draw = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(7))
    return sequential(L.Dense(4, kernel_initializer=draw), L.Dense(5, kernel_initializer=draw))


def with_what_keras_draws() -> Any:
    return sequential(
        L.Dense(2, bias_initializer=lambda shape, dtype: keras.random.normal(shape, dtype=dtype))
    )


def with_numpy() -> Any:
    ramp = np.arange(12, dtype=np.float32).reshape(6, 2)
    return sequential(L.Dense(2, kernel_initializer=lambda shape, dtype: ramp + np.asarray(shape[0])))


class Called(keras.Model):
    """Built by a call, with a variable that is made of an array."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(3)
        self.scale = keras.Variable(np.float32(2))

    def call(self, x: Any) -> Any:
        return self.dense(x) * self.scale


def called() -> Any:
    model = Called()
    model(np.ones((2, 6), np.float32))
    return model


def called_without_arrays() -> Any:
    model = sequential(L.Dense(3, kernel_initializer="orthogonal"))
    outcome = model(np.ones((2, 6), np.float32))
    model.layers[0].bias.assign(outcome[0])
    return model


ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)
BUILDS = {
    image: np.linspace(-1, 1, 72, dtype=np.float32).reshape(2, 6, 6, 1),
    text: np.arange(10, dtype=np.int32).reshape(2, 5),
    with_weights_set: ROWS,
    with_generators_in_common: ROWS,
    with_what_keras_draws: ROWS,
    with_numpy: ROWS,
    called: ROWS,
    called_without_arrays: ROWS,
}


@pytest.fixture
def unseeded_afterwards() -> Iterator[None]:
    """Takes back what a seed for Keras is for TensorFlow too."""
    yield
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(None)


@pytest.mark.usefixtures("unseeded_afterwards")
@pytest.mark.parametrize("build", BUILDS)
def test_the_model_is_as_if_the_function_were_called(build: Callable[[], Any]):
    def built_by(how: Callable[[Callable[[], Any]], Any]) -> tuple[list[Any], Any, Any]:
        keras.utils.set_random_seed(5)
        model = how(build)
        outcome = np.asarray(model(BUILDS[build]))
        return [np.asarray(v.value) for v in model.variables], outcome, keras.random.normal((3,))

    weights, outcome, drawn_next = built_by(build_model)
    expected, same_outcome, same_draw = built_by(lambda build: build())
    assert [w.dtype for w in weights] == [w.dtype for w in expected]
    # A processor may round a product and a sum at once in one program, and not in another.
    for found, same in zip(
        [*weights, outcome, drawn_next], [*expected, same_outcome, same_draw], strict=True
    ):
        np.testing.assert_allclose(found, same, rtol=1e-5, atol=1e-6)


def compiled_by(build: Callable[[], Any]) -> int:
    """How many programs are compiled while a model is built."""
    count = 0

    def note(event: str, *_: Any, **__: Any) -> None:
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(note)
    build()
    jax.monitoring.unregister_event_duration_listener(note)
    return count


def test_one_program_draws_all_that_is_not_assigned():
    def many(width: int) -> Any:
        return sequential(
            L.Dense(width), L.Dense(width + 1), L.Dense(width + 2, use_bias=False), L.LayerNormalization()
        )

    assert compiled_by(lambda: many(31)) > 3, "otherwise Keras needs no help"
    assert compiled_by(lambda: build_model(lambda: many(41))) == 1

    def given() -> Any:
        model = many(51)
        model.set_weights([np.zeros(v.shape, np.float32) for v in model.variables])
        return model

    assert compiled_by(lambda: build_model(given)) == 0


def test_variables_of_no_model_are_there_afterwards():
    made: list[Any] = []

    def build() -> Any:
        made.append(L.Dense(2))
        made[0].build((None, 3))
        return sequential(L.Dense(2))

    build_model(build)
    assert np.asarray(made[0].kernel.value).shape == (3, 2)


def test_what_the_function_raises_is_raised():
    def build() -> Any:
        raise LookupError("no such layer")

    with pytest.raises(LookupError, match="no such layer"):
        build_model(build)
    assert build_model(lambda: 3) == 3
