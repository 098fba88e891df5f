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

from foedus.errors import ArgumentError
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
    twice = [keras.metrics.Mean(name="loss")]
    with pytest.raises(ArgumentError, match="Two numbers would be reported as 'loss'"):
        models.from_keras(small, example=EXAMPLE, loss=LOSS, metrics=twice, coupled=False)


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
