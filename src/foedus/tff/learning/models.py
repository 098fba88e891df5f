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
from foedus.tff.learning._functional_variable_model import model_from_functional
from foedus.tff.learning._keras_variable_model import from_keras_model
from foedus.tff.learning._open_model import open_model
from foedus.tff.learning._saved_models import load, load_functional_model, save, save_functional_model
from foedus.tff.learning._variable_model import BatchOutput, VariableModel
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.types import Type, to_type, view

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
    if isinstance(model, VariableModel):
        parts = (model.trainable_variables, model.non_trainable_variables)
        return to_type(ModelWeights(*([(v.dtype, tuple(v.shape)) for v in part] for part in parts)))
    return view(open_model(model).model.weights_type)


ReconstructionModel = Absent(
    "tff.learning.models.ReconstructionModel", "it left TFF in 2026; partial models are not here yet"
)
