# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models from JAX: which part of an example is what, what is refused, and what comes out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus.errors import ArgumentError, DataError, TracingError
from foedus.learning import metrics, models
from foedus.learning.models import Mode, ModelWeights
from foedus.types import type_of

from ..small_models import CROSS_ENTROPY, FEATURES, initial, model_of, network

X = ("float32", (FEATURES,))


def of(example: Any, **named: Any) -> models.Model:
    """A model of which nothing is interesting but the example; ``coupled`` saves the time of finding out."""
    settings = {"init": initial(), "loss": CROSS_ENTROPY, "coupled": False} | named
    return models.from_jax(settings.pop("apply", network), example=example, **settings)


class Named(NamedTuple):
    x: Any
    label: Any


@dataclass
class Annotated:
    label: Any
    pixels: Any


ONE, ITS_LABEL = np.zeros(FEATURES, np.float32), np.int32(0)
ROWS = np.ones((2, FEATURES), np.float32)
LABELS = np.array([1, 0], np.int32)


@pytest.mark.parametrize(
    ("example", "batch"),
    [
        ((X, "int32"), (ROWS, LABELS)),
        ([X, "int32"], [ROWS, LABELS]),
        ({"x": X, "y": "int32"}, {"x": ROWS, "y": LABELS}),
        ({"pixels": X, "labels": "int32"}, {"pixels": ROWS, "labels": LABELS}),
        (OrderedDict(label="int32", pixels=X), OrderedDict(label=LABELS, pixels=ROWS)),
        (type_of(Named(ONE, ITS_LABEL)), Named(ROWS, LABELS)),
        (type_of(Annotated(ITS_LABEL, ONE)), Annotated(LABELS, ROWS)),
    ],
    ids=["pair", "list", "x and y", "labels", "ordered", "named tuple", "dataclass"],
)
def test_an_example_is_split_into_features_and_label(example: Any, batch: Any):
    model = of(example)
    weights = model.initialize(jnp.zeros(2, jnp.uint32))
    forward = model.forward(weights, batch, None, Mode.TRAIN)
    np.testing.assert_array_equal(forward.labels, LABELS)
    np.testing.assert_array_equal(forward.predictions, network(weights.trainable, ROWS))


def test_features_and_label_can_be_named():
    model = of({"a": X, "b": X, "target": "int32"}, features="b", label="target")
    batch = {"a": ROWS * np.nan, "b": ROWS, "target": LABELS}
    weights = model.initialize(jnp.zeros(2, jnp.uint32))
    assert np.isfinite(model.forward(weights, batch, None, Mode.TRAIN).losses).all()


def test_several_features_are_a_dict():
    model = of(
        {"a": X, "b": X, "y": "int32"},
        apply=lambda w, x: network(w, x["a"] - x["b"]) if set(x) == {"a", "b"} else None,
    )
    weights = model.initialize(jnp.zeros(2, jnp.uint32))
    batch = {"a": ROWS, "b": ROWS, "y": LABELS}
    np.testing.assert_allclose(
        model.forward(weights, batch, None, Mode.TRAIN).predictions, network(weights.trainable, ROWS * 0)
    )


def test_apply_gets_the_key_and_the_mode_if_it_asks():
    def apply(w: Any, x: Any, training: bool, key: Any) -> Any:
        return network(w, x) + (jax.random.normal(key, (x.shape[0], 1), "float32") if training else 0)

    model = of({"x": X, "y": "int32"}, apply=apply)
    weights = model.initialize(jnp.zeros(2, jnp.uint32))
    batch = {"x": ROWS, "y": LABELS}
    keys = [jnp.array([0, i], jnp.uint32) for i in range(2)]
    one, other = (model.forward(weights, batch, key, Mode.TRAIN).predictions for key in keys)
    assert not np.allclose(one, other)
    one, other = (model.forward(weights, batch, key, Mode.EVALUATE).predictions for key in keys)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(weights, ROWS), one)


def test_initial_weights_can_be_given():
    given = {"w": np.ones((FEATURES, 3), np.float32), "rest": [np.zeros(3, np.float32)]}
    model = of({"x": X, "y": "int32"}, init=given, apply=lambda w, x: x @ w["w"] + w["rest"][0])
    assert str(model.weights_type) == ("<trainable=<rest=<float32[3]>,w=float32[3,3]>,non_trainable=<>>")
    made = model.initialize(jnp.zeros(2, jnp.uint32))
    assert isinstance(made.trainable["rest"], list)
    np.testing.assert_array_equal(made.trainable["w"], given["w"])


def test_the_model_is_in_the_users_own_structure():
    model = model_of(coupled=False)
    weights = model.initialize(jnp.zeros(2, jnp.uint32))
    assert model.to_user(weights) is weights.trainable
    assert sorted(weights.trainable) == ["b1", "b2", "w1", "w2"]


def test_predictions_have_the_dtype_of_the_weights():
    """Nothing is narrowed outside a runtime either, where JAX itself would."""
    model = model_of(dtype="float64", coupled=False)
    weights = ModelWeights(
        {"w1": np.ones((FEATURES, 4)), "b1": np.full(4, 1e-12), "w2": np.ones((4, 3)), "b2": np.zeros(3)}, ()
    )
    predictions = model.predict(weights, np.ones((2, FEATURES)))
    assert predictions.dtype == np.float64
    np.testing.assert_allclose(predictions, 4 * (3 + 1e-12), rtol=1e-15)


def test_there_must_be_a_struct(refused: Any):
    with refused(
        ArgumentError,
        """
        An example needs features and a label
          found     float32[3]
          expected  a struct
          at        example, HERE
        """,
    ):
        models.from_jax(network, init=initial(), loss=CROSS_ENTROPY, example=X)


def test_there_must_be_a_label(refused: Any):
    with refused(
        ArgumentError,
        """
        Nothing tells which field of an example is the label
          found     <a=float32[3],b=int32>
          expected  a pair, or a field called label, labels or y
          at        example, HERE
          hint      name the field with label=...
        """,
    ):
        models.from_jax(network, init=initial(), loss=CROSS_ENTROPY, example={"a": X, "b": "int32"})


def test_there_must_be_features(refused: Any):
    with refused(
        ArgumentError,
        """
        An example has a label and no features
          found     <y=int32>
          expected  a pair, or another field
          at        example, HERE
        """,
    ):
        models.from_jax(network, init=initial(), loss=CROSS_ENTROPY, example={"y": "int32"})


@pytest.mark.parametrize("what", ["features", "label"])
def test_a_named_field_must_exist(what: str, refused: Any):
    settings: Any = {what: "z", "init": initial(), "loss": CROSS_ENTROPY}
    with refused(
        ArgumentError,
        f"""
        An example has no field 'z'
          found     fields x, y
          at        {what}, HERE
        """,
    ):
        models.from_jax(network, example={"x": X, "y": "int32"}, **settings)


@pytest.mark.parametrize("coupled", [None, False])
def test_a_loss_is_one_number_an_example(coupled: bool | None, refused: Any):
    settings: Any = {"init": initial(), "loss": lambda p, y: CROSS_ENTROPY(p, y).mean(), "coupled": coupled}
    with refused(
        ArgumentError,
        """
        The loss is not one number an example
          found     shape [] for 8 examples
          expected  shape [8]
          at        loss, HERE
          hint      return the losses of the examples, without their mean; average other dimensions
        """,
    ):
        models.from_jax(network, example={"x": X, "y": "int32"}, **settings)


def test_rows_that_are_stretched_against_each_other_are_no_losses():
    """The classic: predictions with a column of their own, labels without."""
    with pytest.raises(ArgumentError, match="The loss is not one number an example") as caught:
        of(
            {"x": X, "y": "float32"},
            init={"w": np.ones((FEATURES, 1), np.float32)},
            apply=lambda w, x: x @ w["w"],
            loss=lambda p, y: jnp.square(p - y),
        )
    assert caught.value.found == "shape [8, 8] for 8 examples"


def test_a_model_that_fails_is_located():
    def crooked(w: Any, x: Any) -> Any:
        return x @ w["w3"]

    with pytest.raises(TracingError) as caught:
        of({"x": X, "y": "int32"}, apply=crooked)
    assert caught.value.headline == "The model fails on a batch of 8 examples"
    assert caught.value.found == "KeyError: 'w3'"
    assert caught.value.expected == "functions for batches of <x=float32[3],y=int32>"
    assert str(caught.value.at).endswith('return x @ w["w3"]')


def test_examples_have_a_known_shape(refused: Any):
    settings: Any = {
        "init": initial(),
        "loss": CROSS_ENTROPY,
        "example": {"x": ("float32", (None,)), "y": "int32"},
    }
    with refused(
        DataError,
        """
        A model needs examples of known shape
          found     float32[?]
          at        example, HERE
        """,
    ):
        models.from_jax(network, **settings)


@pytest.mark.parametrize("names", [["accuracy", "accuracy"], ["loss"], ["examples"], ["dropped_clients"]])
def test_metrics_have_names_of_their_own(names: list[str]):
    with pytest.raises(ArgumentError) as caught:
        of({"x": X, "y": "int32"}, metrics=[metrics.accuracy(name) for name in names])
    assert caught.value.headline == f"Two numbers would be reported as {names[0]!r}"
    assert caught.value.found == f"metrics {', '.join(names)}, beside loss, examples, dropped_clients"
    assert caught.value.hint == "give one of them another name"
