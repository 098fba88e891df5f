# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models from Keras on its JAX backend: layers, losses, metrics, and the way back into Keras."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import foedus as fd
from foedus import learning, runtime
from foedus.frontends.keras import open_metric
from foedus.learning import metrics, models
from foedus.learning.algorithms import fed_avg

from ...laws import metric_laws
from ...laws.metric_laws import ROWS, Measure
from .. import small_models

keras: Any = pytest.importorskip("keras")
pytestmark = pytest.mark.keras
FEATURES, HIDDEN, CLASSES = small_models.FEATURES, small_models.HIDDEN, small_models.CLASSES
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EXAMPLE = {"x": ("float32", (FEATURES,)), "y": "int32"}
L = keras.layers


def sequential(*layers: Any, shape: tuple[int, ...] = (FEATURES,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers, L.Dense(CLASSES)])


def dense() -> Any:
    return sequential(L.Dense(HIDDEN, activation="relu"))


def batch_norm() -> Any:
    return sequential(L.BatchNormalization())


def dropout() -> Any:
    return sequential(L.Dropout(0.5))


def active() -> Any:
    return sequential(L.Dense(HIDDEN, activity_regularizer="l2"))


def conv() -> Any:
    return sequential(L.Conv2D(2, 2, activation="relu"), L.MaxPooling2D(2), L.Flatten(), shape=(4, 4, 1))


def embedding() -> Any:
    model = keras.Sequential(
        [keras.Input((5,), dtype="int32"), L.Embedding(9, 3), L.LSTM(2), L.Dense(CLASSES)]
    )
    return model


def two_inputs() -> Any:
    one, other = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    return keras.Model({"a": one, "b": other}, L.Dense(CLASSES)(L.Concatenate()([L.Dense(2)(one), other])))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.one = L.Dense(HIDDEN, activation="relu")
        self.two = L.Dense(CLASSES)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.two(self.one(x))


class Untold(Subclassed):
    """Does not ask whether it is trained, as models without dropout need not."""

    def call(self, x: Any) -> Any:
        return self.two(self.one(x))


def subclassed(cls: Any = Subclassed) -> Any:
    model = cls()
    model(np.zeros((1, FEATURES), np.float32))
    return model


def whole(high: int, *shape: int) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, n: rng.integers(0, high, (n, *shape)).astype(np.int32)


def real(*shape: int) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, n: rng.normal(size=(n, *shape)).astype(np.float32)


KINDS: dict[str, tuple[Callable[[], Any], Any, dict[str, Any], bool]] = {
    "dense": (dense, EXAMPLE, {"x": real(FEATURES)}, False),
    "batch norm": (batch_norm, EXAMPLE, {"x": real(FEATURES)}, True),
    "dropout": (dropout, EXAMPLE, {"x": real(FEATURES)}, False),
    "activity regulariser": (active, EXAMPLE, {"x": real(FEATURES)}, True),
    "conv": (conv, {"x": ("float32", (4, 4, 1)), "y": "int32"}, {"x": real(4, 4, 1)}, False),
    "embedding": (embedding, {"x": ("int32", (5,)), "y": "int32"}, {"x": whole(9, 5)}, False),
    "two inputs": (
        two_inputs,
        {"a": ("float32", (2,)), "b": ("float32", (3,)), "y": "int32"},
        {"a": real(2), "b": real(3)},
        False,
    ),
    "subclassed": (subclassed, EXAMPLE, {"x": real(FEATURES)}, False),
    "subclassed, untold": (lambda: subclassed(Untold), EXAMPLE, {"x": real(FEATURES)}, False),
}


def clients_of(features: dict[str, Any], sizes: dict[str, int] | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sizes = small_models.SIZES if sizes is None else sizes
    return {
        i: {name: draw(rng, n) for name, draw in features.items()} | {"y": whole(CLASSES)(rng, n)}
        for i, n in sizes.items()
    }


def of(build: Callable[[], Any], **settings: Any) -> models.Model:
    keras.utils.set_random_seed(0)
    return models.from_keras(
        build, **{"example": EXAMPLE, "loss": CROSS_ENTROPY, "coupled": False} | settings
    )


def train(model: models.Model, data: dict[str, Any], rounds: int = 1, make: Any = runtime.local) -> Any:
    batches = learning.Batches(size=3, epochs=2, shuffle=False)
    process = fed_avg(model, client_optimizer=optax.sgd(0.1), batches=batches)
    with fd.use(make()):
        state = process.initialize(1)
        outputs = [process.next(state, data)]
        for _ in range(rounds - 1):
            outputs.append(process.next(outputs[-1].state, data))
    return process, outputs


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_comes_back(kind: str):
    build, example, features, coupled = KINDS[kind]
    model = of(build, example=example, coupled=None)
    assert model.coupled is coupled
    data = clients_of(features)
    process, outputs = train(model, data, rounds=2)
    losses = [output.result["loss"] for output in outputs]
    assert losses[-1] < losses[0]
    back = process.model_of(outputs[-1].state)
    assert isinstance(back, keras.Model)
    x = {name: data["d"][name] for name in features}
    given = x.get("x", x)
    predicted = model.predict(outputs[-1].state.weights, given)
    # One model is run at once, the other compiled: the spec's N4 for float32.
    np.testing.assert_allclose(
        back.predict(given, verbose=0), predicted, rtol=0, atol=1e-5 * np.abs(predicted).max()
    )


@pytest.mark.parametrize("kind", ["dropout", "batch norm"])
def test_the_reference_agrees(kind: str):
    build, example, features, coupled = KINDS[kind]
    model = of(build, example=example, coupled=coupled)
    data = clients_of(features, {"a": 1, "b": 2})
    (one,), (other,) = (train(model, data, make=make)[1] for make in (runtime.reference, runtime.local))
    for name, leaf in one.state.weights.trainable.items():
        np.testing.assert_allclose(other.state.weights.trainable[name], leaf, rtol=0, atol=1e-5)


def test_weights_have_names_that_do_not_depend_on_earlier_models():
    for _ in range(2):
        names = ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel"]
        assert sorted(of(dense).initialize(None).trainable) == names


def test_the_averages_of_batch_norm_are_not_trained():
    model = of(batch_norm, coupled=True)
    weights = model.initialize(None)
    assert list(weights.non_trainable) == [
        "batch_normalization/moving_mean",
        "batch_normalization/moving_variance",
    ]
    _, (output,) = train(model, clients_of({"x": real(FEATURES)}))
    for name, leaf in weights.non_trainable.items():
        np.testing.assert_array_equal(output.state.weights.non_trainable[name], leaf)


def test_it_equals_the_same_network_in_jax():
    keras_model = of(dense, metrics=[keras.metrics.SparseCategoricalAccuracy(), metrics.accuracy()])
    start = keras_model.initialize(None).trainable
    names = {"w1": "dense/kernel", "b1": "dense/bias", "w2": "dense_1/kernel", "b2": "dense_1/bias"}
    jax_model = small_models.model_of(
        init={ours: np.asarray(start[theirs]) for ours, theirs in names.items()}
    )
    data = small_models.clients()
    (_, one), (_, other) = (train(model, data, rounds=3) for model in (keras_model, jax_model))
    for ours, theirs in names.items():
        found, expected = one[-1].state.weights.trainable[theirs], other[-1].state.weights.trainable[ours]
        # The spec's N4 for float32; Keras computes the same loss in another way.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(one[-1].result["loss"], other[-1].result["loss"], rtol=1e-5)
    for name in ("sparse_categorical_accuracy", "accuracy"):
        assert one[-1].result[name] == other[-1].result["accuracy"]


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.MeanSquaredError(),
        "mse",
        "mean_squared_error",
        lambda y, p: keras.ops.square(y - p),
        lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1),
    ],
    ids=["object", "short name", "name", "function of columns", "function"],
)
def test_a_loss_is_an_object_a_name_or_a_function(loss: Any):
    example = {"x": ("float32", (FEATURES,)), "y": ("float32", (CLASSES,))}
    model = of(dense, example=example, loss=loss)
    x, y = np.ones((2, FEATURES), np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)
    forward = model.forward(
        model.initialize(None), {"x": x, "y": y}, np.zeros(2, np.uint32), models.Mode.EVALUATE
    )
    np.testing.assert_allclose(
        forward.losses, np.square(np.asarray(forward.predictions) - y).mean(axis=1), rtol=1e-6
    )


def test_regularisation_is_part_of_the_loss():
    plain, regular = (
        of(lambda r=r: sequential(L.Dense(HIDDEN, kernel_regularizer=r)), coupled=None)
        for r in (None, keras.regularizers.L2(0.5))
    )
    assert not regular.coupled
    start = plain.initialize(None)
    data = clients_of({"x": real(FEATURES)})
    losses, kernels = [], []
    for model in (plain, regular):
        process, (output,) = train(model, data)
        with fd.use(runtime.local()):
            losses.append(process.evaluate(process.initialize(), data)["loss"])
        kernels.append(output.state.weights.trainable["dense/kernel"])
    penalty = 0.5 * np.square(start.trainable["dense/kernel"]).sum()
    np.testing.assert_allclose(losses[1] - losses[0], penalty, rtol=1e-4)
    assert np.abs(kernels[1]).sum() < np.abs(kernels[0]).sum()


def test_trained_models_are_saved_and_loaded(tmp_path: Path):
    process, (output,) = train(of(dense), clients_of({"x": real(FEATURES)}))
    model = process.model_of(output.state)
    model.save(tmp_path / "trained.keras")
    loaded = keras.saving.load_model(tmp_path / "trained.keras")
    x = np.ones((2, FEATURES), np.float32)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    # Weights of a Keras model go back into training by their names.
    kernel = loaded.layers[0].kernel
    np.testing.assert_array_equal(np.array(kernel.value), output.state.weights.trainable["dense/kernel"])


RNG = np.random.default_rng(0)
SCORES = RNG.uniform(size=(ROWS, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, ROWS, dtype=np.int32)
MEASURES: dict[str, tuple[Any, Any, Any, Callable[[Any, Any], Any]]] = {
    "accuracy": (
        keras.metrics.SparseCategoricalAccuracy,
        SCORES,
        LABELS,
        lambda p, y: (p.argmax(axis=-1) == y).mean(),
    ),
    "squares": (
        keras.metrics.MeanSquaredError(),
        SCORES,
        RNG.uniform(size=SCORES.shape).astype(np.float32),
        lambda p, y: np.square(p - y).mean(),
    ),
    "recall": (
        keras.metrics.Recall(),
        SCORES[:, :1],
        (LABELS[:, None] > 0).astype(np.int32),
        lambda p, y: ((p > 0.5) & (y == 1)).sum() / (y == 1).sum(),
    ),
}


@cache
def made(name: str) -> metrics.Metric:
    opened = open_metric(MEASURES[name][0])
    return metrics.Metric(name, opened.zero, opened.accumulate, opened.report)


@pytest.mark.parametrize(
    "law",
    [
        metric_laws.reports_its_meaning,
        metric_laws.ignores_splits,
        metric_laws.accumulates_as_it_merges,
        metric_laws.has_a_neutral_zero,
    ],
    ids=lambda law: law.__name__,
)
@pytest.mark.parametrize("name", MEASURES)
def test_metrics_keep_the_laws(name: str, law: metric_laws.Law):
    _, predictions, labels, meaning = MEASURES[name]
    assert law(Measure(made(name), predictions, labels, meaning)) == []


def normalising() -> Any:
    return keras.Sequential([keras.Input((2,)), L.BatchNormalization(momentum=0.75), L.Dense(CLASSES)])


NORMALISED = {"x": ("float32", (2,)), "y": "int32"}


def moved(mean: Any, variance: Any, batches: list[Any]) -> tuple[Any, Any]:
    """The averages of batch normalisation after some batches, by NumPy."""
    for x in batches:
        mean = 0.75 * mean + 0.25 * x.mean(axis=0)
        variance = 0.75 * variance + 0.25 * x.var(axis=0)
    return mean, variance


@pytest.mark.parametrize("choice", models.NonTrainable)
@pytest.mark.parametrize("make", [runtime.local, runtime.reference])
def test_what_becomes_of_the_averages_of_batch_norm(choice: models.NonTrainable, make: Any):
    model = of(normalising, example=NORMALISED, coupled=True, non_trainable=choice)
    data = clients_of({"x": real(2)}, {"a": 5, "b": 2, "c": 0})
    process = fed_avg(
        model,
        client_optimizer=optax.sgd(0.1),
        server_optimizer=optax.sgd(0.5),  # Means nothing to what is not trained.
        batches=learning.Batches(size=3, shuffle=False),
    )
    with fd.use(make()):
        state = process.initialize(0)
        for _ in range(2):
            state = process.next(state, data).state
    x = {i: client["x"].astype(np.float64) for i, client in data.items()}
    batches = {"a": [x["a"][:3], x["a"][3:]], "b": [x["b"]], "c": []}
    server: Any = (np.zeros(2), np.ones(2))
    own: dict[str, Any] = {}
    if choice is models.NonTrainable.AVERAGE:
        for _ in range(2):
            of_a, of_b = moved(server[0], server[1], batches["a"]), moved(*server, batches["b"])
            server = [(5 * a + 2 * b) / 7 for a, b in zip(of_a, of_b, strict=True)]
    if choice is models.NonTrainable.KEEP_LOCAL:
        own = {client: moved(server[0], server[1], 2 * seen) for client, seen in batches.items()}
    for client, expected in {None: server, **own}.items():
        found = process.weights(state, client=client).non_trainable
        for name, average in zip(("moving_mean", "moving_variance"), expected, strict=True):
            # A handful of sums of float32.
            np.testing.assert_allclose(found[f"batch_normalization/{name}"], average, rtol=0, atol=1e-6)
