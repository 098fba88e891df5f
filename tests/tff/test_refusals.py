# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What learning refuses by TFF's names: data of another type, models and optimizers made outside, Keras 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import facts_of

pytest.importorskip("tensorflow")
pytest.importorskip("keras")

pytestmark = [pytest.mark.keras, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def refused(emnist_folder: Path) -> dict[str, Any]:
    return facts_of(Path(__file__).with_name("refusals_program.py"), emnist_folder)


WANTED = "<float32[?,3],float32[?,1]>"
DATA = {
    "another width": (
        "1",
        "<float32[?,4],float32[?,1]>, with float32[?,4] where float32[?,3] is needed",
        "[0] of an element",
    ),
    "another label": (
        "'bert'",
        "<float32[?,3],int32[?,1]>, with int32[?,1] where float32[?,1] is needed",
        "[1] of an element",
    ),
    "other fields": (
        "0",
        f"<x=float32[?,3],y=float32[?,1]>, with <x=float32[?,3],y=float32[?,1]> where {WANTED} is needed",
        "an element",
    ),
    "no batches": (
        "0",
        "<float32[3],float32[1]>, with float32[3] where float32[?,3] is needed",
        "[0] of an element",
    ),
}
"""Whose data set it is, what its elements are and how they differ first, and where."""


@pytest.mark.parametrize("name", DATA)
def test_data_sets_of_another_type(name: str, refused: dict[str, Any]):
    client, found, where = DATA[name]
    sort, text = refused[name]
    assert sort == "TypeMismatchError"
    assert re.sub(r"_program\.py:\d+", "_program.py:N", text) == (
        f"The data set of client {client} has elements of another type than the model's input\n"
        f"  found     {found}\n"
        f"  expected  {WANTED}\n"
        f"  at        {where}, refusals_program.py:N: return lambda: process.next(state, datasets)\n"
        "  hint      bring the data set to the input_spec that the model was made with, for example by batch"
    )


MADE = "to be a function that makes an optimizer, found an optimizer that is made. Make it inside: "
EXPERIMENTAL = (
    "to use Keras 3, found a module `experimental` of Keras 2. What it held is one level up, such as "
    "tf.keras.optimizers.SGD and tf.keras.layers.Rescaling."
)
LR = (
    "Expected `client_optimizer_fn` to use Keras 3, found the argument `lr` of Keras 2. Write learning_rate "
    "instead."
)
MESSAGES = {
    "an instance": (
        f"Expected `client_optimizer_fn` {MADE}client_optimizer_fn=lambda: tf.keras.optimizers.Adam(...)"
    ),
    "an instance at the server": (
        f"Expected `server_optimizer_fn` {MADE}server_optimizer_fn=lambda: tf.keras.optimizers.Adam(...)"
    ),
    "an instance of 2021": (
        f"Expected `client_optimizer_fn` {MADE}client_optimizer_fn=lambda: tf.keras.optimizers.Adam(...)"
    ),
    "legacy": (
        "Expected `client_optimizer_fn` to use Keras 3, found `tf.keras.optimizers.legacy` of Keras 2. The "
        "optimizers of Keras 3 are in tf.keras.optimizers itself."
    ),
    "experimental": f"Expected `server_optimizer_fn` {EXPERIMENTAL}",
    "an experimental layer": f"Expected `model_fn` {EXPERIMENTAL}",
    "lr": LR,
    "lr of a schedule": LR,
    "decay": (
        "Expected `client_optimizer_fn` to use Keras 3, found the argument `decay` of Keras 2. Keras 3 "
        "ignores it; use tff.learning.optimizers.schedule_learning_rate."
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_optimizers_and_keras_2(name: str, refused: dict[str, Any]):
    assert refused[name] == ["TypeError", MESSAGES[name]]


def test_models_made_outside(refused: dict[str, Any]):
    sort, text = refused["a model outside"]
    assert sort == "ValueError"
    assert re.sub(r"'sequential\w*'", "'sequential'", text) == (
        "Expected `model_fn` to build its Keras model anew in each call, found the same model 'sequential' "
        "twice. Move the lines that build it into `model_fn`."
    )
    sort, text = refused["a model"]
    assert sort == "TypeError"
    assert re.sub(r"foedus\.tff\.learning\._\w+", "foedus.tff.learning", text) == (
        "Expected `model_fn` to be a function without arguments that returns a "
        "tff.learning.models.VariableModel, found <class 'foedus.tff.learning.KerasVariableModel'>."
    )


def test_what_is_no_leftover_of_keras_2_is_said_as_keras_says_it(refused: dict[str, Any]):
    assert refused["another argument"] == ["ValueError", "Argument(s) not recognized: {'rate': 0.1}"]
