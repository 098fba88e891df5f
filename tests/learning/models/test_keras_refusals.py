# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is refused of Keras: other backends, models without weights, metrics that do not add up."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import foedus as fd
from foedus.errors import ArgumentError, UnsupportedError
from foedus.learning import models

keras: Any = pytest.importorskip("keras")
pytestmark = pytest.mark.keras
EXAMPLE = {"x": ("float32", (3,)), "y": "int32"}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def small() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="small")


def test_build_returns_a_model(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS}
    with refused(
        ArgumentError,
        """
        build does not return a Keras model
          found     list
          expected  keras.Model
          at        HERE
        """,
    ):
        models.from_keras(lambda: [keras.layers.Dense(2)], **settings)


def test_the_model_has_its_weights(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS}
    with refused(
        ArgumentError,
        """
        The Keras model has no weights yet, for it does not know the shape of its input
          found     Sequential 'open', not built
          at        HERE
          hint      begin it with keras.Input(shape), or call it once on a batch before returning it
        """,
    ):
        models.from_keras(lambda: keras.Sequential([keras.layers.Dense(2)], name="open"), **settings)


def test_a_loss_is_one_number_an_example(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": lambda y, p: keras.ops.mean(LOSS(y, p))}
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
        models.from_keras(small, **settings)


class Started(keras.metrics.Metric):
    """A metric that begins at one: adding up clients' statistics would count the one again for each."""

    def __init__(self) -> None:
        super().__init__(name="started")
        self.best = self.add_variable((), "ones", name="best")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.best.assign(self.best * 2)

    def result(self) -> Any:
        return self.best


def test_metrics_begin_at_zero(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "metrics": [Started()], "coupled": False}
    with refused(
        ArgumentError,
        """
        The statistics of the metric 'started' do not begin at zero, and so do not add up
          found     started/best
          at        metrics, HERE
        """,
    ):
        models.from_keras(small, **settings)


def test_a_metric_is_one(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "metrics": ["accuracy"], "coupled": False}
    with refused(
        ArgumentError,
        """
        This is no Keras metric
          found     'accuracy'
          expected  keras.metrics.Metric
          at        metrics, HERE
        """,
    ):
        models.from_keras(small, **settings)


def test_two_metrics_of_one_name_are_refused():
    twice = [keras.metrics.SparseCategoricalAccuracy(name="loss")]
    with pytest.raises(ArgumentError, match="Two numbers would be reported as 'loss'"):
        models.from_keras(small, example=EXAMPLE, loss=LOSS, metrics=twice, coupled=False)


class Most(keras.metrics.Metric):
    """The greatest prediction: that of two clients is no sum of theirs."""

    def __init__(self) -> None:
        super().__init__(name="most")
        self.best = self.add_variable((), "zeros", name="best")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.best.assign(keras.ops.maximum(self.best, keras.ops.max(y_pred)))

    def result(self) -> Any:
        return self.best


def test_metrics_add_up(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "metrics": [Most()], "coupled": False}
    with refused(
        ArgumentError,
        """
        The statistics of the metric 'most' do not add up
          found     two clients together give another number than their examples in one place
          expected  variables that are sums over examples, each times its weight
          at        metrics, HERE
        """,
    ):
        models.from_keras(small, **settings)


class Rows(Most):
    """Counts all rows, those that only fill up a batch too."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.best.assign(self.best + y_pred.shape[0])


def test_metrics_heed_weights(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "metrics": [Rows()], "coupled": False}
    with refused(
        ArgumentError,
        """
        The statistics of the metric 'most' do not add up
          found     examples of weight zero change it
          expected  variables that are sums over examples, each times its weight
          at        metrics, HERE
        """,
    ):
        models.from_keras(small, **settings)


def test_metrics_take_labels(refused: Any):
    mean = keras.metrics.Mean(name="mean")
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "metrics": [mean], "coupled": False}
    with refused(
        ArgumentError,
        """
        The metric 'mean' cannot be measured on the predictions and labels of this model
          found     TypeError: Mean.update_state() got multiple values for argument 'sample_weight'
          expected  a metric that takes labels, predictions and the weights of examples
          at        metrics, HERE
        """,
    ):
        models.from_keras(small, **settings)


BUILT_BEFORE = small()


def built_before() -> Any:
    return BUILT_BEFORE


def test_the_model_is_built_anew(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS}
    with refused(
        ArgumentError,
        """
        'built_before' returns the same Keras model each time
          found     Sequential 'small', built outside of it
          expected  a new model in each call
          at        build, HERE
          hint      move the lines that make it into the function
        """,
    ):
        models.from_keras(built_before, **settings)


SHARED = keras.layers.Dense(2, name="shared")


def sharing() -> Any:
    return keras.Sequential([keras.Input((3,)), SHARED], name="sharing")


def test_layers_are_built_anew(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS}
    with refused(
        ArgumentError,
        """
        The models that 'sharing' returns share a variable
          found     'sharing/shared/kernel', of a layer that was built outside of it
          expected  layers and variables that are new in each call
          at        build, HERE
          hint      move the lines that make it into the function
        """,
    ):
        models.from_keras(sharing, **settings)


SCALE = keras.Variable(2.0, name="scale")


class Scaled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x * SCALE


def scaled() -> Any:
    return keras.Sequential([keras.Input((3,)), Scaled(), keras.layers.Dense(2)], name="scaled")


def test_variables_belong_to_layers(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS}
    with refused(
        ArgumentError,
        """
        The Keras model 'scaled' uses a state from outside
          found     the variable 'scale', which belongs to none of its layers
          expected  layers that are attributes of the model or of its layers, and weights made by add_weight
          at        build, HERE
          hint      keep the layer or the variable as an attribute of a layer, made inside of build
        """,
    ):
        models.from_keras(scaled, **settings)


def test_a_way_is_for_tensorflow(refused: Any):
    settings: Any = {"example": EXAMPLE, "loss": LOSS, "way": fd.Way.NATIVE}
    with refused(
        ArgumentError,
        """
        Only TensorFlow code can be told which way to run, and Keras is on JAX
          found     way=Way.NATIVE
          expected  no way
          at        way, HERE
          hint      set os.environ["KERAS_BACKEND"] = "tensorflow" before Keras is imported for the first time
        """,
    ):
        models.from_keras(small, **settings)


class Counting(keras.layers.Layer):
    """Counts the batches that it has seen."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )

    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1)
        return inputs


def test_only_real_numbers_can_be_averaged(refused: Any):
    def counted() -> Any:
        return keras.Sequential([keras.Input((3,)), Counting(name="counting"), keras.layers.Dense(2)])

    settings: Any = {"example": EXAMPLE, "loss": LOSS, "non_trainable": models.NonTrainable.AVERAGE}
    with refused(
        UnsupportedError,
        """
        The weight 'counting/count' cannot be averaged
          found     int32[]
          expected  real numbers
          at        non_trainable, HERE
          hint      NonTrainable.KEEP_SERVERS leaves it as it is at the server
        """,
    ):
        models.from_keras(counted, **settings)


def in_a_new_process(program: str, backend: str) -> str:
    """What a program prints, or the end of its error, with the environment variable set."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": backend},
    )
    return done.stdout + done.stderr


def test_another_backend_in_the_environment_is_named():
    """PyTorch need not be installed: Keras is not even imported."""
    found = in_a_new_process(
        """
        from foedus.learning import models
        models.from_keras(lambda: None, example={"x": "float32", "y": "int32"}, loss="mse")
        """,
        "torch",
    )
    assert found.splitlines()[-5:] == [
        "foedus.errors.EnvironmentMismatchError: "
        "Keras is on another backend than JAX or TensorFlow, and it has one for the whole process",
        "  found     'torch' in the environment variable KERAS_BACKEND",
        "  expected  'jax' or 'tensorflow'",
        "  at        <string>:3",
        '  hint      set os.environ["KERAS_BACKEND"] = "jax" before Keras is imported for the first time',
    ]


def test_another_backend_that_is_running_is_named():
    found = in_a_new_process(
        """
        import keras
        from foedus.learning import models
        models.from_keras(lambda: None, example={"x": "float32", "y": "int32"}, loss="mse")
        """,
        "numpy",
    )
    assert "Keras is on another backend than JAX or TensorFlow" in found
    assert "found     'numpy' in keras.config.backend()" in found


def test_without_a_choice_foedus_chooses_jax():
    program = """
        import os
        del os.environ["KERAS_BACKEND"]
        from foedus.frontends.keras import require_keras
        print(require_keras().config.backend())
        """
    assert in_a_new_process(program, "numpy").splitlines()[-1] == "jax"


def test_a_global_variable_of_tensorflow_is_named():
    pytest.importorskip("tensorflow")
    found = in_a_new_process(
        """
        import keras
        import tensorflow as tf
        from foedus.learning import models
        scale = tf.Variable(2.0, name="scale")
        class Scaled(keras.layers.Layer):
            def call(self, x):
                return x * scale
        def build():
            return keras.Sequential([keras.Input((3,)), Scaled(), keras.layers.Dense(2)], name="scaled")
        models.from_keras(build, example={"x": ("float32", (3,)), "y": "int32"}, loss="mse")
        """,
        "tensorflow",
    )
    lines = [line.strip() for line in found.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("foedus.errors.TracingError"))
    assert lines[start : start + 5] == [
        "foedus.errors.TracingError: The TensorFlow code 'scaled' reads a state from outside",
        "found     the variable 'scale:0'",
        "expected  code whose result follows from its arguments and the model's own weights",
        "at        <string>:11",
        "hint      make it a weight of a layer, with add_weight, in the function that builds the model",
    ]
