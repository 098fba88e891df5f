# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.learning.models``: models."""

from __future__ import annotations

from typing import Any

from foedus.tff._absent import Absent
from foedus.tff.learning._functional_model import (
    FunctionalModel,
    functional_model_from_keras,
    keras_model_from_functional_weights,
)
from foedus.tff.learning._variable_model import BatchOutput, VariableModel, from_keras_model, open_model
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.types import Type, view

__all__ = [
    "BatchOutput",
    "FunctionalModel",
    "ModelWeights",
    "ReconstructionModel",
    "VariableModel",
    "from_keras_model",
    "functional_model_from_keras",
    "keras_model_from_functional_weights",
    "load",
    "load_functional_model",
    "model_from_functional",
    "save",
    "save_functional_model",
    "weights_type_from_model",
]


def weights_type_from_model(model: Any) -> Type:
    """The type of a model's weights.

    Args:
        model: A functional model, a model, or a function that builds one.
    """
    to_foedus = getattr(model, "to_foedus", None)
    return view(open_model(model)[0].weights_type if to_foedus is None else to_foedus().weights_type)


_SAVED = "save the Keras model: weights.assign_weights_to(keras_model); keras_model.save(path)"
ReconstructionModel = Absent(
    "tff.learning.models.ReconstructionModel", "it left TFF in 2026; partial models are not here yet"
)
load = Absent("tff.learning.models.load", "load the Keras model: tf.keras.models.load_model(path)")
load_functional_model = Absent(
    "tff.learning.models.load_functional_model", "load the Keras model: tf.keras.models.load_model(path)"
)
model_from_functional = Absent(
    "tff.learning.models.model_from_functional", "give the functional model to the builder itself"
)
save = Absent("tff.learning.models.save", _SAVED)
save_functional_model = Absent("tff.learning.models.save_functional_model", _SAVED)
